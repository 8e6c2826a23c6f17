// SPDX-License-Identifier: Apache-2.0
/* eventfd(2), timerfd_create(2), signalfd(2). */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "tests/guest/conform/t.h"

static void say_link(const char *label, int fd)
{
    char path[64], link[64] = "";
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    readlink(path, link, sizeof(link) - 1);
    t_say(label, "%s", link);
}

static void counters(void)
{
    uint64_t v = 0;
    T("bad_flags", eventfd(0, 1 << 30));
    int fd = eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC);
    t_say("flags", "%#x %d", (unsigned)fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    say_link("link", fd);
    T("read", read(fd, &v, 8));
    t_say("value", "%llu", (unsigned long long)v);
    T("read_zero", read(fd, &v, 8));
    T("read_short", read(fd, &v, 7));
    T("write_short", write(fd, &v, 7));
    v = UINT64_MAX;
    T("write_max", write(fd, &v, 8));
    v = UINT64_MAX - 1;
    T("write_most", write(fd, &v, 8));
    v = 1;
    T("write_over", write(fd, &v, 8));
    v = 0;
    T("write_zero", write(fd, &v, 8));
    T("read_long", read(fd, &v, 8));
    T("write_fault", SC(write, fd, BAD_PTR, 8));
    v = 3;
    write(fd, &v, 8);
    T("read_fault", SC(read, fd, BAD_PTR, 8));
    T("lseek", lseek(fd, 0, SEEK_SET));
    T("pread", pread(fd, &v, 8, 0));
    T("fionread", ioctl(fd, FIONREAD, &v));
    close(fd);
    fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 4; i++) {
        T("sem", read(fd, &v, 8));
        t_say("sem", "%llu", (unsigned long long)v);
    }
    close(fd);
    fd = eventfd(0, 0);
    pid_t me = getpid();
    if (fork() == 0) {
        t_asleep(me);
        v = 77;
        write(fd, &v, 8);
        _exit(0);
    }
    T("blocking", read(fd, &v, 8));
    t_say("blocking", "%llu", (unsigned long long)v);
    wait(NULL);
    t_catch(SIGALRM, 0);
    t_alarms();
    T("eintr", read(fd, &v, 8));
    t_calm();
    close(fd);
}

static void timers(void)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
                                 CLOCK_PROCESS_CPUTIME_ID, CLOCK_BOOTTIME, 99};
    struct itimerspec its = {{0, 0}, {0, 0}}, old;
    uint64_t v = 0;
    for (unsigned i = 0; i < 5; i++)
        OK("timer_clock", timerfd_create(clocks[i], 0));
    T("timer_flags", timerfd_create(CLOCK_MONOTONIC, 1));
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    say_link("timer_link", fd);
    T("timer_unarmed", read(fd, &v, 8));
    T("timer_gettime", timerfd_gettime(fd, &its));
    t_say("timer_unarmed", "%ld %ld", (long)its.it_value.tv_sec,
          its.it_value.tv_nsec);
    its.it_value.tv_nsec = 1000000000;
    T("timer_nsec", timerfd_settime(fd, 0, &its, NULL));
    its.it_value.tv_nsec = -1;
    T("timer_nsec", timerfd_settime(fd, 0, &its, NULL));
    its.it_value = (struct timespec){1000, 0};
    T("timer_badflag", timerfd_settime(fd, 8, &its, NULL));
    T("timer_fault", timerfd_settime(fd, 0, BAD_PTR, NULL));
    T("timer_not", timerfd_settime(0, 0, &its, NULL));
    T("timer_badfd", timerfd_settime(999, 0, &its, NULL));
    T("timer_arm", timerfd_settime(fd, 0, &its, &old));
    T("timer_disarm",
      timerfd_settime(fd, 0, &(struct itimerspec){{0, 0}, {0, 0}}, &old));
    YES("timer_old", old.it_value.tv_sec >= 500 && old.it_value.tv_sec <= 1000);
    its = (struct itimerspec){{0, 0}, {0, 1}};
    timerfd_settime(fd, 0, &its, NULL);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    T("timer_poll", poll(&p, 1, -1));
    T("timer_read", read(fd, &v, 8));
    t_say("timer_once", "%llu", (unsigned long long)v);
    T("timer_then", read(fd, &v, 8));
    T("timer_short", read(fd, &v, 4));
    T("timer_write", write(fd, &v, 8));
    its = (struct itimerspec){{0, 5000000}, {0, 5000000}};
    timerfd_settime(fd, 0, &its, NULL);
    t_sleep_ms(60);
    T("timer_interval", read(fd, &v, 8));
    YES("timer_many", v >= 5);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    its = (struct itimerspec){{0, 0}, now};
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL);
    T("timer_past", poll(&p, 1, -1));
    T("timer_past", read(fd, &v, 8));
    fcntl(fd, F_SETFL, 0);
    its = (struct itimerspec){{0, 0}, {0, 20000000}};
    timerfd_settime(fd, 0, &its, NULL);
    T("timer_blocking", read(fd, &v, 8));
    close(fd);
}

static void say_signal(const char *label, int fd)
{
    struct signalfd_siginfo si;
    long r = read(fd, &si, sizeof(si));
    if (r < 0)
        t_say(label, "%s", t_errno(errno));
    else
        t_say(label, "%ld signo %u code %d pid %d uid %u int %d status %d", r,
              si.ssi_signo, si.ssi_code, (pid_t)si.ssi_pid == getpid(),
              si.ssi_uid, si.ssi_int, si.ssi_status);
}

static void signals(void)
{
    sigset_t set, more;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGKILL);
    T("sig_flags", signalfd(-1, &set, 1));
    T("sig_size", SC(signalfd4, -1, &set, 4, 0));
    T("sig_fault", SC(signalfd4, -1, BAD_PTR, 8, 0));
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    say_link("sig_link", fd);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say_signal("sig_none", fd);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    T("sig_poll", poll(&p, 1, 0));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    T("sig_poll", poll(&p, 1, 0));
    char c[16];
    T("sig_short", read(fd, c, sizeof(c)));
    say_signal("sig_usr1", fd);
    say_signal("sig_usr1_once", fd);
    union sigval v = {.sival_int = 41};
    sigqueue(getpid(), SIGRTMIN, v);
    v.sival_int = 42;
    sigqueue(getpid(), SIGRTMIN, v);
    raise(SIGUSR1);
    struct signalfd_siginfo many[4];
    T("sig_many", read(fd, many, sizeof(many)));
    t_say("sig_many", "%u %u %u %d %d", many[0].ssi_signo,
          many[1].ssi_signo - (unsigned)SIGRTMIN, many[2].ssi_signo != 0,
          many[1].ssi_int, many[2].ssi_int);
    sigemptyset(&more);
    sigaddset(&more, SIGUSR2);
    sigprocmask(SIG_BLOCK, &more, NULL);
    YES("sig_change", signalfd(fd, &more, 0) == fd);
    kill(getpid(), SIGUSR1);
    say_signal("sig_no_longer", fd);
    kill(getpid(), SIGUSR2);
    say_signal("sig_usr2", fd);
    T("sig_not", signalfd(0, &more, 0));
    T("sig_badfd", signalfd(999, &more, 0));
    T("sig_write", write(fd, c, 8));
    sigaddset(&more, SIGCHLD);
    sigprocmask(SIG_BLOCK, &more, NULL);
    signalfd(fd, &more, 0);
    fcntl(fd, F_SETFL, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    struct signalfd_siginfo si;
    T("sig_chld", read(fd, &si, sizeof(si)));
    t_say("sig_chld", "%u %d %d %d", si.ssi_signo, si.ssi_code, si.ssi_status,
          (pid_t)si.ssi_pid == pid);
    wait(NULL);
    T("sig_fdinfo", close(fd));
}

int main(void)
{
    t_begin("events");
    counters();
    timers();
    signals();
    return 0;
}
