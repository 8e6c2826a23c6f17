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

enum { RUN_FAILED = 127 };

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

static int run_memory(const char *text, struct err *e)
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

static void run_child(const char *path, const char *const *argv, int in,
                      int out)
{
    /* execv(3) changes none of them. */
    const union {
        const char *const *in;
        char *const *out;
    } words = {.in = argv};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (words.out != NULL && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        dup2(out, 2) == 2)
        (void)execv(path, words.out);
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
