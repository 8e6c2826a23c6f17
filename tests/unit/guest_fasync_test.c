// SPDX-License-Identifier: Apache-2.0
/* SIGIO: O_ASYNC, F_SETOWN, F_SETOWN_EX and F_SETSIG of fcntl(2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/poll.h"
#include "abi/linux/proc.h"

#include "guest/core/signal.h"
#include "guest/fs/fasync.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_proc.h"
#include "tests/unit/guest_fs_env.h"

#define SIG_RT (LX_SIGRTMIN + 2)
#define IN     1 /* si_code: POLL_IN, POLL_OUT */
#define OUT    2

static int32_t ends[2]; /* of a pipe: read, write */
static struct lx_siginfo info;

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    env_root(NULL, 1 << 20);
    signal_set_mask(~UINT64_C(0));
    current()->proc->pgid = current()->proc->pid;
    assert_int_equal(CALL(pipe2, P(ends), LX_O_NONBLOCK), 0);
    return 0;
}

static int64_t fcntl_(int fd, uint32_t cmd, uint64_t arg)
{
    return CALL(fcntl, (uint64_t)fd, cmd, arg);
}

/* The signal that came, in `info`; 0: none. */
static int came(void)
{
    static uint64_t all = ~UINT64_C(0);
    static struct lx_timespec now;
    fake_clock_add(1000);
    memset(&info, 0, sizeof(info));
    int64_t r = CALL(rt_sigtimedwait, P(&all), P(&info), P(&now), 8);
    assert_true(r > 0 || r == -EAGAIN);
    return r > 0 ? (int)r : 0;
}

static void put(void)
{
    assert_int_equal(CALL(write, (uint64_t)ends[1], P("x"), 1), 1);
}

static void async(int fd, bool on)
{
    assert_int_equal(
        fcntl_(fd, LX_F_SETFL, LX_O_NONBLOCK | (on ? LX_O_ASYNC : 0)), 0);
}

/* Both an owner and O_ASYNC are needed, and SIGIO is the signal. */
static void test_sigio(void **state)
{
    (void)state;
    assert_int_equal(fcntl_(ends[0], LX_F_GETOWN, 0), 0);
    async(ends[0], true);
    put();
    assert_int_equal(came(), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 1), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_GETOWN, 0), 1);
    put();
    assert_int_equal(came(), LX_SIGIO);
    assert_int_equal(came(), 0);
    async(ends[0], false);
    put();
    assert_int_equal(came(), 0);
}

/* F_SETSIG: the signal is queued and tells what happened, and where. */
static void test_setsig(void **state)
{
    (void)state;
    assert_int_equal(fcntl_(ends[0], LX_F_SETSIG, 65), -EINVAL);
    assert_int_equal(fcntl_(ends[0], LX_F_SETSIG, SIG_RT), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_GETSIG, 0), SIG_RT);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 1), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_GETSIG, 0), SIG_RT);
    async(ends[0], true);
    put();
    assert_int_equal(came(), SIG_RT);
    assert_int_equal(info.code, IN);
    assert_int_equal(info.fd, ends[0]);
    assert_int_equal(info.band, EPOLLIN | EPOLLRDNORM);
    assert_int_equal(CALL(close, (uint64_t)ends[1]), 0);
    assert_int_equal(came(), SIG_RT); /* the end of it can be read */
    assert_int_equal(info.code, IN);
    assert_int_equal(CALL(close, (uint64_t)ends[0]), 0);
    assert_int_equal(came(), 0);
}

/* Who writes learns of room, not of data. */
static void test_writer(void **state)
{
    (void)state;
    static char page[65536];
    assert_int_equal(fcntl_(ends[1], LX_F_SETSIG, SIG_RT), 0);
    assert_int_equal(fcntl_(ends[1], LX_F_SETOWN, 1), 0);
    async(ends[1], true);
    assert_int_equal(CALL(write, (uint64_t)ends[1], P(page), 65536), 65536);
    assert_int_equal(came(), 0);
    assert_int_equal(CALL(read, (uint64_t)ends[0], P(page), 65536), 65536);
    assert_int_equal(came(), SIG_RT);
    assert_int_equal(info.code, OUT);
    assert_int_equal(info.fd, ends[1]);
    assert_int_equal(info.band, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
}

/* A negative owner is a process group. */
static void test_groups(void **state)
{
    (void)state;
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, (uint64_t)-1), 0);
    assert_int_equal((int32_t)fcntl_(ends[0], LX_F_GETOWN, 0), -1);
    async(ends[0], true);
    put();
    assert_int_equal(came(), LX_SIGIO);
    current()->proc->pgid = 7; /* left it */
    put();
    assert_int_equal(came(), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, (uint64_t)-1), -ESRCH);
}

static void test_owner_ex(void **state)
{
    (void)state;
    static struct lx_f_owner_ex ex, now;
    for (int32_t type = FASYNC_TID; type <= FASYNC_PGRP; type++) {
        ex = (struct lx_f_owner_ex){.type = type, .pid = 1};
        assert_int_equal(fcntl_(ends[0], LX_F_SETOWN_EX, P(&ex)), 0);
        assert_int_equal(fcntl_(ends[0], LX_F_GETOWN_EX, P(&now)), 0);
        assert_memory_equal(&now, &ex, sizeof(ex));
        async(ends[0], true);
        put();
        assert_int_equal(came(), LX_SIGIO);
        async(ends[0], false);
    }
    ex = (struct lx_f_owner_ex){.type = 3, .pid = 1};
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN_EX, P(&ex)), -EINVAL);
    ex = (struct lx_f_owner_ex){.type = FASYNC_TID, .pid = 4711};
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN_EX, P(&ex)), -ESRCH);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 4711), -ESRCH);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 0x80000000u), -EINVAL);
    assert_int_equal(fcntl_(ends[0], LX_F_GETOWN, 0), -1); /* as it was */
}

/* What could not be sent with kill(2) by who asked is not sent. */
static void test_permission(void **state)
{
    (void)state;
    env_user(1000);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 1), 0);
    async(ends[0], true);
    env_user(2000);
    current()->proc->cred = current()->cred;
    put();
    assert_int_equal(came(), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 1), 0);
    put();
    assert_int_equal(came(), LX_SIGIO);
}

/* ioctl_fionbio: FIOASYNC is O_ASYNC. Plain files have none of it. */
static void test_fioasync(void **state)
{
    (void)state;
    static int32_t on = 1;
    assert_int_equal(fcntl_(ends[0], LX_F_SETOWN, 1), 0);
    assert_int_equal(CALL(ioctl, (uint64_t)ends[0], LX_FIOASYNC, P(&on)), 0);
    assert_int_equal(fcntl_(ends[0], LX_F_GETFL, 0) & LX_O_ASYNC, LX_O_ASYNC);
    put();
    assert_int_equal(came(), LX_SIGIO);
    int fd = env_open("f", LX_O_CREAT | LX_O_RDWR);
    assert_int_equal(fcntl_(fd, LX_F_SETOWN, 1), 0);
    async(fd, true);
    assert_int_equal(fcntl_(fd, LX_F_GETFL, 0) & LX_O_ASYNC, 0);
    assert_int_equal(CALL(write, (uint64_t)fd, P("x"), 1), 1);
    assert_int_equal(came(), 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sigio),    T(test_setsig),     T(test_writer),   T(test_groups),
        T(test_owner_ex), T(test_permission), T(test_fioasync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
