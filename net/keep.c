// SPDX-License-Identifier: Apache-2.0
/* The launcher's side of the keeper. */
#include "net/keep.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/fdsend.h"
#include "base/path.h"
#include "net/bridge.h"

enum {
    KEEP_BACKLOG = 64,
    KEEP_PATIENCE_MS = 30000,
    KEEP_LISTENER = 3, /* fds of the keeper */
    KEEP_ROOT = 4,
};

static int keep_socket(const struct store *s, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(out->sun_path, sizeof(out->sun_path),
                   "/proc/self/fd/%d/keeper-%llu", s->dir,
                   (unsigned long long)s->ns);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int keep_try(const struct store *s)
{
    struct sockaddr_un a;
    AUTO_CLOSE int fd = keep_socket(s, &a);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return fd_release(&fd);
}

/* A daemon: no terminal, no fds of ours, a parent that is not us. */
static void keep_exec(const char *path, int listener, int root, int log)
{
    sigset_t none;
    char listener_arg[] = "3";
    char root_arg[] = "4";
    char name[] = "limpet-net";
    char verb[] = "keep";
    char *const argv[] = {name, verb, listener_arg, root_arg, NULL};
    char *const env[] = {NULL};
    (void)setsid();
    if (fork() != 0)
        _exit(0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Away from the numbers they are to have. */
    int from[] = {
        fcntl(null, F_DUPFD_CLOEXEC, 16), fcntl(null, F_DUPFD_CLOEXEC, 16),
        fcntl(log, F_DUPFD_CLOEXEC, 16), fcntl(listener, F_DUPFD_CLOEXEC, 16),
        fcntl(root, F_DUPFD_CLOEXEC, 16)};
    for (int i = 0; i < (int)ARRAY_COUNT(from); i++)
        if (from[i] < 0 || dup2(from[i], i) < 0)
            _exit(1);
    (void)close_range(KEEP_ROOT + 1, ~0U, 0);
    if (chdir("/") == 0)
        (void)execve(path, argv, env);
    _exit(1);
}

static int keep_spawn(const struct store *s, const char *libexec, int listener,
                      struct err *e)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/limpet-net", libexec);
    if (access(path, X_OK) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    AUTO_CLOSE int log =
        path_open(s->dir, "keeper.log", O_WRONLY | O_CREAT | O_APPEND, e);
    if (log < 0)
        return log;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, -errno, "fork: %s", strerror(errno));
    if (pid == 0)
        keep_exec(path, listener, s->root, log);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return 0;
}

int keep_connect(struct bridge_host *h, const char *libexec, struct err *e)
{
    const struct store *s = h->store;
    int fd = keep_try(s);
    if (fd >= 0)
        return fd;
    char name[64];
    struct sockaddr_un a;
    (void)bridge_sweep(h);
    (void)snprintf(name, sizeof(name), "keeper-%llu",
                   (unsigned long long)s->ns);
    (void)unlinkat(s->dir, name, 0);
    AUTO_CLOSE int listener = keep_socket(s, &a);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(listener, KEEP_BACKLOG) < 0)
        return err_set(e, -errno, "networks/%s: %s", name, strerror(errno));
    int code = keep_spawn(s, libexec, listener, e);
    if (code < 0) {
        (void)unlinkat(s->dir, name, 0);
        return code;
    }
    h->new_keeper = true;
    fd = keep_try(s);
    return fd < 0 ? err_set(e, fd, "the keeper of networks: %s", strerror(-fd))
                  : fd;
}

static int keep_send(int fd, const struct keep_msg *m, const int *fds)
{
    return fd_send(fd, m, sizeof(*m), fds, m->count);
}

static int keep_wait(int fd)
{
    uint8_t answer = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, KEEP_PATIENCE_MS) <= 0)
        return -ETIMEDOUT;
    return recv(fd, &answer, 1, 0) == 1 ? answer : -EPIPE;
}

int keep_add(int fd, const struct keep_add *a, struct err *e)
{
    struct keep_msg m = {.refilled = a->refilled};
    int batch[KEEP_FDS];
    int code = 0;
    lease_key(a->lease, m.key);
    for (unsigned i = 0; i < 2 * a->lease->ports.count && code == 0; i++) {
        if (a->fds[i] < 0)
            continue;
        m.at[m.count] = (struct keep_socket){.port = (uint16_t)(i / 2),
                                             .v6 = (uint16_t)(i % 2)};
        batch[m.count++] = a->fds[i];
        if (m.count == KEEP_FDS) {
            code = keep_send(fd, &m, batch);
            m.count = 0;
        }
    }
    m.last = 1;
    if (code == 0)
        code = keep_send(fd, &m, batch);
    if (code == 0 && a->wait)
        code = keep_wait(fd);
    return code < 0
               ? err_set(e, code, "the keeper of networks: %s", strerror(-code))
               : code;
}

/* The pipe's end goes to the keeper and on to its helper, behind the news of
 * who has gone: it hangs up when both are through. */
void keep_forget(int fd)
{
    const struct keep_msg m = {.count = 1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    struct pollfd p = {.fd = ends[0]};
    int code = keep_send(fd, &m, &ends[1]);
    (void)close(ends[1]);
    if (code == 0)
        (void)poll(&p, 1, KEEP_PATIENCE_MS);
    (void)close(ends[0]);
}
