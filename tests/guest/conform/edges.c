// SPDX-License-Identifier: Apache-2.0
/* Edges that whole test suites look at: wake-ups of pipes, arguments of
 * mmap(2) and its relatives, calls on other processes, inotify of names that
 * are gone. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "tests/guest/conform/t.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open        434
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define PAGE 4096

static void pipe_edges(void)
{
    int p[2], ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    char buf[PAGE] = {0};

    (void)pipe2(p, O_NONBLOCK);
    (void)fcntl(p[1], F_SETPIPE_SZ, PAGE);
    (void)epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
    (void)write(p[1], buf, PAGE);
    T("edge_written", epoll_wait(ep, &ev, 1, 0));
    (void)read(p[0], buf, PAGE / 2);
    T("edge_half_read", epoll_wait(ep, &ev, 1, 0));
    (void)close(p[0]);
    (void)close(p[1]);
    (void)close(ep);
}

/* Each byte wakes one of those who asked so. */
static void exclusive(void)
{
    int p[2], out[2], n = 0;
    pid_t pid[3];
    char c;

    (void)pipe(p);
    (void)pipe(out);
    for (int i = 0; i < 3; i++) {
        pid[i] = fork();
        if (pid[i] != 0)
            continue;
        struct epoll_event ev = {.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE};
        int ep = epoll_create1(0);
        (void)epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
        (void)write(out[1], "r", 1);
        if (epoll_wait(ep, &ev, 1, -1) == 1)
            (void)write(out[1], "w", 1);
        _exit(0);
    }
    for (int i = 0; i < 3; i++)
        (void)read(out[0], &c, 1);
    for (int i = 0; i < 3; i++)
        t_asleep(pid[i]);
    (void)write(p[1], "x", 1);
    (void)read(out[0], &c, 1);
    n += c == 'w';
    for (int i = 0; i < 3; i++) /* whoever was woken has ended */
        (void)UNTIL(strchr("SZ", t_state(pid[i])) != NULL);
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    while (read(out[0], &c, 1) == 1)
        n += c == 'w';
    T("exclusive_woken", n);
    for (int i = 0; i < 3; i++)
        (void)kill(pid[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
}

static void splices(void)
{
    int p[2];
    static char big[300000] __attribute__((aligned(PAGE)));
    struct iovec v = {big, sizeof(big)};

    (void)pipe(p);
    T("vmsplice_part", SC(vmsplice, p[1], &v, 1, 0));
    T("vmsplice_full", SC(vmsplice, p[1], &v, 1, 2));
}

static void maps(void)
{
    int zero = open("/dev/zero", O_RDONLY);
    int fd = t_file("m", 3 * PAGE);
    unsigned char in[3];
    char *m = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, zero, 0);

    OK("zero_shared", (long)m);
    T("zero_protect", mprotect(m, PAGE, PROT_READ | PROT_WRITE));
    T("closed_first", SC(mmap, NULL, 0, PROT_READ, MAP_SHARED, 99, 0));
    T("validate_unknown", SC(mmap, NULL, PAGE, PROT_READ, 3 | 1 << 24, fd, 0));
    T("validate_anon",
      SC(mmap, NULL, PAGE, PROT_READ, 3 | MAP_ANONYMOUS, -1, 0));
    OK("validate_known",
       SC(mmap, NULL, PAGE, PROT_READ, 3 | MAP_NORESERVE, fd, 0));
    m = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    T("mincore_file", mincore(m, 3 * PAGE, in));
    YES("mincore_cached", (in[0] & in[1] & in[2] & 1) == 1);
    T("mlock", mlock(m, PAGE));
    T("msync_locked", msync(m, PAGE, MS_INVALIDATE));
    T("remove_locked", madvise(m, PAGE, 9));
    T("munlock", munlock(m, PAGE));
    T("msync_unlocked", msync(m, PAGE, MS_INVALIDATE));
    m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
             -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        m[0] = 1;
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    T("mincore_other", mincore(m, 2 * PAGE, in));
    T("mincore_theirs", in[0] & 1);
    T("mincore_nobodys", in[1] & 1);
}

static void stacks(void)
{
    static char stack[65536];
    stack_t s = {.ss_sp = stack, .ss_size = 2047};

    T("sigaltstack_small", sigaltstack(&s, NULL));
}

static void sticky(void)
{
    int p[2];
    fd_set set;

    (void)pipe(p);
    for (int i = 0; i < 2; i++) {
        struct timeval tv = {0, 10000};
        FD_ZERO(&set);
        FD_SET(p[0], &set);
        (void)personality(i == 0 ? 0 : STICKY_TIMEOUTS);
        (void)select(p[0] + 1, &set, NULL, NULL, &tv);
        T(i == 0 ? "select_left" : "select_sticky", tv.tv_usec);
    }
    (void)personality(0);
}

static void first_lock(void)
{
    int fd = t_file("l", 100);
    struct flock a = {.l_type = F_WRLCK, .l_start = 50, .l_len = 5};
    struct flock b = {.l_type = F_RDLCK, .l_start = 10, .l_len = 5};

    (void)fcntl(fd, F_SETLK, &a);
    (void)fcntl(fd, F_SETLK, &b);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock q = {.l_type = F_WRLCK};
        T("getlk", fcntl(fd, F_GETLK, &q));
        T("getlk_first", q.l_start);
        YES("getlk_type", q.l_type == F_RDLCK);
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
}

static void unlinked(void)
{
    char buf[1024];
    int in = inotify_init1(IN_NONBLOCK);
    int fd = t_file("gone", 1);

    OK("excl_watch", inotify_add_watch(in, ".", IN_MODIFY | IN_EXCL_UNLINK));
    (void)write(fd, "a", 1);
    (void)unlink("gone");
    (void)write(fd, "b", 1);
    (void)close(fd);
    long n = read(in, buf, sizeof(buf));
    T("excl_events", n > 0 ? 1 : -1);
    T("excl_no_more", read(in, buf, sizeof(buf)));
    (void)snprintf(buf, sizeof(buf), "/proc/self/fdinfo/%d", in);
    FILE *f = fopen(buf, "r");
    unsigned mask = 0;
    while (f != NULL && fgets(buf, sizeof(buf), f) != NULL)
        (void)sscanf(buf, "inotify wd:%*x ino:%*x sdev:%*x mask:%x", &mask);
    t_say("excl_fdinfo", "%x", mask);
}

static char near_data[64] = "here", far_data[64] = "far away";

static void peers(void)
{
    int p[2];
    char c;
    struct iovec l = {near_data, 4}, r = {far_data, 4}, bad = {BAD_PTR, 4};

    (void)pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        memcpy(far_data, "yes!", 4);
        (void)write(p[1], "x", 1);
        pause();
        _exit(0);
    }
    (void)read(p[0], &c, 1);
    T("vm_read", SC(process_vm_readv, pid, &l, 1, &r, 1, 0));
    YES("vm_read_there", memcmp(near_data, "yes!", 4) == 0);
    T("vm_write", SC(process_vm_writev, pid, &l, 1, &r, 1, 0));
    T("vm_flags", SC(process_vm_readv, pid, &l, 1, &r, 1, 1));
    T("vm_fault", SC(process_vm_readv, pid, &l, 1, &bad, 1, 0));
    T("vm_local_fault", SC(process_vm_readv, pid, &bad, 1, &r, 1, 0));
    T("vm_nobody", SC(process_vm_readv, 999999, &l, 1, &r, 1, 0));
    T("kcmp_file", SC(kcmp, getpid(), pid, 0, p[0], p[0]));
    YES("kcmp_other", SC(kcmp, getpid(), pid, 0, p[0], p[1]) > 0);
    YES("kcmp_vm", SC(kcmp, getpid(), pid, 1, 0, 0) > 0);
    T("kcmp_type", SC(kcmp, getpid(), pid, 99, 0, 0));
    T("kcmp_fd", SC(kcmp, getpid(), pid, 0, 999, 0));
    long pf = SC(pidfd_open, pid, 0);
    long got = SC(pidfd_getfd, pf, p[1], 0);
    YES("getfd_same", got >= 0 && SC(kcmp, getpid(), pid, 0, got, p[1]) == 0);
    T("getfd_cloexec", fcntl((int)got, F_GETFD));
    T("getfd_flags", SC(pidfd_getfd, pf, p[1], 1));
    T("getfd_bad", SC(pidfd_getfd, pf, 999, 0));
    T("getfd_not_pidfd", SC(pidfd_getfd, p[0], p[1], 0));
    char name[32];
    (void)snprintf(name, sizeof(name), "/proc/%d", pid);
    int dir = open(name, O_DIRECTORY);
    T("proc_signal", SC(pidfd_send_signal, dir, SIGTERM, NULL, 0));
    int status = 0;
    (void)waitpid(pid, &status, 0);
    T("proc_signalled", WTERMSIG(status));
}

static void own(void)
{
    pid_t pid;

    T("unshare_all", SC(unshare, -1));
    (void)prctl(PR_SET_TIMERSLACK, 70000);
    pid = fork();
    if (pid == 0) {
        T("slack", prctl(PR_GET_TIMERSLACK));
        (void)prctl(PR_SET_TIMERSLACK, 90000);
        (void)prctl(PR_SET_TIMERSLACK, 0);
        T("slack_default", prctl(PR_GET_TIMERSLACK));
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    (void)t_file("mode", 1);
    (void)symlink("mode", "link");
    T("fchmodat2", SC(fchmodat2, AT_FDCWD, "mode", 0604, 0));
    T("fchmodat2_link",
      SC(fchmodat2, AT_FDCWD, "link", 0, AT_SYMLINK_NOFOLLOW));
    T("fchmodat2_flags", SC(fchmodat2, AT_FDCWD, "mode", 0, 1));
}

static void overruns(void)
{
    timer_t id;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec v = {.it_interval.tv_nsec = 1000000};

    sigset_t set;
    siginfo_t si = {0};

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)timer_create(CLOCK_REALTIME, &ev, &id);
    (void)clock_gettime(CLOCK_REALTIME, &v.it_value);
    v.it_value.tv_nsec = 0; /* up to a second ago, and a half more */
    v.it_value.tv_sec -= 1;
    (void)timer_settime(id, TIMER_ABSTIME, &v, NULL);
    T("overrun_signal", sigwaitinfo(&set, &si));
    YES("overruns_of_the_past", si.si_overrun > 900);
    (void)timer_delete(id);
}

int main(void)
{
    t_begin("edges");
    pipe_edges();
    exclusive();
    splices();
    maps();
    stacks();
    sticky();
    first_lock();
    unlinked();
    peers();
    own();
    overruns();
    return 0;
}
