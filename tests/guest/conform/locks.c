// SPDX-License-Identifier: Apache-2.0
/* flock, POSIX and open-file-description locks, leases, fcntl, close_range. */
#include <sys/file.h>

#include "tests/guest/conform/t.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif
#ifndef F_SETLEASE
#define F_SETLEASE 1024
#define F_GETLEASE 1025
#endif

static struct flock lk(short type, off_t start, off_t len)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static int set(int fd, short type, off_t start, off_t len)
{
    struct flock l = lk(type, start, len);

    return fcntl(fd, F_SETLK, &l);
}

static int ofd(int fd, short type, off_t start, off_t len)
{
    struct flock l = lk(type, start, len);

    return fcntl(fd, F_OFD_SETLK, &l);
}

/* What another process is told about the range. */
static void ask(const char *label, int fd, short type, off_t start, off_t len)
{
    pid_t me = getpid(), pid = fork();

    if (pid == 0) {
        struct flock l = lk(type, start, len);
        int r = fcntl(fd, F_GETLK, &l);
        t_say(label, "%d type=%d start=%ld len=%ld pid=%d", r, l.l_type,
              (long)l.l_start, (long)l.l_len, l.l_pid == me ? 1 : l.l_pid);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static int other_set(int fd, short type, off_t start, off_t len)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(set(fd, type, start, len) < 0 ? errno : 0);
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    return errno == 0 ? 0 : -1;
}

static void posix(void)
{
    int fd = t_file("p", 100), ro = open("p", O_RDONLY),
        wo = open("p", O_WRONLY), again;
    struct flock l;

    T("set_w", set(fd, F_WRLCK, 10, 10));
    T("own_overlap", set(fd, F_RDLCK, 12, 3));
    ask("ask_w", fd, F_WRLCK, 0, 100);
    ask("ask_r_on_r", fd, F_RDLCK, 12, 3);
    ask("ask_r_on_w", fd, F_RDLCK, 15, 3);
    ask("ask_after", fd, F_WRLCK, 20, 0);
    T("other_w", other_set(fd, F_WRLCK, 0, 11));
    T("other_r", other_set(fd, F_RDLCK, 12, 2));
    T("unlock_mid", set(fd, F_UNLCK, 11, 2));
    ask("ask_split", fd, F_WRLCK, 11, 2);
    ask("ask_split2", fd, F_WRLCK, 0, 0);
    T("ro_w", set(ro, F_WRLCK, 50, 1));
    T("wo_r", set(wo, F_RDLCK, 50, 1));
    T("type", set(fd, 7, 0, 1));
    T("neg_start", set(fd, F_RDLCK, -1, 1));
    T("neg_len", set(fd, F_RDLCK, 60, -5));
    ask("ask_neg_len", fd, F_WRLCK, 50, 10);
    T("neg_len_far", set(fd, F_RDLCK, 3, -5));
    T("overflow", set(fd, F_RDLCK, LLONG_MAX, 2));
    l = lk(F_RDLCK, -10, 5);
    l.l_whence = SEEK_END;
    T("whence_end", fcntl(fd, F_SETLK, &l));
    ask("ask_end", fd, F_WRLCK, 90, 0);
    l.l_whence = 9;
    T("whence", fcntl(fd, F_SETLK, &l));
    l = lk(F_UNLCK, 0, 0);
    T("getlk_unlck", fcntl(fd, F_GETLK, &l));
    T("bad_fd", set(999, F_RDLCK, 0, 1));
    T("path_fd", set(open("p", O_PATH), F_RDLCK, 0, 1));
    T("ptr", fcntl(fd, F_SETLK, BAD_PTR));
    again = open("p", O_RDWR);
    close(again); /* any close of the file drops this process's locks */
    ask("ask_closed", fd, F_WRLCK, 0, 0);
    int p[2];
    pipe(p);
    T("pipe", set(p[0], F_RDLCK, 0, 1));
    T("dir", set(open(".", O_RDONLY), F_RDLCK, 0, 1));
    set(fd, F_WRLCK, 0, 0);
    if (fork() == 0) {
        T("not_inherited", set(fd, F_WRLCK, 0, 1));
        _exit(0);
    }
    wait(NULL);
}

static void waits(void)
{
    int fd = t_file("w", 100);
    struct flock l = lk(F_WRLCK, 0, 10), l2 = lk(F_WRLCK, 20, 10);
    int status, p[2];
    char b;

    pipe(p);
    T("w_set", fcntl(fd, F_SETLKW, &l));
    pid_t pid = fork();
    if (pid == 0) {
        fcntl(fd, F_SETLKW, &l2);
        write(p[1], "x", 1);
        _exit(fcntl(fd, F_SETLKW, &l) < 0 ? errno : 0); /* waits for us */
    }
    read(p[0], &b, 1);
    t_asleep(pid);
    T("deadlock", fcntl(fd, F_SETLKW, &l2));
    T("unlock", set(fd, F_UNLCK, 0, 0));
    waitpid(pid, &status, 0);
    T("waiter", WEXITSTATUS(status));
    fcntl(fd, F_SETLKW, &l);
    pid = fork();
    if (pid == 0) {
        t_catch(SIGALRM, 0);
        t_alarms();
        _exit(fcntl(fd, F_SETLKW, &l) < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    T("interrupted", WEXITSTATUS(status));
}

static void descriptions(void)
{
    int a = t_file("o", 100), b = open("o", O_RDWR), c = dup(a);
    struct flock l = lk(F_WRLCK, 0, 0);

    T("ofd_set", ofd(a, F_WRLCK, 0, 10));
    T("ofd_other", ofd(b, F_WRLCK, 5, 1));
    T("ofd_other_r", ofd(b, F_RDLCK, 5, 1));
    T("ofd_dup", ofd(c, F_RDLCK, 5, 1));
    T("ofd_posix", set(b, F_WRLCK, 0, 1));
    T("ofd_get", fcntl(b, F_OFD_GETLK, &l));
    t_say("ofd_get_is", "type=%d start=%ld len=%ld pid=%d", l.l_type,
          (long)l.l_start, (long)l.l_len, l.l_pid);
    l = lk(F_WRLCK, 0, 0);
    l.l_pid = 5;
    T("ofd_pid", fcntl(b, F_OFD_SETLK, &l));
    close(a);
    T("ofd_dup_keeps", ofd(b, F_WRLCK, 0, 1));
    close(c);
    T("ofd_closed", ofd(b, F_WRLCK, 0, 1));
}

static void whole(void)
{
    int a = t_file("fl", 1), b = open("fl", O_RDONLY), c = dup(a), p[2];

    pipe(p);
    T("ex", flock(a, LOCK_EX));
    T("ex_other", flock(b, LOCK_EX | LOCK_NB));
    T("sh_other", flock(b, LOCK_SH | LOCK_NB));
    T("ex_dup", flock(c, LOCK_EX | LOCK_NB));
    T("to_sh", flock(a, LOCK_SH));
    T("sh_now", flock(b, LOCK_SH | LOCK_NB));
    T("upgrade", flock(a, LOCK_EX | LOCK_NB));
    T("upgrade_lost", flock(b, LOCK_EX | LOCK_NB));
    T("un", flock(b, LOCK_UN));
    T("un_again", flock(b, LOCK_UN));
    T("zero", flock(a, 0));
    T("both", flock(a, LOCK_SH | LOCK_EX));
    T("unknown", flock(a, 64));
    T("nb_only", flock(a, LOCK_NB));
    T("bad", flock(999, LOCK_SH));
    T("fpipe", flock(p[0], LOCK_SH));
    T("fdir", flock(open(".", O_RDONLY), LOCK_EX));
    T("fpath", flock(open("fl", O_PATH), LOCK_SH));
    T("posix_free", set(b, F_RDLCK, 0, 0));
    flock(a, LOCK_EX);
    pid_t pid = fork();
    int status;
    if (pid == 0)
        _exit(flock(a, LOCK_UN) == 0 ? 0 : 1); /* shared with the parent */
    waitpid(pid, &status, 0);
    T("child_unlocks", flock(b, LOCK_EX | LOCK_NB));
    close(b);
    T("closed", flock(a, LOCK_EX | LOCK_NB));
}

static void descriptors(void)
{
    int fd = t_file("d", 1), p[2], n;
    struct {
        int type, pid;
    } own = {1, getpid()};

    pipe(p);
    T("dupfd", fcntl(fd, F_DUPFD, 100));
    T("dupfd_next", fcntl(fd, F_DUPFD, 100));
    T("dupfd_cloexec", fcntl(fd, F_DUPFD_CLOEXEC, 200));
    T("dupfd_cloexec_is", fcntl(200, F_GETFD));
    T("dupfd_neg", fcntl(fd, F_DUPFD, -1));
    T("dupfd_far", fcntl(fd, F_DUPFD, INT_MAX));
    T("setfd", fcntl(100, F_SETFD, 0xff));
    T("getfd", fcntl(100, F_GETFD));
    T("dup2_same", dup2(fd, fd) == fd);
    T("dup2_same_bad", dup2(999, 999));
    T("dup2_neg", SC(dup2, fd, -1));
    T("dup2_far", SC(dup2, fd, 1 << 30));
    T("dup3_same", SC(dup3, fd, fd, 0));
    T("dup3_flags", SC(dup3, fd, 50, O_NONBLOCK));
    T("dup3", SC(dup3, fd, 50, O_CLOEXEC));
    T("dup3_is", fcntl(50, F_GETFD));
    T("unknown", fcntl(fd, 9999));
    T("bad", fcntl(999, F_GETFD));
    T("setown", fcntl(p[0], F_SETOWN, getpid()));
    YES("getown", fcntl(p[0], F_GETOWN) == getpid());
    T("setown_group", fcntl(p[0], F_SETOWN, -getpgrp()));
    T("setown_bad", fcntl(p[0], F_SETOWN, 99999));
    T("setown_ex", fcntl(p[0], 15, &own));
    own.type = own.pid = 0;
    T("getown_ex", fcntl(p[0], 16, &own));
    t_say("getown_ex_is", "%d %d", own.type, own.pid == getpid());
    T("setsig", fcntl(p[0], 10, SIGUSR1));
    T("getsig", fcntl(p[0], 11));
    T("setsig_bad", fcntl(p[0], 10, 65));
    T("pipe_sz", fcntl(p[0], 1032));
    T("pipe_sz_file", fcntl(fd, 1032));
    T("lease_get", fcntl(fd, F_GETLEASE));
    T("fionread", SC(ioctl, fd, 0x541b, &n) == 0 ? n : -1);
    T("fionbio", SC(ioctl, p[0], 0x5421, &(int){1}));
    T("fionbio_is", fcntl(p[0], F_GETFL) & O_NONBLOCK);
    T("fioclex", SC(ioctl, p[0], 0x5451, 0));
    T("fioclex_is", fcntl(p[0], F_GETFD));
    T("fionclex", SC(ioctl, p[0], 0x5450, 0));
    T("ioctl_file", SC(ioctl, fd, 0x5401, &n));
    T("ioctl_bad", SC(ioctl, 999, 0x5401, &n));
    T("range_order", SC(close_range, 60, 50, 0));
    T("range_flags", SC(close_range, 60, 70, 1));
    T("range_cloexec", SC(close_range, 100, 100, 4));
    T("range_cloexec_is", fcntl(100, F_GETFD));
    T("range", SC(close_range, 100, ~0u, 0));
    T("range_gone", fcntl(101, F_GETFD));
    T("range_empty", SC(close_range, 1000, 2000, 0));
    T("range_unshare", SC(close_range, 50, 60, 2));
    T("close_bad", close(999));
    T("close_neg", close(-1));
}

int main(void)
{
    t_begin("locks");
    t_child("posix", posix);
    t_child("waits", waits);
    descriptions();
    whole();
    descriptors();
    return 0;
}
