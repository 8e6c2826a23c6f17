// SPDX-License-Identifier: Apache-2.0
/* Which calls a handled signal interrupts and which it restarts; timers. */
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/time.h>

#include "tests/guest/conform/t.h"

static int p[2], ep, efd;
static volatile int *handled; /* shared with the helper */

static void on_usr1(int signo)
{
    (void)signo;
    *handled = 1;
}

/* A signal once we sleep, and once it is handled and we sleep again (in the
 * call or, if that is over, waiting for this one) data for those that went on.
 */
static pid_t helper(int flags)
{
    struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = flags};
    pid_t me = getpid(), pid;

    *handled = 0;
    sigaction(SIGUSR1, &sa, NULL);
    pid = fork();
    if (pid == 0) {
        t_asleep(me);
        kill(me, SIGUSR1);
        (void)UNTIL(*handled != 0);
        t_asleep(me);
        kill(me, SIGUSR2);
        (void)write(p[1], "x", 1);
        _exit(0);
    }
    return pid;
}

#define TRY(label, expr)                                                       \
    do {                                                                       \
        static const char *const how[2] = {label, label "_restart"};           \
        for (int i_ = 0; i_ < 2; i_++) {                                       \
            char drop_;                                                        \
            pid_t h_ = helper(i_ == 0 ? 0 : SA_RESTART);                       \
            long r_ = (expr);                                                  \
            int e_ = errno;                                                    \
            while (waitpid(h_, NULL, 0) < 0 && errno == EINTR)                 \
                ;                                                              \
            errno = e_;                                                        \
            t_say(how[i_], "%s", r_ < 0 ? t_errno(e_) : "ok");                 \
            fcntl(p[0], F_SETFL, O_NONBLOCK);                                  \
            while (read(p[0], &drop_, 1) == 1)                                 \
                ;                                                              \
            fcntl(p[0], F_SETFL, 0);                                           \
        }                                                                      \
    } while (0)

static int selecting(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(p[0], &set);
    return select(p[0] + 1, &set, NULL, NULL, &(struct timeval){1000, 0});
}

static void calls(void)
{
    struct pollfd pf = {.fd = p[0], .events = POLLIN};
    struct epoll_event ev = {.events = EPOLLIN};
    struct timespec ts, limit = {1000, 0};
    int word = 0;
    uint64_t mask = 0, usr1 = 1ull << 11;
    char b[8];

    ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
    TRY("read", read(p[0], b, 1));
    TRY("poll", poll(&pf, 1, 1000000));
    TRY("ppoll", (ts = limit, SC(ppoll, &pf, 1, &ts, NULL, 8)));
    TRY("select", selecting());
    TRY("epoll", epoll_wait(ep, &ev, 1, 1000000));
    TRY("nanosleep", SC(nanosleep, &limit, &ts));
    TRY("clock_nanosleep",
        SC(clock_nanosleep, CLOCK_MONOTONIC, 0, &limit, &ts));
    TRY("futex", SC(futex, &word, FUTEX_WAIT, 0, &limit, NULL, 0));
    TRY("pause", SC(pause));
    TRY("sigsuspend", SC(rt_sigsuspend, &mask, 8));
    TRY("sigtimedwait", SC(rt_sigtimedwait, &usr1, NULL, &limit, 8));
    TRY("wait", wait(NULL) < 0 ? -1 : 0);
    TRY("open_fifo", (mkfifo("ff", 0600), open("ff", O_RDONLY | O_NONBLOCK)));
    efd = open("lock", O_CREAT | O_RDWR, 0600);
}

static void remainders(void)
{
    struct timespec rem = {0, 0}, nap = {1000, 0}, bad = {0, 1000000000},
                    neg = {-1, 0};

    t_catch(SIGALRM, 0);
    t_alarms();
    T("sleep_eintr", SC(nanosleep, &nap, &rem));
    YES("sleep_rem", rem.tv_sec > 500 && rem.tv_sec < 1000);
    T("sleep_null_rem", SC(nanosleep, &nap, NULL));
    T("sleep_bad_rem", SC(nanosleep, &nap, BAD_PTR));
    T("sleep_bad", SC(nanosleep, &bad, NULL));
    T("sleep_neg", SC(nanosleep, &neg, NULL));
    T("sleep_ptr", SC(nanosleep, BAD_PTR, NULL));
    struct timespec abs;
    clock_gettime(CLOCK_MONOTONIC, &abs);
    abs.tv_sec += 1000;
    rem = (struct timespec){9, 9};
    T("abs_eintr",
      SC(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, &rem));
    YES("abs_rem_untouched", rem.tv_sec == 9 && rem.tv_nsec == 9);
    t_calm();
    abs.tv_sec = 0;
    T("abs_past",
      SC(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL));
    T("clock_bad", SC(clock_nanosleep, 77, 0, &nap, NULL));
    T("clock_thread",
      SC(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &nap, NULL));
    T("flags_bad",
      SC(clock_nanosleep, CLOCK_REALTIME, 8, &(struct timespec){0, 1}, NULL));
    T("coarse", SC(clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &nap, NULL));
    T("raw", SC(clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &nap, NULL));
    T("boot",
      SC(clock_nanosleep, CLOCK_BOOTTIME, 0, &(struct timespec){0, 1}, NULL));
    T("tai", SC(clock_nanosleep, CLOCK_TAI, 0, &(struct timespec){0, 1}, NULL));
}

static void itimers(void)
{
    struct itimerval it = {{0, 0}, {1000, 500000}}, old;

    T("it_set", setitimer(ITIMER_REAL, &it, NULL));
    T("it_get", getitimer(ITIMER_REAL, &old));
    YES("it_is", old.it_value.tv_sec > 500 && old.it_value.tv_sec <= 1000);
    it.it_value = (struct timeval){0, 0};
    T("it_off", setitimer(ITIMER_REAL, &it, &old));
    YES("it_old", old.it_value.tv_sec > 500);
    getitimer(ITIMER_REAL, &old);
    T("it_zero", old.it_value.tv_sec + old.it_value.tv_usec);
    it.it_value.tv_usec = 1000000;
    T("it_usec", setitimer(ITIMER_REAL, &it, NULL));
    it.it_value = (struct timeval){-1, 0};
    T("it_neg", setitimer(ITIMER_REAL, &it, NULL));
    T("it_which", setitimer(77, &it, NULL));
    T("it_get_which", getitimer(77, &old));
    T("it_get_ptr", SC(getitimer, 0, BAD_PTR));
    T("it_ptr", SC(setitimer, 0, BAD_PTR, NULL));
    T("it_null", SC(setitimer, 0, NULL, NULL));
    T("alarm", (long)alarm(1000));
    long left = alarm(0);
    YES("alarm_again", left > 500 && left <= 1000);
    T("alarm_off", (long)alarm(T_LIMIT_S));
    it = (struct itimerval){{0, 10000}, {0, 10000}};
    t_catch(SIGALRM, SA_RESTART);
    setitimer(ITIMER_REAL, &it, NULL);
    YES("it_interval", UNTIL(t_hits >= 3));
    pid_t pid = fork();
    if (pid == 0) {
        getitimer(ITIMER_REAL, &old);
        _exit(old.it_interval.tv_usec != 0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ;
    T("it_not_forked", status);
    t_calm();
}

static void ptimers(void)
{
    struct sigevent se = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec it = {{0, 0}, {1000, 0}}, now;
    int id = -1, id2;
    siginfo_t si;
    sigset_t s;

    T("pt_create", SC(timer_create, CLOCK_MONOTONIC, &se, &id));
    T("pt_get_unset", SC(timer_gettime, id, &now));
    T("pt_unset", now.it_value.tv_sec);
    T("pt_set", SC(timer_settime, id, 0, &it, NULL));
    SC(timer_gettime, id, &now);
    YES("pt_is", now.it_value.tv_sec > 500 && now.it_value.tv_sec <= 1000);
    T("pt_overrun", SC(timer_getoverrun, id));
    it.it_value.tv_nsec = 1000000000;
    T("pt_nsec", SC(timer_settime, id, 0, &it, NULL));
    it.it_value = (struct timespec){-1, 0};
    T("pt_neg", SC(timer_settime, id, 0, &it, NULL));
    T("pt_set_ptr", SC(timer_settime, id, 0, BAD_PTR, NULL));
    T("pt_set_null", SC(timer_settime, id, 0, NULL, NULL));
    T("pt_get_ptr", SC(timer_gettime, id, BAD_PTR));
    T("pt_bad_id", SC(timer_gettime, 12345, &now));
    T("pt_set_bad_id", SC(timer_settime, 12345, 0, &now, NULL));
    T("pt_del_bad_id", SC(timer_delete, 12345));
    T("pt_clock", SC(timer_create, 77, &se, &id2));
    T("pt_raw", SC(timer_create, CLOCK_MONOTONIC_RAW, &se, &id2));
    se.sigev_signo = 65;
    T("pt_signo", SC(timer_create, CLOCK_MONOTONIC, &se, &id2));
    se.sigev_signo = 0;
    T("pt_signo0", SC(timer_create, CLOCK_MONOTONIC, &se, &id2));
    se.sigev_notify = 77;
    T("pt_notify", SC(timer_create, CLOCK_MONOTONIC, &se, &id2));
    T("pt_se_ptr", SC(timer_create, CLOCK_MONOTONIC, BAD_PTR, &id2));
    se.sigev_notify = SIGEV_NONE;
    T("pt_id_ptr", SC(timer_create, CLOCK_MONOTONIC, &se, BAD_PTR));
    T("pt_none", SC(timer_create, CLOCK_REALTIME, &se, &id2));
    it = (struct itimerspec){{0, 0}, {0, 1000000}};
    SC(timer_settime, id2, 0, &it, NULL);
    t_sleep_ms(30); /* at least: it is over */
    SC(timer_gettime, id2, &now);
    T("pt_none_expired", now.it_value.tv_nsec);
    T("pt_none_delete", SC(timer_delete, id2));
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    sigaddset(&s, SIGALRM);
    sigprocmask(SIG_BLOCK, &s, NULL);
    it = (struct itimerspec){{0, 1000000}, {0, 1000000}};
    SC(timer_settime, id, 0, &it, NULL);
    t_sleep_ms(50);
    memset(&si, 0, sizeof(si));
    T("pt_signal", sigwaitinfo(&s, &si));
    t_say("pt_info", "code=%d id=%d overrun=%d", si.si_code,
          si.si_timerid == id, si.si_overrun > 2);
    YES("pt_overruns", SC(timer_getoverrun, id) > 2);
    T("pt_delete", SC(timer_delete, id));
    sigtimedwait(&s, &si, &(struct timespec){0, 0}); /* kept by older kernels */
    T("pt_deleted", SC(timer_gettime, id, &now));
    T("pt_default", SC(timer_create, CLOCK_MONOTONIC, NULL, &id));
    clock_gettime(CLOCK_MONOTONIC, &it.it_value);
    it.it_interval = (struct timespec){0, 0};
    T("pt_abs", SC(timer_settime, id, TIMER_ABSTIME, &it, NULL));
    T("pt_default_signal", sigwaitinfo(&s, &si));
    YES("pt_default_value", si.si_value.sival_int == id);
    se = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID,
                           .sigev_signo = SIGUSR2};
    ((int *)&se)[4] = (int)SC(gettid);
    T("pt_thread", SC(timer_create, CLOCK_MONOTONIC, &se, &id2));
    ((int *)&se)[4] = 1;
    T("pt_thread_other", SC(timer_create, CLOCK_MONOTONIC, &se, &id2));
    T("pt_cpu", SC(timer_create, CLOCK_PROCESS_CPUTIME_ID, NULL, &id2));
    pid_t pid = fork();
    if (pid == 0)
        _exit(SC(timer_gettime, id, &now) < 0 ? errno : 0);
    int status;
    waitpid(pid, &status, 0);
    T("pt_not_forked", WEXITSTATUS(status));
}

static void clocks(void)
{
    static const int ids[] = {0, 1, 2,  3,  4,  5,  6,  7,
                              8, 9, 10, 11, 12, -1, -2, -6};
    struct timespec ts, r;
    struct timeval tv;

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        T("gettime", SC(clock_gettime, ids[i], &ts));
        T("getres", SC(clock_getres, ids[i], &r) == 0 ? r.tv_sec : -1);
    }
    SC(clock_getres, CLOCK_MONOTONIC, &r);
    T("res_mono", r.tv_nsec);
    SC(clock_getres, CLOCK_PROCESS_CPUTIME_ID, &r);
    T("res_cpu", r.tv_nsec);
    T("getres_null", SC(clock_getres, CLOCK_REALTIME, NULL));
    T("getres_ptr", SC(clock_getres, CLOCK_REALTIME, BAD_PTR));
    T("gettime_ptr", SC(clock_gettime, CLOCK_REALTIME, BAD_PTR));
    T("settime_mono", SC(clock_settime, CLOCK_MONOTONIC, &ts));
    T("settime_nsec",
      SC(clock_settime, CLOCK_REALTIME, &(struct timespec){1, 1000000000}));
    T("settime_neg",
      SC(clock_settime, CLOCK_REALTIME, &(struct timespec){-1, 0}));
    T("settime_ptr", SC(clock_settime, CLOCK_REALTIME, BAD_PTR));
    T("gettimeofday", SC(gettimeofday, &tv, NULL));
    T("gettimeofday_tz", SC(gettimeofday, NULL, &ts));
    T("gettimeofday_ptr", SC(gettimeofday, BAD_PTR, NULL));
#ifdef SYS_time
    YES("time", SC(time, NULL) >= tv.tv_sec);
    T("time_ptr", SC(time, BAD_PTR));
#endif
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    clock_gettime(CLOCK_MONOTONIC, &b);
    YES("mono", b.tv_sec > a.tv_sec ||
                    (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
    long tx[32] = {0};
    YES("adjtimex", SC(adjtimex, tx) >= 0);
    T("adjtimex_ptr", SC(adjtimex, BAD_PTR));
    YES("clock_adjtime", SC(clock_adjtime, CLOCK_REALTIME, tx) >= 0);
    T("clock_adjtime_bad", SC(clock_adjtime, 77, tx));
    T("times_ptr", SC(times, BAD_PTR));
}

int main(void)
{
    t_begin("restart");
    pipe(p);
    handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGUSR2, SIG_IGN);
    calls();
    remainders();
    itimers();
    t_child("ptimers", ptimers);
    clocks();
    return 0;
}
