// SPDX-License-Identifier: Apache-2.0
/* Interval timers, sleeping calls, clocks, and calls that do not exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"
#include "abi/linux/x86_64/nr.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/sys/calls_proc.h"

#define MS UINT64_C(1000000)

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    /* A handler, or pid 1 would not get them; blocked, to look at them. */
    for (int i = 0; i < SIG_COUNT; i++)
        current()->proc->sighand->action[i].handler = 0x400000;
    signal_set_mask(UINT64_MAX);
    return 0;
}

static bool pending(int signo)
{
    return (current()->proc->pending.set & SIG_BIT(signo)) != 0;
}

static void test_alarm(void **state)
{
    (void)state;

    assert_int_equal(sys_alarm((const uint64_t[]){2}), 0);
    fake_clock_add(500 * MS);
    assert_int_equal(sys_alarm((const uint64_t[]){1}), 1); /* 1.5 rounds */
    fake_clock_add(900 * MS);
    assert_false(pending(LX_SIGALRM));
    fake_clock_add(200 * MS);
    assert_true(pending(LX_SIGALRM));
    assert_int_equal(sys_alarm((const uint64_t[]){0}), 0);
}

static void test_itimer_repeats(void **state)
{
    (void)state;
    struct lx_itimerval v = {{0, 10000}, {0, 10000}};
    struct lx_itimerval old;
    struct lx_siginfo si;

    assert_int_equal(sys_setitimer((const uint64_t[]){0, (uintptr_t)&v, 0}), 0);
    for (int i = 0; i < 3; i++) {
        fake_clock_add(10 * MS);
        assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si),
                         LX_SIGALRM);
    }
    assert_int_equal(sys_getitimer((const uint64_t[]){0, (uintptr_t)&old}), 0);
    assert_int_equal(old.interval.usec, 10000);
    assert_true(old.value.usec > 0 && old.value.usec <= 10000);
    v.value.usec = 1000000;
    assert_int_equal(sys_setitimer((const uint64_t[]){0, (uintptr_t)&v, 0}),
                     -EINVAL);
    v.value.usec = 0;
    assert_int_equal(sys_setitimer((const uint64_t[]){0, (uintptr_t)&v, 0}), 0);
    fake_clock_add(100 * MS);
    assert_false(pending(LX_SIGALRM));
}

static void test_posix_timer_counts_overruns(void **state)
{
    (void)state;
    struct lx_sigevent ev = {.value = 77, .signo = LX_SIGUSR1};
    struct lx_itimerspec v = {{0, 1000000}, {0, 1000000}};
    struct lx_siginfo si;
    uint32_t id = 99;
    uint64_t create[] = {LX_CLOCK_MONOTONIC, (uintptr_t)&ev, (uintptr_t)&id};

    assert_int_equal(sys_timer_create(create), 0);
    uint64_t set[] = {id, 0, (uintptr_t)&v, 0};
    assert_int_equal(sys_timer_settime(set), 0);
    fake_clock_add(MS);
    fake_clock_add(5 * MS);
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), LX_SIGUSR1);
    assert_int_equal(si.code, LX_SI_TIMER);
    assert_int_equal(si.timer_value, 77);
    assert_int_equal(si.timerid, id);
    int64_t overrun = sys_timer_getoverrun((const uint64_t[]){id});
    assert_int_equal(overrun, si.overrun);
    assert_int_equal(overrun, 5);
    assert_int_equal(sys_timer_delete((const uint64_t[]){id}), 0);
    assert_int_equal(sys_timer_delete((const uint64_t[]){id}), -EINVAL);
    fake_clock_add(5 * MS);
    assert_false(pending(LX_SIGUSR1));
    ev.signo = 65;
    assert_int_equal(sys_timer_create(create), -EINVAL);
    create[0] = 1234;
    assert_int_equal(sys_timer_create(create), -EINVAL);
}

static void test_exec_deletes_posix_timers(void **state)
{
    (void)state;
    struct lx_itimerspec v = {{0, 0}, {0, 1000000}};
    uint32_t id;
    uint64_t create[] = {LX_CLOCK_MONOTONIC, 0, (uintptr_t)&id};

    assert_int_equal(sys_timer_create(create), 0);
    uint64_t set[] = {id, 0, (uintptr_t)&v, 0};
    assert_int_equal(sys_timer_settime(set), 0);
    current()->clear_tid = 1;
    signal_exec(current());
    fake_clock_add(5 * MS);
    assert_false(pending(LX_SIGALRM));
    assert_int_equal(current()->clear_tid, 0);
    assert_int_equal(current()->proc->sighand->action[0].handler, LX_SIG_DFL);
    assert_true(list_empty(&current()->proc->ptimers));
}

static void test_nanosleep(void **state)
{
    (void)state;
    struct lx_timespec ts = {0, 3000000};
    nsec_t from = clock_now();
    uint64_t a[] = {(uintptr_t)&ts, 0};

    assert_int_equal(sys_nanosleep(a), 0);
    assert_true(clock_now() >= from + 3 * MS);
    ts.nsec = 1000000000;
    assert_int_equal(sys_nanosleep(a), -EINVAL);
    ts.nsec = 0;
    ts.sec = -1;
    assert_int_equal(sys_nanosleep(a), -EINVAL);
    uint64_t past[] = {LX_CLOCK_REALTIME, LX_TIMER_ABSTIME, (uintptr_t)&ts, 0};
    ts.sec = 1;
    assert_int_equal(sys_clock_nanosleep(past), 0);
    past[0] = 99;
    assert_int_equal(sys_clock_nanosleep(past), -EINVAL);
}

static void test_interrupted_sleep_tells_the_rest(void **state)
{
    (void)state;
    struct lx_timespec ts = {1, 0};
    struct lx_timespec rest = {0, 0};

    signal_set_mask(0);
    assert_int_equal(sys_alarm((const uint64_t[]){0}), 0);
    struct lx_itimerval v = {{0, 0}, {0, 250000}};
    assert_int_equal(sys_setitimer((const uint64_t[]){0, (uintptr_t)&v, 0}), 0);
    int64_t r =
        sys_nanosleep((const uint64_t[]){(uintptr_t)&ts, (uintptr_t)&rest});
    assert_int_equal(r, -ERESTART_RESTARTBLOCK);
    assert_int_equal(rest.sec, 0);
    assert_true(rest.nsec > 740000000 && rest.nsec <= 750000000);
    /* Nothing is left to deal with: the call goes on to its old end. */
    struct lx_siginfo si;
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), LX_SIGALRM);
    nsec_t before = clock_now();
    assert_int_equal(sys_restart_syscall(NULL), 0);
    assert_true(clock_now() - before < 760 * MS);
    assert_int_equal(sys_restart_syscall(NULL), -EINTR);
}

static void test_clocks(void **state)
{
    (void)state;
    struct lx_timespec a, b;
    uint64_t mono[] = {LX_CLOCK_MONOTONIC, (uintptr_t)&a};
    uint64_t real[] = {LX_CLOCK_REALTIME, (uintptr_t)&b};

    assert_int_equal(sys_clock_gettime(mono), 0);
    assert_int_equal(sys_clock_gettime(real), 0);
    assert_true(b.sec >= 1700000000);
    b.sec = 1000;
    b.nsec = 5;
    assert_int_equal(sys_clock_settime(real), 0);
    assert_int_equal(sys_clock_gettime(real), 0);
    assert_int_equal(b.sec, 1000);
    current()->cred.caps = 0;
    assert_int_equal(sys_clock_settime(real), -EPERM);
    mono[0] = 77;
    assert_int_equal(sys_clock_gettime(mono), -EINVAL);
    mono[0] = LX_CLOCK_MONOTONIC;
    fake_bad(&a, sizeof(a));
    assert_int_equal(sys_clock_gettime(mono), -EFAULT);
    fake_bad(NULL, 0);
}

static void test_sigtimedwait(void **state)
{
    (void)state;
    uint64_t set = SIG_BIT(LX_SIGUSR1);
    struct lx_timespec ts = {0, 1000000};
    struct lx_siginfo si;
    uint64_t a[] = {(uintptr_t)&set, (uintptr_t)&si, (uintptr_t)&ts, 8};

    assert_int_equal(sys_rt_sigtimedwait(a), -EAGAIN);
    signal_info(&si, LX_SIGUSR1, LX_SI_QUEUE);
    si.value = 5;
    assert_int_equal(signal_send(current()->proc, &si), 0);
    si.value = 0;
    assert_int_equal(sys_rt_sigtimedwait(a), LX_SIGUSR1);
    assert_int_equal(si.value, 5);
    assert_false(pending(LX_SIGUSR1));
}

static void test_missing_calls(void **state)
{
    (void)state;

    assert_int_equal(sys_dispatch(100000, NULL), -ENOSYS);
    assert_int_equal(sys_dispatch(UINT64_MAX, NULL), -ENOSYS);
    assert_int_equal(sys_dispatch(LX_NR_io_uring_setup, NULL), -ENOSYS);
    assert_int_equal(sys_dispatch(LX_NR_getpid, NULL), 1);
    assert_string_equal(sys_name(LX_NR_clone3), "clone3");
    assert_string_equal(sys_name(100000), "sys_?");
}

static void test_limits(void **state)
{
    (void)state;
    struct lx_rlimit64 l = {10, 20};
    uint64_t a[] = {0, LX_RLIMIT_NOFILE, (uintptr_t)&l, 0};

    assert_int_equal(sys_prlimit64(a), 0);
    current()->cred.caps = 0;
    l = (struct lx_rlimit64){20, 30};
    assert_int_equal(sys_prlimit64(a), -EPERM);
    l = (struct lx_rlimit64){20, 20};
    assert_int_equal(sys_prlimit64(a), 0);
    l = (struct lx_rlimit64){21, 20};
    assert_int_equal(sys_prlimit64(a), -EINVAL);
    a[1] = RLIMIT_COUNT;
    assert_int_equal(sys_prlimit64(a), -EINVAL);
    a[0] = 9999;
    a[1] = 0;
    a[2] = 0;
    assert_int_equal(sys_prlimit64(a), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alarm, setup),
        cmocka_unit_test_setup(test_itimer_repeats, setup),
        cmocka_unit_test_setup(test_posix_timer_counts_overruns, setup),
        cmocka_unit_test_setup(test_exec_deletes_posix_timers, setup),
        cmocka_unit_test_setup(test_nanosleep, setup),
        cmocka_unit_test_setup(test_interrupted_sleep_tells_the_rest, setup),
        cmocka_unit_test_setup(test_clocks, setup),
        cmocka_unit_test_setup(test_sigtimedwait, setup),
        cmocka_unit_test_setup(test_missing_calls, setup),
        cmocka_unit_test_setup(test_limits, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
