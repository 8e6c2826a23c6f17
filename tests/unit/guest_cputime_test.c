// SPDX-License-Identifier: Apache-2.0
/* Timers and limits of CPU time: setitimer(2), timer_create(2), setrlimit(2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/aspace.h"
#include "guest/core/kmem.h"
#include "guest/core/ptimer.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_proc.h"

#define MS      UINT64_C(1000000)
#define VIRTUAL 1
#define PROF    2

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    struct process *p = current()->proc;
    p->aspace = aspace_new();
    p->files = fdtable_new();
    p->fs = kzalloc(sizeof(*p->fs));
    assert_non_null(p->aspace);
    assert_non_null(p->files);
    assert_non_null(p->fs);
    p->fs->refs = 1;
    /* A handler, or pid 1 would not get them; blocked, to look at them. */
    for (int i = 0; i < SIG_COUNT; i++)
        if (i != LX_SIGKILL - 1 && i != LX_SIGSTOP - 1)
            p->sighand->action[i].handler = 0x400000;
    signal_set_mask(UINT64_MAX);
    current()->entered = arch_clock();
    return 0;
}

/* The signal, if it came since it was last asked for. */
static bool came(int signo)
{
    struct lx_siginfo si;

    return signal_dequeue(current(), SIG_BIT(signo), &si) == signo;
}

static void kernel_ms(unsigned ms)
{
    while (ms-- > 0)
        fake_clock_add(MS);
}

static void user_ms(unsigned ms)
{
    sched_leave_kernel();
    kernel_ms(ms);
    sched_enter_kernel();
}

/* --- setitimer --- */

static int64_t itimer(unsigned which, int64_t ms, int64_t again,
                      struct lx_itimerval *old)
{
    struct lx_itimerval v = {{0, again * 1000}, {0, ms * 1000}};

    return sys_setitimer(
        (const uint64_t[]){which, (uintptr_t)&v, (uintptr_t)old});
}

/* ITIMER_VIRTUAL: the time in user mode only. */
static void test_virtual_counts_user_time(void **state)
{
    (void)state;

    assert_int_equal(itimer(VIRTUAL, 20, 0, NULL), 0);
    kernel_ms(50);
    assert_false(came(LX_SIGVTALRM));
    user_ms(15);
    assert_false(came(LX_SIGVTALRM));
    user_ms(15);
    assert_true(came(LX_SIGVTALRM));
    user_ms(50);
    assert_false(came(LX_SIGVTALRM)); /* once only */
    assert_false(came(LX_SIGPROF));
}

/* ITIMER_PROF: that of the kernel, too. */
static void test_prof_counts_both(void **state)
{
    (void)state;
    struct lx_itimerval v;
    uint64_t get[] = {PROF, (uintptr_t)&v};

    assert_int_equal(itimer(PROF, 20, 30, NULL), 0);
    kernel_ms(5);
    user_ms(5);
    assert_int_equal(sys_getitimer(get), 0);
    assert_in_range(v.value.usec, 9000, 10000);
    assert_int_equal(v.interval.usec, 30000);
    assert_false(came(LX_SIGPROF));
    kernel_ms(8);
    user_ms(5);
    assert_true(came(LX_SIGPROF));
    kernel_ms(20);
    assert_false(came(LX_SIGPROF));
    kernel_ms(15);
    assert_true(came(LX_SIGPROF)); /* again after 30 ms */
    assert_int_equal(itimer(PROF, 0, 0, &v), 0);
    assert_int_equal(v.interval.usec, 30000);
    assert_in_range(v.value.usec, 1, 30000);
    kernel_ms(50);
    assert_false(came(LX_SIGPROF));
    assert_int_equal(sys_getitimer(get), 0);
    assert_int_equal(v.value.usec, 0);
    assert_int_equal(itimer(3, 1, 0, NULL), -EINVAL);
}

/* --- RLIMIT_CPU --- */

static unsigned xcpu_after[8], xcpu_count;

static void burn(void)
{
    const struct lx_rlimit64 l = {2, 4};
    uint64_t a[] = {0, LX_RLIMIT_CPU, (uintptr_t)&l, 0};

    if (sys_prlimit64(a) == 0) {
        for (unsigned ms = 0; ms < 9000; ms += 10) {
            fake_clock_add(10 * MS);
            if (came(LX_SIGXCPU) && xcpu_count < 8)
                xcpu_after[xcpu_count++] = ms;
            sched_user_return();
        }
    }
    (void)sys_exit_group((const uint64_t[]){1});
}

/* SIGXCPU each second from the soft limit on, SIGKILL at the hard one. */
static void test_limit_of_cpu_time(void **state)
{
    (void)state;
    int32_t status = 0;

    xcpu_count = 0;
    fake_child = burn;
    int64_t pid = sys_fork((const uint64_t[]){0});
    assert_true(pid > 1);
    uint64_t a[] = {(uint64_t)pid, (uintptr_t)&status, 0, 0};
    assert_int_equal(sys_wait4(a), pid);
    assert_int_equal(status, LX_SIGKILL);
    assert_int_equal(xcpu_count, 2);
    assert_in_range(xcpu_after[0], 1900, 2100);
    assert_in_range(xcpu_after[1], 2900, 3100);
}

/* --- timer_create --- */

static int64_t create(int32_t clock, struct lx_sigevent *ev, uint32_t *id)
{
    return sys_timer_create(
        (const uint64_t[]){(uint64_t)clock, (uintptr_t)ev, (uintptr_t)id});
}

static int64_t settime(uint32_t id, uint64_t flags, uint64_t ns, uint64_t again)
{
    struct lx_itimerspec v = {
        {0, (int64_t)again},
        {(int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC)}};

    return sys_timer_settime((const uint64_t[]){id, flags, (uintptr_t)&v, 0});
}

/* What is left of a timer, less than a second. */
static int64_t left(uint32_t id)
{
    struct lx_itimerspec v;

    assert_int_equal(sys_timer_gettime((const uint64_t[]){id, (uintptr_t)&v}),
                     0);
    return v.value.nsec;
}

static void test_process_clock(void **state)
{
    (void)state;
    struct lx_sigevent ev = {.value = 77, .signo = LX_SIGUSR1};
    struct lx_siginfo si;
    uint32_t id;

    assert_int_equal(create(LX_CLOCK_PROCESS_CPUTIME, &ev, &id), 0);
    assert_int_equal(left(id), 0);
    assert_int_equal(settime(id, 0, 20 * MS, 10 * MS), 0);
    user_ms(5);
    kernel_ms(5);
    assert_in_range(left(id), 9 * MS, 10 * MS);
    kernel_ms(5);
    assert_false(came(LX_SIGUSR1));
    fake_clock_add(38 * MS); /* 33 late: three periods more */
    assert_int_equal(signal_dequeue(current(), SIG_BIT(LX_SIGUSR1), &si),
                     LX_SIGUSR1);
    assert_int_equal(si.code, LX_SI_TIMER);
    assert_int_equal(si.timerid, id);
    assert_int_equal(si.timer_value, 77);
    assert_int_equal(si.overrun, 3);
    assert_int_equal(sys_timer_getoverrun((const uint64_t[]){id}), 3);
    assert_in_range(left(id), 6 * MS, 7 * MS);
    assert_int_equal(settime(id, 0, 0, 0), 0);
    assert_int_equal(left(id), 0);
    kernel_ms(30);
    assert_false(came(LX_SIGUSR1));
    assert_int_equal(sys_timer_delete((const uint64_t[]){id}), 0);
}

/* The thread's own time, told to a thread; TIMER_ABSTIME is of that clock. */
static void test_thread_clock(void **state)
{
    (void)state;
    struct lx_sigevent ev = {.signo = LX_SIGUSR2,
                             .notify = LX_SIGEV_THREAD_ID,
                             .tid = current()->tid};
    struct lx_timespec now;
    uint64_t get[] = {LX_CLOCK_THREAD_CPUTIME, (uintptr_t)&now};
    uint32_t id;

    user_ms(7);
    assert_int_equal(create(LX_CLOCK_THREAD_CPUTIME, &ev, &id), 0);
    assert_int_equal(sys_clock_gettime(get), 0);
    uint64_t at = (uint64_t)now.sec * NSEC_PER_SEC + (uint64_t)now.nsec;
    assert_true(at >= 7 * MS);
    assert_int_equal(settime(id, LX_TIMER_ABSTIME, at + 10 * MS, 0), 0);
    assert_in_range(left(id), 9 * MS, 10 * MS);
    user_ms(8);
    assert_int_equal(current()->pending.set & SIG_BIT(LX_SIGUSR2), 0);
    user_ms(4);
    assert_int_not_equal(current()->pending.set & SIG_BIT(LX_SIGUSR2), 0);
    assert_true(came(LX_SIGUSR2));
    assert_int_equal(left(id), 0); /* it is not set any more */
    ev.tid = 9999;
    assert_int_equal(create(LX_CLOCK_THREAD_CPUTIME, &ev, &id), -EINVAL);
}

/* clock_getcpuclockid(3): the number of a clock has the id inverted. */
static int32_t clock_of(int32_t id, int32_t kind)
{
    return (int32_t)((uint32_t)~id << 3) | kind;
}

static void test_clocks_by_number(void **state)
{
    (void)state;
    int32_t tid = current()->tid;
    struct lx_sigevent ev = {.signo = LX_SIGUSR1};
    uint32_t id, silent;

    assert_int_equal(create(clock_of(tid, 2 | 4), &ev, &id), 0);
    assert_int_equal(settime(id, 0, 5 * MS, 0), 0);
    ev.notify = LX_SIGEV_NONE;
    assert_int_equal(create(clock_of(tid, 2), &ev, &silent), 0);
    assert_int_equal(settime(silent, 0, 5 * MS, 0), 0);
    user_ms(8);
    assert_true(came(LX_SIGUSR1));
    assert_false(came(LX_SIGUSR1)); /* SIGEV_NONE: nothing is told */
    assert_int_equal(left(silent), 0);
    assert_int_equal(create(clock_of(9999, 2), &ev, &id), -EINVAL);
    assert_int_equal(create(clock_of(3, 3), &ev, &id), -EOPNOTSUPP);
    assert_int_equal(create(LX_CLOCK_MONOTONIC_RAW, &ev, &id), -EOPNOTSUPP);
    ev.notify = 9;
    assert_int_equal(create(clock_of(tid, 2), &ev, &id), -EINVAL);
}

/* EAGAIN: no more of them; one that was deleted makes room. */
static void test_many_timers(void **state)
{
    (void)state;
    uint32_t id;

    for (uint32_t i = 0; i < PTIMER_MAX; i++) {
        assert_int_equal(create(LX_CLOCK_PROCESS_CPUTIME, NULL, &id), 0);
        assert_int_equal(id, i);
    }
    assert_int_equal(create(LX_CLOCK_PROCESS_CPUTIME, NULL, &id), -EAGAIN);
    assert_int_equal(sys_timer_delete((const uint64_t[]){5}), 0);
    assert_int_equal(create(LX_CLOCK_THREAD_CPUTIME, NULL, &id), 0);
    assert_int_equal(id, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_virtual_counts_user_time, setup),
        cmocka_unit_test_setup(test_prof_counts_both, setup),
        cmocka_unit_test_setup(test_limit_of_cpu_time, setup),
        cmocka_unit_test_setup(test_process_clock, setup),
        cmocka_unit_test_setup(test_thread_clock, setup),
        cmocka_unit_test_setup(test_clocks_by_number, setup),
        cmocka_unit_test_setup(test_many_timers, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
