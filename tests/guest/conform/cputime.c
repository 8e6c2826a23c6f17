// SPDX-License-Identifier: Apache-2.0
/* CPU time: times(2), getrusage(2), setitimer(2) of ITIMER_VIRTUAL and
 * ITIMER_PROF, RLIMIT_CPU. */
#include <pthread.h>
#include <sys/time.h>
#include <sys/times.h>

#include "tests/guest/conform/t.h"

static double cpu(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(double *user, double *system)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    *user = (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6;
    *system = (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6;
}

/* Until `seconds` more of this kind of time have passed. */
static void burn_user(double seconds)
{
    double from, to, system;

    usage(&from, &system);
    do {
        for (volatile int i = 0; i < 3000000; i++)
            ;
        usage(&to, &system);
    } while (to < from + seconds);
}

static void burn_system(double seconds)
{
    double from, to, user;
    static char zeros[1 << 20];
    int fd = open("/dev/zero", O_RDONLY);

    usage(&user, &from);
    do {
        for (int i = 0; i < 20; i++)
            if (read(fd, zeros, sizeof(zeros)) < 0)
                return;
        usage(&user, &to);
    } while (to < from + seconds);
    close(fd);
}

/* A host that stalls counts that as time of whoever runs: what compares two
 * times may fail sometimes, but not always. */
#define SOON(cond)                                                             \
    ({                                                                         \
        int tries_ = 0;                                                        \
        while (!(cond) && tries_++ < 50)                                       \
            ;                                                                  \
        tries_ < 50;                                                           \
    })

static bool user_most(void)
{
    double u0, s0, u1, s1;

    usage(&u0, &s0);
    burn_user(0.1);
    usage(&u1, &s1);
    return u1 - u0 >= 0.1 && s1 - s0 < u1 - u0;
}

static void kinds(void)
{
    double u0, s0, u1, s1;
    struct tms t;

    YES("user", SOON(user_most()));
    usage(&u0, &s0);
    burn_system(0.1);
    usage(&u1, &s1);
    YES("system", s1 - s0 >= 0.1);
    usage(&u0, &s0);
    double all = cpu(CLOCK_PROCESS_CPUTIME_ID);
    usage(&u1, &s1);
    YES("clock", all - u0 - s0 > -0.05 && u1 + s1 - all > -0.05);
    usage(&u0, &s0);
    times(&t);
    usage(&u1, &s1);
    YES("times", (double)t.tms_utime / 100 - u0 > -0.05 &&
                     u1 - (double)t.tms_utime / 100 > -0.05);
}

static void child_time(void)
{
    burn_user(0.1);
    _exit(0);
}

static void children(void)
{
    struct rusage r;

    t_child("child", child_time);
    getrusage(RUSAGE_CHILDREN, &r);
    YES("child_faults", r.ru_minflt > 0);
    YES("children", r.ru_utime.tv_sec > 0 || r.ru_utime.tv_usec >= 90000);
}

/* Does not run while we sleep. */
static bool itimer_stands(int which)
{
    struct itimerval a = {0}, b = {0};

    SC(getitimer, which, &a);
    t_sleep_ms(100);
    SC(getitimer, which, &b);
    return (a.it_value.tv_sec - b.it_value.tv_sec) * 1000000 +
               a.it_value.tv_usec - b.it_value.tv_usec <
           50000;
}

static void itimer(const char *name, int which, int signo, void (*burn)(double))
{
    char label[40];
    struct itimerval v = {.it_value.tv_sec = 1000,
                          .it_interval.tv_usec = 20000};
    struct itimerval now;

    t_catch(signo, SA_RESTART);
    snprintf(label, sizeof(label), "%s_set", name);
    T(label, SC(setitimer, which, &v, NULL));
    snprintf(label, sizeof(label), "%s_get", name);
    T(label, SC(getitimer, which, &now));
    snprintf(label, sizeof(label), "%s_left", name);
    YES(label, now.it_value.tv_sec > 500 && now.it_value.tv_sec <= 1000 &&
                   now.it_interval.tv_usec == 20000);
    snprintf(label, sizeof(label), "%s_asleep", name);
    YES(label, SOON(itimer_stands(which)) && t_hits == 0);
    v.it_value = (struct timeval){0, 50000};
    SC(setitimer, which, &v, NULL);
    for (int i = 0; i < 100 && t_hits < 3; i++)
        burn(0.1); /* a busy host's kernel is late itself */
    snprintf(label, sizeof(label), "%s_hits", name);
    YES(label, t_hits >= 3 && t_last == signo);
    v = (struct itimerval){{0, 0}, {0, 0}};
    snprintf(label, sizeof(label), "%s_stop", name);
    T(label, SC(setitimer, which, &v, &now));
    int hits = t_hits;
    burn(0.1);
    snprintf(label, sizeof(label), "%s_stopped", name);
    YES(label, t_hits == hits && now.it_interval.tv_usec == 20000);
}

static void over(rlim_t hard)
{
    struct rlimit l = {1, hard};

    setrlimit(RLIMIT_CPU, &l);
    for (;;)
        ;
}

/* The hard limit is far away: a stall may be a second of somebody's time. */
static void over_soft(void)
{
    over(1000);
}

static void over_hard(void)
{
    signal(SIGXCPU, SIG_IGN);
    over(2);
}

/* --- timers of CPU clocks --- */

static int posix_timer(const char *name, clockid_t clock)
{
    struct sigevent se = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    int id = -1;

    T(name, SC(timer_create, clock, &se, &id));
    return id;
}

static void *asleep(void *arg)
{
    t_sleep_ms(100);
    return arg;
}

/* How far a timer came while this ran. */
static double used(int id, void *(*fn)(void *), void *arg)
{
    struct itimerspec a = {0}, b = {0};

    SC(timer_gettime, id, &a);
    fn(arg);
    SC(timer_gettime, id, &b);
    return (double)(a.it_value.tv_sec - b.it_value.tv_sec) +
           (double)(a.it_value.tv_nsec - b.it_value.tv_nsec) / 1e9;
}

static void clock_timer(const char *name, clockid_t clock)
{
    struct itimerspec v = {.it_value.tv_sec = 1000,
                           .it_interval.tv_nsec = 20000000};
    struct itimerspec now;
    char label[40];
    int id;

    t_catch(SIGUSR1, SA_RESTART);
    snprintf(label, sizeof(label), "%s_create", name);
    id = posix_timer(label, clock);
    snprintf(label, sizeof(label), "%s_unset", name);
    T(label, SC(timer_gettime, id, &now));
    YES(label, now.it_value.tv_nsec == 0 && now.it_value.tv_sec == 0);
    snprintf(label, sizeof(label), "%s_set", name);
    T(label, SC(timer_settime, id, 0, &v, NULL));
    T(label, SC(timer_gettime, id, &now));
    snprintf(label, sizeof(label), "%s_left", name);
    YES(label, now.it_value.tv_sec > 500 && now.it_value.tv_sec <= 1000 &&
                   now.it_interval.tv_nsec == 20000000);
    snprintf(label, sizeof(label), "%s_asleep", name);
    YES(label, SOON(used(id, asleep, NULL) < 0.05) && t_hits == 0);
    v.it_value = (struct timespec){0, 50000000};
    SC(timer_settime, id, 0, &v, NULL);
    for (int i = 0; i < 100 && t_hits < 3; i++)
        burn_user(0.1);
    snprintf(label, sizeof(label), "%s_hits", name);
    YES(label, t_hits >= 3);
    v = (struct itimerspec){.it_value.tv_nsec = 1};
    t_catch(SIGUSR1, SA_RESTART);
    snprintf(label, sizeof(label), "%s_past", name);
    T(label, SC(timer_settime, id, TIMER_ABSTIME, &v, NULL));
    do
        burn_user(0.1);
    while (t_hits == 0);
    YES(label, t_hits == 1);
    T(label, SC(timer_gettime, id, &now));
    YES(label, now.it_value.tv_nsec == 0 && now.it_value.tv_sec == 0);
    snprintf(label, sizeof(label), "%s_delete", name);
    T(label, SC(timer_delete, id));
}

static void *burns(void *arg)
{
    burn_user(0.3);
    return arg;
}

/* Busy until it is told. */
static void *spins(void *arg)
{
    while (!*(volatile bool *)arg)
        ;
    return arg;
}

static void *in_other(void *arg)
{
    pthread_t t;

    pthread_create(&t, NULL, burns, NULL);
    pthread_join(t, NULL);
    return arg;
}

static void clock_timers(void)
{
    struct itimerspec v = {.it_value.tv_sec = 1000};
    struct timespec a, b;
    pthread_t t;
    clockid_t other;
    sigset_t s, pends;
    volatile bool told = false;

    clock_timer("process", CLOCK_PROCESS_CPUTIME_ID);
    clock_timer("thread", CLOCK_THREAD_CPUTIME_ID);
    clock_timer("own_pid", (clockid_t)((~(unsigned)getpid() << 3) | 2));
    clock_timer("own_zero", (clockid_t)((~0u << 3) | 2));
    posix_timer("no_pid", (clockid_t)((~0x7fffffu << 3) | 2));
    posix_timer("bad_kind", (clockid_t)((~(unsigned)getpid() << 3) | 3));
    posix_timer("coarse", CLOCK_MONOTONIC_COARSE);
    posix_timer("no_clock", 77);
    /* What another thread uses is the process's, and not ours. */
    int mine = posix_timer("mine", CLOCK_THREAD_CPUTIME_ID);
    int all = posix_timer("all", CLOCK_PROCESS_CPUTIME_ID);
    t_catch(SIGUSR1, SA_RESTART);
    T("mine_set", SC(timer_settime, mine, 0, &v, NULL));
    YES("mine_not", SOON(used(mine, in_other, NULL) < 0.15));
    v.it_value = (struct timespec){0, 100000000};
    T("all_set", SC(timer_settime, all, 0, &v, NULL));
    pthread_create(&t, NULL, spins, (void *)&told);
    YES("thread_clock",
        pthread_getcpuclockid(t, &other) == 0 && clock_gettime(other, &a) == 0);
    for (int i = 0; i < 10000 && t_hits == 0; i++)
        t_sleep_ms(10);
    told = true;
    pthread_join(t, NULL);
    T("all_hit", t_hits);
    /* Blocked: one signal waits and the rest are counted. */
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    SC(timer_settime, mine, 0, &v, NULL); /* stays when the other is stopped */
    v.it_value.tv_nsec = v.it_interval.tv_nsec = 10000000;
    SC(timer_settime, all, 0, &v, NULL);
    do
        burn_user(0.2);
    while (sigpending(&pends) < 0 || !sigismember(&pends, SIGUSR1));
    memset(&v, 0, sizeof(v));
    SC(timer_settime, all, 0, &v, NULL);
    siginfo_t si;
    T("blocked_signal", sigwaitinfo(&s, &si));
    YES("blocked_code", si.si_code == SI_TIMER);
    b = (struct timespec){0, 0};
    T("blocked_once", sigtimedwait(&s, &si, &b));
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    /* After fork the child has none. */
    pid_t pid = fork();
    if (pid == 0)
        _exit(SC(timer_delete, all) < 0 ? errno : 0);
    int status;
    waitpid(pid, &status, 0);
    T("child_has_none", WEXITSTATUS(status));
}

int main(void)
{
    t_begin("cputime");
    kinds();
    children();
    itimer("virtual", ITIMER_VIRTUAL, SIGVTALRM, burn_user);
    itimer("prof", ITIMER_PROF, SIGPROF, burn_user);
    itimer("prof_system", ITIMER_PROF, SIGPROF, burn_system);
    T("bad", SC(getitimer, 3, NULL));
    clock_timers();
    t_child("soft", over_soft);
    t_child("hard", over_hard);
    return 0;
}
