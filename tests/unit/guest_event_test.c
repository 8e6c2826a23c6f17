// SPDX-License-Identifier: Apache-2.0
/* poll, select, eventfd, timerfd and signalfd as system calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"
#include "abi/linux/proc.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_dev.h"
#include "guest/sys/calls_fs.h"

#define A(...) ((const uint64_t[6]){__VA_ARGS__})
#define P(x)   ((uintptr_t)(x))

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    current()->proc->files = fdtable_new();
    assert_non_null(current()->proc->files);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fdtable_put(current()->proc->files);
    current()->proc->files = NULL;
    return 0;
}

static int eventfd(unsigned count, unsigned flags)
{
    int fd = (int)sys_eventfd2(A(count, flags));
    assert_in_range(fd, 0, 100);
    return fd;
}

static int64_t write_u64(int fd, uint64_t v)
{
    return sys_write(A((uint64_t)fd, P(&v), 8));
}

static int64_t read_u64(int fd, uint64_t *v)
{
    return sys_read(A((uint64_t)fd, P(v), 8));
}

static void test_eventfd(void **state)
{
    (void)state;
    uint64_t v = 0;
    int fd = eventfd(3, LX_EFD_NONBLOCK);
    assert_int_equal(write_u64(fd, 4), 8);
    assert_int_equal(read_u64(fd, &v), 8);
    assert_int_equal(v, 7);
    assert_int_equal(read_u64(fd, &v), -EAGAIN);
    assert_int_equal(write_u64(fd, UINT64_MAX), -EINVAL);
    assert_int_equal(write_u64(fd, UINT64_MAX - 1), 8);
    assert_int_equal(write_u64(fd, 1), -EAGAIN);
    assert_int_equal(sys_read(A((uint64_t)fd, P(&v), 4)), -EINVAL);
    fd = eventfd(2, LX_EFD_NONBLOCK | LX_EFD_SEMAPHORE);
    assert_int_equal(read_u64(fd, &v), 8);
    assert_int_equal(v, 1);
    assert_int_equal(read_u64(fd, &v), 8);
    assert_int_equal(read_u64(fd, &v), -EAGAIN);
    assert_int_equal(sys_eventfd2(A(0, 0x40)), -EINVAL);
}

static void test_poll(void **state)
{
    (void)state;
    int empty = eventfd(0, 0), full = eventfd(1, 0);
    struct lx_pollfd p[] = {
        {.fd = empty, .events = EPOLLIN},
        {.fd = full, .events = EPOLLIN},
        {.fd = -1, .events = EPOLLIN, .revents = 99},
        {.fd = 77, .events = EPOLLIN},
    };
    assert_int_equal(sys_poll(A(P(p), 4, (uint32_t)-1)), 2);
    assert_int_equal(p[0].revents, 0);
    assert_int_equal(p[1].revents, EPOLLIN);
    assert_int_equal(p[2].revents, 0);
    assert_int_equal(p[3].revents, EPOLLNVAL);
    nsec_t start = clock_now();
    assert_int_equal(sys_poll(A(P(p), 1, 20)), 0);
    assert_true(clock_now() - start >= 20000000);
    assert_int_equal(sys_poll(A(P(p), 100000000, 0)), -EINVAL);
    fake_bad(p, sizeof(p));
    assert_int_equal(sys_poll(A(P(p), 1, 0)), -EFAULT);
    fake_bad(NULL, 0);
}

/* More files than fit on the stack, and more wait queues. */
static void test_poll_many(void **state)
{
    (void)state;
    struct lx_pollfd p[20];
    for (unsigned i = 0; i < 20; i++)
        p[i] = (struct lx_pollfd){.fd = eventfd(0, 0), .events = EPOLLIN};
    assert_int_equal(sys_poll(A(P(p), 20, 5)), 0);
    assert_int_equal(write_u64(p[17].fd, 1), 8);
    assert_int_equal(sys_poll(A(P(p), 20, (uint32_t)-1)), 1);
    assert_int_equal(p[17].revents, EPOLLIN);
}

static void raise_usr1(void)
{
    struct lx_siginfo si;
    signal_info(&si, LX_SIGUSR1, LX_SI_USER);
    assert_int_equal(signal_send(current()->proc, &si), 0);
}

static void test_ppoll_mask(void **state)
{
    (void)state;
    struct lx_pollfd p = {.fd = eventfd(0, 0), .events = EPOLLIN};
    struct lx_timespec ts = {.sec = 1};
    uint64_t open_mask = 0;
    struct task *t = current();
    t->proc->sighand->action[LX_SIGUSR1 - 1].handler = 4096;
    signal_set_mask(SIG_BIT(LX_SIGUSR1));
    raise_usr1();
    /* Blocked: the wait is not cut short. */
    assert_int_equal(sys_ppoll(A(P(&p), 1, P(&ts), 0, 8)), 0);
    assert_int_equal(ts.sec, 0);
    /* Ready at once: the signal must not be let in, and the mask is back. */
    assert_int_equal(write_u64(p.fd, 1), 8);
    ts.sec = 1;
    assert_int_equal(sys_ppoll(A(P(&p), 1, P(&ts), P(&open_mask), 8)), 1);
    assert_int_equal(t->sigmask, SIG_BIT(LX_SIGUSR1));
    assert_false(t->restore_sigmask);
    /* Not ready: the signal ends it. */
    p.events = EPOLLPRI;
    assert_int_equal(sys_ppoll(A(P(&p), 1, P(&ts), P(&open_mask), 8)),
                     -ERESTARTNOHAND);
    assert_true(t->restore_sigmask);
    assert_int_equal(sys_ppoll(A(P(&p), 1, P(&ts), P(&open_mask), 4)), -EINVAL);
    ts.nsec = 2000000000;
    assert_int_equal(sys_ppoll(A(P(&p), 1, P(&ts), 0, 8)), -EINVAL);
}

static void test_select(void **state)
{
    (void)state;
    int empty = eventfd(0, 0), full = eventfd(1, 0);
    uint64_t both = UINT64_C(1) << empty | UINT64_C(1) << full;
    uint64_t in = both, out = both;
    int64_t tv[2] = {0, 0};
    assert_int_equal(sys_select(A(64, P(&in), P(&out), 0, P(tv))), 3);
    assert_int_equal(in, UINT64_C(1) << full);
    assert_int_equal(out, both);
    in = UINT64_C(1) << 30;
    assert_int_equal(sys_select(A(64, P(&in), 0, 0, P(tv))), -EBADF);
    assert_int_equal(sys_select(A((uint32_t)-1, 0, 0, 0, P(tv))), -EINVAL);
    in = UINT64_C(1) << empty;
    tv[1] = 3000;
    nsec_t start = clock_now();
    assert_int_equal(sys_select(A(64, P(&in), 0, 0, P(tv))), 0);
    assert_true(clock_now() - start >= 3000000);
    assert_int_equal(in, 0);
    assert_int_equal(tv[1], 0);
}

static void test_timerfd(void **state)
{
    (void)state;
    uint64_t v = 0;
    int fd = (int)sys_timerfd_create(A(LX_CLOCK_MONOTONIC, LX_TFD_NONBLOCK));
    assert_in_range(fd, 0, 100);
    assert_int_equal(read_u64(fd, &v), -EAGAIN);
    struct lx_itimerspec its = {.value = {.nsec = 1000000},
                                .interval = {.nsec = 1000000}};
    struct lx_itimerspec now;
    assert_int_equal(sys_timerfd_settime(A((uint64_t)fd, 0, P(&its), 0)), 0);
    fake_clock_add(3500000);
    struct lx_pollfd p = {.fd = fd, .events = EPOLLIN};
    assert_int_equal(sys_poll(A(P(&p), 1, 0)), 1);
    assert_int_equal(read_u64(fd, &v), 8);
    assert_int_equal(v, 3);
    assert_int_equal(sys_timerfd_gettime(A((uint64_t)fd, P(&now))), 0);
    assert_int_equal(now.interval.nsec, 1000000);
    assert_in_range(now.value.nsec, 1, 1000000);
    its = (struct lx_itimerspec){.value = {.sec = 0}};
    assert_int_equal(sys_timerfd_settime(A((uint64_t)fd, 0, P(&its), 0)), 0);
    fake_clock_add(10000000);
    assert_int_equal(read_u64(fd, &v), -EAGAIN);
    its.value.nsec = -1;
    assert_int_equal(sys_timerfd_settime(A((uint64_t)fd, 0, P(&its), 0)),
                     -EINVAL);
    assert_int_equal(sys_timerfd_create(A(99, 0)), -EINVAL);
}

/* An absolute time that has passed fires at once. */
static void test_timerfd_absolute(void **state)
{
    (void)state;
    uint64_t v = 0;
    int fd = (int)sys_timerfd_create(A(LX_CLOCK_REALTIME, 0));
    struct lx_itimerspec its = {.value = {.sec = 5}};
    assert_int_equal(
        sys_timerfd_settime(A((uint64_t)fd, LX_TFD_TIMER_ABSTIME, P(&its), 0)),
        0);
    assert_int_equal(read_u64(fd, &v), 8);
    assert_int_equal(v, 1);
}

static void test_signalfd(void **state)
{
    (void)state;
    struct lx_signalfd_siginfo si[2];
    uint64_t mask = SIG_BIT(LX_SIGUSR1);
    signal_set_mask(mask);
    int fd = (int)sys_signalfd4(
        A((uint64_t)(uint32_t)-1, P(&mask), 8, LX_SFD_NONBLOCK));
    assert_in_range(fd, 0, 100);
    assert_int_equal(sys_read(A((uint64_t)fd, P(si), sizeof(si))), -EAGAIN);
    raise_usr1();
    struct lx_pollfd p = {.fd = fd, .events = EPOLLIN};
    assert_int_equal(sys_poll(A(P(&p), 1, (uint32_t)-1)), 1);
    assert_int_equal(sys_read(A((uint64_t)fd, P(si), sizeof(si))),
                     sizeof(si[0]));
    assert_int_equal(si[0].signo, LX_SIGUSR1);
    assert_int_equal(sys_read(A((uint64_t)fd, P(si), sizeof(si))), -EAGAIN);
    assert_int_equal(sys_read(A((uint64_t)fd, P(si), 64)), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_eventfd),          T(test_poll),     T(test_poll_many),
        T(test_ppoll_mask),       T(test_select),   T(test_timerfd),
        T(test_timerfd_absolute), T(test_signalfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
