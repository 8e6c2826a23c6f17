// SPDX-License-Identifier: Apache-2.0
/* The container's main program: process 1 of its own pid namespace. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/stock/stock.h"

/* The program's ends; each may be the same file. */
struct ends {
    int fd[3];
    int report; /* gets the errno that stopped it; closed by exec */
};

static const char *env_get(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* execvp(3) without its fall-back to a shell; EACCES counts more than ENOENT.
 * Returns the errno. */
static int exec_path(const struct record *r)
{
    char full[4096];
    int result = ENOENT;
    const char *name = r->argv[0];
    const char *dir = env_get(r->envv, "PATH");
    while (dir != NULL && name[0] != '\0') {
        size_t len = strcspn(dir, ":");
        int n = snprintf(full, sizeof(full), "%.*s%s%s", (int)len, dir,
                         len > 0 ? "/" : "", name);
        if (n > 0 && (size_t)n < sizeof(full)) {
            (void)execve(full, r->argv, r->envv);
            if (errno == EACCES)
                result = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR)
                return errno;
        }
        dir = dir[len] == ':' ? dir + len + 1 : NULL;
    }
    return result;
}

static int set_ids(const struct boot_container *h)
{
    gid_t gids[BOOT_GID_MAX];
    for (uint32_t i = 0; i < h->gid_count; i++)
        gids[i] = h->gids[i];
    if (setgroups(h->gid_count, gids) < 0 ||
        setresgid(h->gid, h->gid, h->gid) < 0 ||
        setresuid(h->uid, h->uid, h->uid) < 0)
        return errno;
    return 0;
}

static int set_stdio(const struct record *r, const struct ends *e)
{
    for (int i = 0; i < 3; i++)
        if (dup2(e->fd[i], i) < 0)
            return errno;
    if ((r->head.flags & BOOT_CONT_TTY) != 0 && ioctl(0, TIOCSCTTY, 0) < 0)
        return errno;
    return 0;
}

/* Everything between fork and exec; an errno. */
static int child(const struct record *r, const struct ends *e)
{
    const struct boot_container *h = &r->head;
    const struct rlimit files = {h->nofile_soft, h->nofile_hard};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL); /* NOLINT(bugprone-unused-return-value) */
    (void)setsid();
    (void)mkdir("/proc", 0755);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) <
        0)
        return errno;
    const char *cwd = r->cwd[0] != '\0' ? r->cwd : "/";
    if (chdir(cwd) < 0 && (system_make_dirs(cwd) < 0 || chdir(cwd) < 0))
        return errno;
    if (h->nofile_hard != 0 && setrlimit(RLIMIT_NOFILE, &files) < 0)
        return errno;
    int rc = set_stdio(r, e);
    if (rc == 0)
        rc = set_ids(h);
    if (rc != 0)
        return rc;
    (void)umask(h->umask & 0777);
    if (strchr(r->argv[0], '/') == NULL)
        return exec_path(r);
    (void)execve(r->argv[0], r->argv, r->envv);
    return errno;
}

static void open_pipe(int *ours, int *theirs, bool to_program)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) < 0)
        stock_fail("pipe");
    *ours = fd[to_program ? 1 : 0];
    *theirs = fd[to_program ? 0 : 1];
    (void)fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static void open_terminal(const struct record *r, struct program *p,
                          struct ends *e)
{
    const struct winsize size = {.ws_row = r->head.rows,
                                 .ws_col = r->head.cols};
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof(name)) != 0)
        stock_fail("terminal");
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        stock_fail(name);
    if (size.ws_row != 0)
        (void)ioctl(master, TIOCSWINSZ, &size);
    (void)fchown(slave, r->head.uid, (gid_t)-1);
    p->in = p->out = master;
    e->fd[0] = e->fd[1] = e->fd[2] = slave;
}

static void open_ends(const struct record *r, struct program *p, struct ends *e)
{
    if ((r->head.flags & BOOT_CONT_TTY) != 0) {
        open_terminal(r, p, e);
        return;
    }
    open_pipe(&p->out, &e->fd[1], false);
    open_pipe(&p->err, &e->fd[2], false);
    if ((r->head.flags & BOOT_CONT_STDIN) != 0)
        open_pipe(&p->in, &e->fd[0], true);
    else
        e->fd[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void program_start(const struct record *r, struct program *p)
{
    struct ends e;
    int report;
    int why = 0;
    *p = (struct program){-1, -1, -1, -1};
    open_ends(r, p, &e);
    open_pipe(&report, &e.report, false);
    (void)fcntl(report, F_SETFL, 0);
    if (unshare(CLONE_NEWPID) < 0)
        stock_fail("pid namespace");
    p->pid = fork();
    if (p->pid < 0)
        stock_fail("fork");
    if (p->pid == 0) {
        why = child(r, &e);
        (void)!write(e.report, &why, sizeof(why));
        _exit(127);
    }
    (void)close(e.report);
    for (int i = 0; i < 3; i++)
        if (i == 0 || e.fd[i] != e.fd[0])
            (void)close(e.fd[i]);
    if (read(report, &why, sizeof(why)) == (ssize_t)sizeof(why))
        stock_exit(CTL_NOEXEC, (uint32_t)why, r->argv[0]);
    (void)close(report);
}
