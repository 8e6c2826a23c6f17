// SPDX-License-Identifier: Apache-2.0
#include "supervisor/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"

enum { SPAWN_STACK = 32 << 10, SPAWN_UMASK = 022, SPAWN_FAILED = 125 };

/* What to try, best first. */
static const struct {
    int flags;
    const char *missing;
} spawn_tries[] = {
    {CLONE_NEWUSER | CLONE_NEWPID, ""},
    {CLONE_NEWPID, "its own user namespace"},
    {0, "its own user and pid namespaces"},
};

/* Shared with the child, which runs on our memory until it execs. */
struct spawn_child {
    const struct spawn *spec;
    int program; /* fd */
    int flags;
    int code;         /* negative errno of the child, 0: it runs */
    const char *step; /* what failed */
    uid_t uid;
    gid_t gid;
};

static int spawn_write_proc(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = path_write_all(fd, text, strlen(text));
    (void)close(fd);
    return code;
}

/* user_namespaces(7): setgroups must be denied before an unprivileged
 * gid_map. uid 0 inside keeps the capabilities over exec. */
static int spawn_map_ids(uid_t uid, gid_t gid)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "0 %u 1\n", uid);
    int code = spawn_write_proc("/proc/self/uid_map", text);
    if (code == 0)
        code = spawn_write_proc("/proc/self/setgroups", "deny");
    (void)snprintf(text, sizeof(text), "0 %u 1\n", gid);
    return code < 0 ? code : spawn_write_proc("/proc/self/gid_map", text);
}

static bool spawn_keeps(const struct spawn *s, int fd)
{
    for (size_t i = 0; i < s->fd_count; i++)
        if (s->fds[i] == fd)
            return true;
    return false;
}

static int spawn_set_fds(const struct spawn *s)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS &&
        errno != EINVAL)
        return -errno;
    for (size_t i = 0; i < s->fd_count; i++)
        if (s->fds[i] > 2 && fcntl(s->fds[i], F_SETFD, 0) < 0)
            return -errno;

    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int fd = 0; fd < 3; fd++) {
        int stand_in = fd > 0 && s->spare_fd >= 0 ? s->spare_fd : null;
        if (!spawn_keeps(s, fd) && dup2(stand_in, fd) < 0)
            return -errno;
    }
    return 0;
}

static int spawn_enter(const struct spawn *s)
{
    sigset_t none;
    (void)setsid(); /* terminal signals are the launcher's to forward */
    (void)umask(SPAWN_UMASK);
    if (chdir("/") < 0)
        return -errno;
    int code = spawn_set_fds(s);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    return code;
}

static int spawn_child_main(void *arg)
{
    struct spawn_child *c = arg;
    c->step = "user namespace";
    if ((c->flags & CLONE_NEWUSER) != 0)
        c->code = spawn_map_ids(c->uid, c->gid);
    if (c->code == 0) {
        c->step = "files";
        c->code = spawn_enter(c->spec);
    }
    if (c->code == 0) {
        static char *const no_env[] = {NULL};
        c->step = "exec";
        (void)execveat(c->program, "", c->spec->argv, no_env, AT_EMPTY_PATH);
        c->code = -errno;
    }
    _exit(SPAWN_FAILED);
}

static void spawn_block_signals(sigset_t *old)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, old);
}

/* A vfork that also makes namespaces: no page tables are copied. */
static pid_t spawn_try(struct spawn_child *c)
{
    alignas(16) static char stack[SPAWN_STACK];
    sigset_t old;
    spawn_block_signals(&old);
    pid_t pid = clone(spawn_child_main, stack + sizeof(stack),
                      CLONE_VM | CLONE_VFORK | SIGCHLD | c->flags, c);
    int code = pid < 0 ? -errno : 0;
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (code < 0) {
        c->step = "clone";
        c->code = code;
        return code;
    }
    if (c->code < 0) {
        (void)waitpid(pid, NULL, 0);
        return c->code;
    }
    return pid;
}

pid_t spawn_program(const struct spawn *s, const char **missing, struct err *e)
{
    AUTO_CLOSE int program = open(s->path, O_PATH | O_CLOEXEC);
    if (program < 0)
        return err_set(e, -errno, "%s: %s", s->path, strerror(errno));
    struct spawn_child c = {.spec = s, .program = program};
    for (size_t i = 0; i < ARRAY_COUNT(spawn_tries); i++) {
        c.flags = spawn_tries[i].flags;
        c.uid = geteuid();
        c.gid = getegid();
        c.code = 0;
        pid_t pid = spawn_try(&c);
        *missing = spawn_tries[i].missing;
        if (pid > 0)
            return pid;
        if (strcmp(c.step, "clone") != 0 &&
            strcmp(c.step, "user namespace") != 0)
            break;
    }
    return err_set(e, c.code, "%s: cannot start (%s): %s", s->path, c.step,
                   strerror(-c.code));
}

/* What exec would have closed. */
static void spawn_close_rest(const struct spawn *s)
{
    enum { LAST = 1023 };
    for (int fd = 3; fd <= LAST; fd++)
        if (!spawn_keeps(s, fd))
            (void)close(fd);
    (void)close_range(LAST + 1, ~0U, 0);
}

pid_t spawn_function(struct spawn *s, void (*run)(struct spawn *),
                     const char **missing, struct err *e)
{
    /* Root needs no user namespace to make a pid namespace, and QEMU may
     * want files that only full root can open. */
    size_t first = geteuid() == 0 ? 1 : 0;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    for (size_t i = first; i < ARRAY_COUNT(spawn_tries); i++) {
        long pid =
            syscall(SYS_clone, spawn_tries[i].flags | SIGCHLD, 0, 0, 0, 0);
        *missing = i == first ? "" : spawn_tries[i].missing;
        if (pid > 0)
            return (pid_t)pid;
        if (pid == 0) {
            /* Unmapped ids still own their files: no reason to stop. */
            if ((spawn_tries[i].flags & CLONE_NEWUSER) != 0)
                (void)spawn_map_ids(uid, gid);
            if (spawn_enter(s) == 0) {
                spawn_close_rest(s);
                run(s);
            }
            _exit(SPAWN_FAILED);
        }
    }
    return err_set(e, -errno, "cannot start a process: %s", strerror(errno));
}
