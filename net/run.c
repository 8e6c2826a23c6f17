// SPDX-License-Identifier: Apache-2.0
#include "net/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"

enum { RUN_FAILED = 127, RUN_FDS_MAX = 8, RUN_ABOVE = 64 };

static int run_try(const char *dir, size_t size, const char *name,
                   struct run_path *out)
{
    int n =
        snprintf(out->text, sizeof(out->text), "%.*s/%s", (int)size, dir, name);
    return n > 0 && (size_t)n < sizeof(out->text) &&
                   access(out->text, X_OK) == 0
               ? 0
               : -ENOENT;
}

int run_find(const char *name, struct run_path *out)
{
    /* An ordinary user's PATH lacks the sbin directories. */
    static const char *const system_dirs = "/usr/sbin:/usr/bin:/sbin:/bin";
    const char *lists[] = {getenv("PATH"), system_dirs};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const char *at = lists[i] != NULL ? lists[i] : "";
        while (*at != '\0') {
            size_t n = strcspn(at, ":");
            if (at[0] == '/' && run_try(at, n, name, out) == 0)
                return 0;
            at += n + (at[n] == ':');
        }
    }
    return -ENOENT;
}

int run_memory(const char *text, struct err *e)
{
    AUTO_CLOSE int fd = memfd_create("limpet-run", MFD_CLOEXEC);
    int code = fd < 0 ? -errno : 0;
    if (code == 0 && text != NULL)
        code = path_write_all(fd, text, strlen(text));
    if (code == 0 && lseek(fd, 0, SEEK_SET) < 0)
        code = -errno;
    return code < 0 ? err_set(e, code, "memfd: %s", strerror(-code))
                    : fd_release(&fd);
}

/* execv(3) changes none of them. */
static char *const *run_words(const char *const *argv)
{
    const union {
        const char *const *in;
        char *const *out;
    } words = {.in = argv};
    return words.out;
}

static void run_child(const char *path, const char *const *argv, int in,
                      int out)
{
    char *const *words = run_words(argv);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (words != NULL && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        dup2(out, 2) == 2)
        (void)execv(path, words);
    _exit(RUN_FAILED);
}

/* The first line of what it said. */
static int run_failed(const char *name, int out, struct err *e)
{
    char text[256] = "";
    ssize_t n = pread(out, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return err_set(e, -EIO, "%s: %s", name,
                   text[0] != '\0' ? text : "it failed");
}

int run_feed(const char *const *argv, const char *text, struct err *e)
{
    struct run_path path;
    if (run_find(argv[0], &path) < 0)
        return -ENOENT;
    AUTO_CLOSE int in = run_memory(text, e);
    if (in < 0)
        return in;
    AUTO_CLOSE int out = run_memory(NULL, e);
    if (out < 0)
        return out;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, -errno, "fork: %s", strerror(errno));
    if (pid == 0)
        run_child(path.text, argv, in, out);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0 ? 0 : run_failed(argv[0], out, e);
}

static void run_daemon(void)
{
    (void)setsid();
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? RUN_FAILED : 0);
}

static void run_place(const int *fds, size_t fd_count)
{
    int from[RUN_FDS_MAX];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Away from the numbers they are to have. */
    for (size_t i = 0; i < fd_count; i++)
        from[i] = fcntl(fds[i] < 0 ? null : fds[i], F_DUPFD_CLOEXEC, RUN_ABOVE);
    for (size_t i = 0; i < fd_count; i++)
        if (from[i] < 0 || dup2(from[i], (int)i) < 0)
            _exit(RUN_FAILED);
    if (close_range((unsigned)fd_count, ~0U, 0) == 0)
        return;
    for (int fd = (int)fd_count; fd < 1024; fd++) /* before Linux 5.9 */
        (void)close(fd);
}

int run_start(const char *path, const char *const *argv, const int *fds,
              size_t fd_count, bool daemon, struct err *e)
{
    sigset_t none;
    if (fd_count > RUN_FDS_MAX)
        return err_set(e, -E2BIG, "%s: too many files", path);
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, -errno, "fork: %s", strerror(errno));
    if (pid > 0 && daemon) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return 0;
    }
    if (pid > 0)
        return pid;
    if (daemon)
        run_daemon();
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    run_place(fds, fd_count);
    if (chdir("/") == 0)
        (void)execv(path, run_words(argv));
    _exit(RUN_FAILED);
}

void run_last_line(int out, char *text, size_t size)
{
    char all[2048];
    char *save = NULL;
    ssize_t n = pread(out, all, sizeof(all) - 1, 0);
    all[n > 0 ? n : 0] = '\0';
    (void)snprintf(text, size, "it failed");
    for (char *line = strtok_r(all, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        if (strstr(line, "syslog") == NULL)
            (void)snprintf(text, size, "%s", line);
}
