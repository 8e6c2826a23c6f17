// SPDX-License-Identifier: Apache-2.0
/* Bad pointers, for every call and argument that is one: EFAULT, as on Linux,
 * and nothing else happens. */
#include <sys/epoll.h>

#include "tests/guest/conform/t.h"

/* Placeholders among the arguments, filled in before each call. */
enum {
    P = -1000,  /* a pointer that is checked: bad ones take turns here */
    FD = -1001, /* a regular file */
    PR = -1002, /* a pipe's end for reading, with bytes in it */
    PW = -1003,
    EP = -1004, /* epoll */
    EV = -1005, /* eventfd */
    TF = -1006, /* timerfd */
    NAME = -1007,
    BUF = -1008,  /* memory to write to */
    ZERO = -1009, /* memory full of zeros */
    DIR = -1010,
    CWD = -1011,
    ME = -1012,
};

#define C(name, ...)                                                           \
    {                                                                          \
        SYS_##name, #name,                                                     \
        {                                                                      \
            __VA_ARGS__                                                        \
        }                                                                      \
    }

static const struct call {
    long nr;
    const char *name;
    long arg[6];
} calls[] = {
    C(read, FD, P, 8),
    C(write, FD, P, 8),
    C(pread64, FD, P, 8, 0),
    C(pwrite64, FD, P, 8, 0),
    C(readv, FD, P, 1),
    C(writev, FD, P, 1),
    C(preadv, FD, P, 1, 0),
    C(pwritev, FD, P, 1, 0),
    C(read, PR, P, 8),
    C(write, PW, P, 8),
    C(openat, CWD, P, 0),
    C(openat2, CWD, P, ZERO, 24),
    C(openat2, CWD, NAME, P, 24),
    C(mkdirat, CWD, P, 0755),
    C(mknodat, CWD, P, 0100644, 0),
    C(unlinkat, CWD, P, 0),
    C(symlinkat, P, CWD, NAME),
    C(symlinkat, NAME, CWD, P),
    C(linkat, CWD, P, CWD, NAME, 0),
    C(linkat, CWD, NAME, CWD, P, 0),
    C(renameat2, CWD, P, CWD, NAME, 0),
    C(renameat2, CWD, NAME, CWD, P, 0),
    C(fchmodat, CWD, P, 0644),
    C(fchownat, CWD, P, 0, 0, 0),
    C(faccessat, CWD, P, 0),
    C(faccessat2, CWD, P, 0, 0),
    C(readlinkat, CWD, P, BUF, 8),
    C(utimensat, CWD, P, 0, 0),
    C(utimensat, CWD, NAME, P, 0),
    C(newfstatat, CWD, P, BUF, 0),
    C(newfstatat, CWD, NAME, P, 0),
    C(fstat, FD, P),
    C(statx, CWD, P, 0, 0xfff, BUF),
    C(statx, CWD, NAME, 0, 0xfff, P),
    C(statfs, P, BUF),
    C(statfs, NAME, P),
    C(fstatfs, FD, P),
    C(truncate, P, 0),
    C(chdir, P),
    C(chroot, P),
    C(getcwd, P, 64),
    C(getdents64, DIR, P, 1024),
    C(sendfile, FD, FD, P, 8),
    C(copy_file_range, FD, P, FD, 0, 8, 0),
    C(copy_file_range, FD, 0, FD, P, 8, 0),
    C(setxattr, P, NAME, BUF, 1, 0),
    C(setxattr, NAME, P, BUF, 1, 0),
    C(getxattr, P, NAME, BUF, 8),
    C(getxattr, NAME, P, BUF, 8),
    C(listxattr, P, BUF, 8),
    C(removexattr, P, NAME),
    C(removexattr, NAME, P),
    C(fsetxattr, FD, P, BUF, 1, 0),
    C(fgetxattr, FD, P, BUF, 8),
    C(memfd_create, P, 0),
    C(pipe2, P, 0),
    C(ioctl, PR, 0x541b, P),
    C(fcntl, FD, F_GETLK, P),
    C(fcntl, FD, F_SETLK, P),
    C(fcntl, FD, F_SETLKW, P),
    C(fcntl, FD, 36, P),
    C(fcntl, FD, 37, P),
    C(fcntl, FD, 15, P),
    C(fcntl, FD, 16, P),
    C(mount, P, NAME, NAME, 0, 0),
    C(mount, ZERO, P, NAME, 0, 0),
    C(umount2, P, 0),
    C(execve, P, ZERO, ZERO),
    C(execve, NAME, P, ZERO),
    C(execve, NAME, ZERO, P),
    C(execveat, CWD, P, ZERO, ZERO, 0),
    C(inotify_add_watch, 999, P, 1),
    C(wait4, -1, P, 1, 0),
    C(waitid, 0, 0, P, 5, 0),
    C(getrusage, 0, P),
    C(times, P),
    C(uname, P),
    C(sysinfo, P),
    C(sethostname, P, 4),
    C(setdomainname, P, 4),
    C(getrlimit, 7, P),
    C(setrlimit, 7, P),
    C(prlimit64, 0, 7, P, 0),
    C(prlimit64, 0, 7, 0, P),
    C(getgroups, 8, P),
    C(setgroups, 2, P),
    C(getresuid, P, BUF, BUF),
    C(getresuid, BUF, P, BUF),
    C(getresuid, BUF, BUF, P),
    C(getresgid, P, BUF, BUF),
    C(capget, P, BUF),
    C(capset, P, BUF),
    C(getrandom, P, 8, 0),
    C(getcpu, P, 0, 0),
    C(getcpu, 0, P, 0),
    C(sched_getaffinity, 0, 128, P),
    C(sched_setaffinity, 0, 8, P),
    C(sched_getparam, 0, P),
    C(sched_setparam, 0, P),
    C(sched_setscheduler, 0, 0, P),
    C(sched_rr_get_interval, 0, P),
    C(nanosleep, P, 0),
    C(clock_nanosleep, 1, 0, P, 0),
    C(clock_gettime, 0, P),
    C(clock_settime, 0, P),
    C(clock_getres, 0, P),
    C(gettimeofday, P, 0),
    C(gettimeofday, 0, P),
    C(settimeofday, P, 0),
    C(adjtimex, P),
    C(setitimer, 0, P, 0),
    C(getitimer, 0, P),
    C(timer_create, 0, P, BUF),
    C(timer_create, 0, 0, P),
    C(rt_sigaction, 10, P, 0, 8),
    C(rt_sigaction, 10, 0, P, 8),
    C(rt_sigprocmask, 0, P, 0, 8),
    C(rt_sigprocmask, 0, 0, P, 8),
    C(rt_sigpending, P, 8),
    C(rt_sigsuspend, P, 8),
    C(rt_sigtimedwait, P, 0, ZERO, 8),
    C(rt_sigtimedwait, ZERO, 0, P, 8),
    C(rt_sigqueueinfo, ME, 10, P),
    C(rt_tgsigqueueinfo, ME, ME, 10, P),
    C(sigaltstack, P, 0),
    C(sigaltstack, 0, P),
    C(futex, P, 0, 0, 0),
    C(futex, P, 1, 1),
    C(futex, ZERO, 0, 0, P),
    C(futex, P, 3, 1, 1, ZERO, 0),
    C(futex, P, 4, 1, 1, ZERO, 0),
    C(futex, P, 5, 1, 1, ZERO, 0),
    C(futex, ZERO, 3, 1, 1, P, 0),
    C(get_robust_list, 0, P, BUF),
    C(get_robust_list, 0, BUF, P),
    C(epoll_ctl, EP, 1, PR, P),
    C(epoll_wait, EP, P, 1, 0),
    C(epoll_pwait, EP, BUF, 1, 0, P, 8),
    C(poll, P, 1, 0),
    C(ppoll, P, 1, ZERO, 0, 8),
    C(ppoll, ZERO, 0, P, 0, 8),
    C(ppoll, ZERO, 0, ZERO, P, 8),
    C(select, 1, P, 0, 0, ZERO),
    C(select, 1, 0, P, 0, ZERO),
    C(select, 1, 0, 0, P, ZERO),
    C(select, 0, 0, 0, 0, P),
    C(pselect6, 0, 0, 0, 0, ZERO, P),
    C(pselect6, 0, 0, 0, 0, P, 0),
    C(signalfd4, -1, P, 8, 0),
    C(timerfd_settime, TF, 0, P, 0),
    C(timerfd_settime, TF, 0, ZERO, P),
    C(timerfd_gettime, TF, P),
    C(read, EV, P, 8),
    C(write, EV, P, 8),
    C(prctl, 2, P),
    C(prctl, 15, P),
    C(prctl, 16, P),
    C(prctl, 37, P),
    C(mincore, BUF, 4096, P),
    C(clone3, P, 88),
    C(syslog, 3, P, 8),
    C(name_to_handle_at, CWD, P, BUF, BUF, 0),
    C(name_to_handle_at, CWD, NAME, P, BUF, 0),
};

static char buf[8192] __attribute__((aligned(4096)));
static char zero[4096] __attribute__((aligned(4096)));
static char name[4096] __attribute__((aligned(4096))) = "efault.name";
static int fd, dir, p[2], ep, ev, tf;

static long value(long arg, long bad)
{
    switch (arg) {
    case P: return bad;
    case FD: return fd;
    case PR: return p[0];
    case PW: return p[1];
    case EP: return ep;
    case EV: return ev;
    case TF: return tf;
    case NAME: return (long)name;
    case BUF: return (long)buf;
    case ZERO: return (long)zero;
    case DIR: return dir;
    case CWD: return AT_FDCWD;
    case ME: return getpid();
    default: return arg;
    }
}

static long attempt(const struct call *c, long bad)
{
    long a[6];

    memset(zero, 0, sizeof(zero));
    for (int i = 0; i < 6; i++)
        a[i] = value(c->arg[i], bad);
    (void)lseek(fd, 0, SEEK_SET);
    (void)lseek(dir, 0, SEEK_SET);
    long r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    return r == -1 ? -errno : r;
}

int main(void)
{
    char *none =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long bad[] = {64, (long)none, (long)KERNEL_PTR, -4096,
                  (long)0x8000000000000000ul};

    t_begin("efault");
    fd = t_file("data", 100);
    dir = open(".", O_RDONLY);
    pipe2(p, O_NONBLOCK);
    (void)write(p[1], "0123456789", 10);
    ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
    ev = (int)SC(eventfd2, 1, O_NONBLOCK);
    tf = (int)SC(timerfd_create, 1, O_NONBLOCK);
    SC(setgroups, 2, zero);
    close(open(name, O_CREAT | O_RDWR, 0644));
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char line[256] = "";
        size_t n = 0;
        int pos = 0;
        while (pos < 5 && calls[i].arg[pos] != P)
            pos++;
        for (unsigned k = 0; k < sizeof(bad) / sizeof(bad[0]) && n < 200; k++) {
            long r = attempt(&calls[i], bad[k]);
            n += (size_t)snprintf(line + n, sizeof(line) - n, " %s",
                                  r < 0 ? t_errno((int)-r) : "ok");
        }
        char label[64];
        (void)snprintf(label, sizeof(label), "%s_%d_%u", calls[i].name, pos, i);
        t_say(label, "%s", line + 1);
    }
    return 0;
}
