// SPDX-License-Identifier: Apache-2.0
/* Calls on files and sockets, and about the system, the old ones included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/poll.h"
#include "abi/linux/proc.h"
#include "abi/linux/signal.h"
#include "abi/linux/socket.h"

#include "guest/core/signal.h"
#include "guest/fs/inotify.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_dev.h"
#include "guest/sys/calls_net.h"
#include "guest/sys/calls_proc.h"
#include "tests/unit/guest_fs_env.h"

#define NOBODY_THERE 9999
#define NO_FD        77

static int setup(void **state)
{
    (void)state;
    fake_init(32 << 20);
    fake_bad(NULL, 0);
    env_root(NULL, 4 << 20);
    current()->cred.caps = CRED_CAPS_ALL;
    return 0;
}

/* Lists of sockets and names outlive fake_init(): nothing is left in them. */
static int teardown(void **state)
{
    (void)state;
    fake_bad(NULL, 0);
    fdtable_put(current()->proc->files);
    current()->proc->files = NULL;
    dentry_shrink(10000);
    return 0;
}

/* --- the system --- */

static void test_names_of_the_system(void **state)
{
    (void)state;
    struct lx_utsname u;

    assert_int_equal(CALL(sethostname, P("limpet"), 6), 0);
    assert_int_equal(CALL(setdomainname, P("rock"), 4), 0);
    assert_int_equal(CALL(uname, P(&u)), 0);
    assert_string_equal(u.sysname, "Linux");
    assert_string_equal(u.nodename, "limpet");
    assert_string_equal(u.domainname, "rock");
    assert_int_equal(CALL(personality, 0x20000), 0); /* UNAME26 */
    assert_int_equal(CALL(personality, UINT32_MAX), 0x20000);
    assert_int_equal(CALL(uname, P(&u)), 0);
    assert_memory_equal(u.release, "2.6.", 4);
    assert_int_equal(CALL(sethostname, P("x"), 65), -EINVAL);
    assert_int_equal(CALL(sethostname, P("x"), (uint32_t)-1), -EINVAL);
    fake_bad(&u, sizeof(u));
    assert_int_equal(CALL(sethostname, P(&u), 5), -EFAULT);
    assert_int_equal(CALL(uname, P(&u)), -EFAULT);
    env_user(1000);
    assert_int_equal(CALL(setdomainname, P("x"), 1), -EPERM);
}

static void test_facts_and_chance(void **state)
{
    (void)state;
    struct lx_sysinfo s = {.procs = 0};
    uint8_t a[600] = {0}, b[600] = {0};

    assert_int_equal(CALL(sysinfo, P(&s)), 0);
    assert_int_equal(s.procs, 1);
    assert_int_equal(s.mem_unit, 1);
    assert_in_range(s.totalram, 8 << 20, 32 << 20);
    assert_true(s.freeram <= s.totalram);
    assert_int_equal(CALL(getrandom, P(a), sizeof(a), 0), sizeof(a));
    assert_int_equal(CALL(getrandom, P(b), sizeof(b), 1), sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(CALL(getrandom, P(a), 4, 8), -EINVAL);
    assert_int_equal(CALL(getrandom, P(a), 4, 6), -EINVAL);
    fake_bad(a + 256, 1);
    assert_int_equal(CALL(getrandom, P(a), sizeof(a), 0), 256);
    assert_int_equal(CALL(getrandom, P(a + 256), 1, 0), -EFAULT);
    assert_int_equal(CALL(syslog, 10), 0);
    assert_int_equal(CALL(syslog, 11), -EINVAL);
    assert_int_equal(CALL(seccomp, 0), -EINVAL);
    env_user(1000);
    assert_int_equal(CALL(syslog, 5), -EPERM);
    assert_int_equal(CALL(syslog, 3), 0);
}

static void test_limits(void **state)
{
    (void)state;
    struct lx_rlimit64 l = {.cur = 5, .max = 9}, got = {0};

    assert_int_equal(CALL(setrlimit, LX_RLIMIT_CORE, P(&l)), 0);
    assert_int_equal(CALL(getrlimit, LX_RLIMIT_CORE, P(&got)), 0);
    assert_int_equal(got.cur, 5);
    assert_int_equal(got.max, 9);
    assert_int_equal(CALL(getrlimit, RLIMIT_COUNT, P(&got)), -EINVAL);
    assert_int_equal(CALL(setrlimit, RLIMIT_COUNT, P(&got)), -EINVAL);
    l.cur = 10; /* above max */
    assert_int_equal(CALL(setrlimit, LX_RLIMIT_CORE, P(&l)), -EINVAL);
    l.max = UINT64_MAX;
    assert_int_equal(CALL(setrlimit, LX_RLIMIT_NOFILE, P(&l)), -EPERM);
    l.max = 10;
    env_user(1000);
    assert_int_equal(CALL(setrlimit, LX_RLIMIT_CORE, P(&l)), -EPERM);
    assert_int_equal(CALL(prlimit64, NOBODY_THERE, 0, 0, 0), -ESRCH);
    assert_int_equal(CALL(prlimit64, 0, RLIMIT_COUNT, 0, 0), -EINVAL);
    assert_int_equal(CALL(prlimit64, 0, LX_RLIMIT_CORE, 0, P(&got)), 0);
    assert_int_equal(got.max, 9);
    fake_bad(&l, sizeof(l));
    assert_int_equal(CALL(setrlimit, LX_RLIMIT_CORE, P(&l)), -EFAULT);
    assert_int_equal(CALL(prlimit64, 0, 0, P(&l), 0), -EFAULT);
    assert_int_equal(CALL(prlimit64, 0, 0, 0, P(&l)), -EFAULT);
}

static void test_own_numbers(void **state)
{
    (void)state;
    uint64_t head = 1, size = 0;

    assert_int_equal(CALL(getpid, 0), 1);
    assert_int_equal(CALL(gettid, 0), 1);
    assert_int_equal(CALL(getppid, 0), 0);
    assert_int_equal(CALL(getpgrp, 0), CALL(getpgid, 0));
    assert_int_equal(CALL(getpgid, NOBODY_THERE), -ESRCH);
    assert_int_equal(CALL(getsid, NOBODY_THERE), -ESRCH);
    assert_int_equal(CALL(setpgid, NOBODY_THERE, 0), -ESRCH);
    assert_int_equal(CALL(setpgid, 0, (uint32_t)-1), -EINVAL);
    assert_int_equal(CALL(set_robust_list, 0x5000, 23), -EINVAL);
    assert_int_equal(CALL(set_robust_list, 0x5000, 24), 0);
    assert_int_equal(CALL(get_robust_list, 0, P(&head), P(&size)), 0);
    assert_int_equal(head, 0x5000);
    assert_int_equal(size, 24);
    assert_int_equal(CALL(get_robust_list, NOBODY_THERE, P(&head), P(&size)),
                     -ESRCH);
    assert_int_equal(CALL(set_robust_list, 0, 24), 0);
    assert_int_equal(CALL(set_tid_address, 0), 1);
    assert_int_equal(CALL(unshare, LX_CLONE_FS | LX_CLONE_THREAD), 0);
    assert_int_equal(CALL(unshare, LX_CLONE_NEWNS), -EPERM);
}

/* --- signals --- */

static void test_masks(void **state)
{
    (void)state;
    uint64_t set = SIG_BIT(LX_SIGUSR1), old = 9, got = 0;

    assert_int_equal(CALL(rt_sigprocmask, 0, P(&set), P(&old), 8), 0);
    assert_int_equal(old, 0);
    set = SIG_BIT(LX_SIGUSR2);
    assert_int_equal(CALL(rt_sigprocmask, 0, P(&set), 0, 8), 0);
    assert_int_equal(CALL(rt_sigprocmask, 1, P(&set), P(&old), 8), 0);
    assert_int_equal(old, SIG_BIT(LX_SIGUSR1) | SIG_BIT(LX_SIGUSR2));
    assert_int_equal(CALL(rt_sigprocmask, 0, 0, P(&got), 8), 0);
    assert_int_equal(got, SIG_BIT(LX_SIGUSR1));
    assert_int_equal(CALL(rt_sigprocmask, 3, P(&set), 0, 8), -EINVAL);
    assert_int_equal(CALL(rt_sigprocmask, 0, P(&set), 0, 4), -EINVAL);
    current()->proc->sighand->action[LX_SIGUSR1 - 1].handler = 0x400000;
    assert_int_equal(CALL(tgkill, 1, 1, LX_SIGUSR1), 0);
    assert_int_equal(CALL(rt_sigpending, P(&got), 8), 0);
    assert_int_equal(got, SIG_BIT(LX_SIGUSR1));
    assert_int_equal(CALL(rt_sigpending, P(&got), 9), -EINVAL);
    assert_int_equal(CALL(rt_sigsuspend, P(&got), 4), -EINVAL);
    got = 0; /* lets it in at once */
    assert_int_equal(CALL(rt_sigsuspend, P(&got), 8), -ERESTARTNOHAND);
    fake_bad(&set, sizeof(set));
    assert_int_equal(CALL(rt_sigprocmask, 2, P(&set), 0, 8), -EFAULT);
    assert_int_equal(CALL(rt_sigpending, P(&set), 8), -EFAULT);
    assert_int_equal(CALL(rt_sigsuspend, P(&set), 8), -EFAULT);
}

static void test_sending(void **state)
{
    (void)state;
    struct lx_siginfo si = {.code = -1};

    assert_int_equal(CALL(tkill, 1, 0), 0);
    assert_int_equal(CALL(tkill, 0, 0), -EINVAL);
    assert_int_equal(CALL(tkill, NOBODY_THERE, 0), -ESRCH);
    assert_int_equal(CALL(tkill, 1, 65), -EINVAL);
    assert_int_equal(CALL(tgkill, 0, 1, 0), -EINVAL);
    assert_int_equal(CALL(tgkill, 2, 1, 0), -ESRCH);
    assert_int_equal(CALL(kill, NOBODY_THERE, 0), -ESRCH);
    assert_int_equal(CALL(kill, 0x80000000u, 0), -ESRCH);
    assert_int_equal(CALL(kill, 1, 65), -EINVAL);
    signal_set_mask(SIG_BIT(34));
    current()->proc->sighand->action[33].handler = 0x400000;
    si.pid = 42;
    assert_int_equal(CALL(rt_sigqueueinfo, 1, 34, P(&si)), 0);
    assert_int_equal(CALL(rt_tgsigqueueinfo, 1, 1, 34, P(&si)), 0);
    memset(&si, 0, sizeof(si));
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), 34);
    assert_int_equal(si.pid, 42);
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), 34);
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), 0);
    si.code = LX_SI_USER;
    assert_int_equal(CALL(rt_sigqueueinfo, 5, 34, P(&si)), -EPERM);
    si.code = -1;
    assert_int_equal(CALL(rt_sigqueueinfo, NOBODY_THERE, 34, P(&si)), -ESRCH);
    assert_int_equal(CALL(rt_sigqueueinfo, 1, 65, P(&si)), -EINVAL);
    assert_int_equal(CALL(rt_tgsigqueueinfo, 0, 1, 34, P(&si)), -EINVAL);
    fake_bad(&si, sizeof(si));
    assert_int_equal(CALL(rt_sigqueueinfo, 1, 34, P(&si)), -EFAULT);
}

/* --- sockets --- */

static void pair(uint32_t type, uint64_t fd[2])
{
    int32_t got[2] = {-1, -1};

    assert_int_equal(CALL(socketpair, LX_AF_UNIX, type, 0, P(got)), 0);
    assert_in_range(got[0], 0, 100);
    assert_in_range(got[1], 0, 100);
    fd[0] = (uint64_t)got[0];
    fd[1] = (uint64_t)got[1];
}

static void test_pair(void **state)
{
    (void)state;
    uint64_t fd[2];
    char buf[16] = "";
    int32_t value = 0, size = sizeof(value);

    pair(LX_SOCK_STREAM | LX_SOCK_NONBLOCK, fd);
    assert_int_equal(CALL(recvfrom, fd[1], P(buf), 16, 0, 0, 0), -EAGAIN);
    assert_int_equal(CALL(sendto, fd[0], P("hello"), 5, 0, 0, 0), 5);
    assert_int_equal(CALL(recvfrom, fd[1], P(buf), 16, LX_MSG_PEEK, 0, 0), 5);
    assert_int_equal(CALL(recvfrom, fd[1], P(buf), 2, 0, 0, 0), 2);
    assert_int_equal(CALL(recvfrom, fd[1], P(buf + 2), 16, 0, 0, 0), 3);
    assert_string_equal(buf, "hello");
    assert_int_equal(
        CALL(getsockopt, fd[0], LX_SOL_SOCKET, LX_SO_TYPE, P(&value), P(&size)),
        0);
    assert_int_equal(value, LX_SOCK_STREAM);
    size = -1;
    assert_int_equal(
        CALL(getsockopt, fd[0], LX_SOL_SOCKET, LX_SO_TYPE, P(&value), P(&size)),
        -EINVAL);
    assert_int_equal(CALL(setsockopt, fd[0], LX_SOL_SOCKET, LX_SO_PASSCRED,
                          P(&value), (uint32_t)-1),
                     -EINVAL);
    assert_int_equal(CALL(shutdown, fd[0], 3), -EINVAL);
    assert_int_equal(CALL(shutdown, fd[0], LX_SHUT_WR), 0);
    assert_int_equal(CALL(recvfrom, fd[1], P(buf), 16, 0, 0, 0), 0);
    assert_int_equal(CALL(sendto, fd[0], P("x"), 1, LX_MSG_NOSIGNAL, 0, 0),
                     -EPIPE);
    assert_int_equal(CALL(shutdown, NO_FD, 0), -EBADF);
    assert_int_equal(
        CALL(sendto, (uint64_t)CALL(epoll_create, 1), P("x"), 1, 0, 0, 0),
        -ENOTSOCK);
    assert_int_equal(CALL(socketpair, LX_AF_UNIX, 0x100, 0, 0), -EINVAL);
    fake_bad(buf, sizeof(buf));
    assert_int_equal(CALL(socketpair, LX_AF_UNIX, 1, 0, P(buf)), -EFAULT);
}

static void test_connection(void **state)
{
    (void)state;
    struct lx_sockaddr_un a = {LX_AF_UNIX, {0, 'l', 'i', 'm'}}, got;
    int32_t size = sizeof(got);
    char buf[4] = "";
    const unsigned n = 6;
    uint64_t l = (uint64_t)CALL(socket, LX_AF_UNIX, LX_SOCK_STREAM, 0);
    uint64_t c = (uint64_t)CALL(socket, LX_AF_UNIX, LX_SOCK_STREAM, 0);

    assert_int_equal(CALL(connect, c, P(&a), n), -ECONNREFUSED);
    assert_int_equal(CALL(bind, l, P(&a), (uint32_t)-1), -EINVAL);
    assert_int_equal(CALL(bind, l, P(&a), n), 0);
    assert_int_equal(CALL(bind, c, P(&a), n), -EADDRINUSE);
    assert_int_equal(CALL(connect, c, P(&a), n), -ECONNREFUSED);
    assert_int_equal(CALL(listen, l, 1), 0);
    assert_int_equal(CALL(connect, c, P(&a), n), 0);
    assert_int_equal(CALL(connect, c, P(&a), n), -EISCONN);
    assert_int_equal(CALL(accept4, l, 0, 0, 1), -EINVAL);
    int64_t s = CALL(accept4, l, P(&got), P(&size), LX_SOCK_CLOEXEC);
    assert_in_range(s, 0, 100);
    assert_int_equal(size, 2); /* the client has no name */
    assert_int_equal(CALL(fcntl, (uint64_t)s, LX_F_GETFD), LX_FD_CLOEXEC);
    size = sizeof(got);
    assert_int_equal(CALL(getpeername, c, P(&got), P(&size)), 0);
    assert_int_equal(size, n);
    assert_memory_equal(&got, &a, n);
    assert_int_equal(CALL(getsockname, l, P(&got), P(&size)), 0);
    assert_int_equal(CALL(getpeername, l, P(&got), P(&size)), -ENOTCONN);
    assert_int_equal(CALL(sendto, c, P("ab"), 2, 0, 0, 0), 2);
    assert_int_equal(CALL(recvfrom, (uint64_t)s, P(buf), 4, 0, 0, 0), 2);
    assert_string_equal(buf, "ab");
    assert_int_equal(CALL(fcntl, l, LX_F_SETFL, LX_O_NONBLOCK), 0);
    assert_int_equal(CALL(accept, l, 0, 0), -EAGAIN);
    assert_int_equal(CALL(accept, c, 0, 0), -EINVAL);
    assert_int_equal(CALL(socket, 999, 1, 0), -EAFNOSUPPORT);
    fake_bad(&size, sizeof(size));
    assert_int_equal(CALL(getsockname, l, P(&got), P(&size)), -EFAULT);
}

struct seg {
    uint64_t at, size;
};

static void test_messages(void **state)
{
    (void)state;
    uint64_t fd[2];
    char a[4] = "", b[8] = "";
    const char *text = "one two";
    struct seg out[2] = {{P(text), 3}, {P(text + 3), 4}};
    struct seg in[2] = {{P(a), 3}, {P(b), 7}};
    struct lx_msghdr h = {.iov = P(out), .iov_count = 2};
    struct lx_msghdr g = {.iov = P(in), .iov_count = 2, .flags = 9};

    pair(LX_SOCK_SEQPACKET, fd);
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), 7);
    assert_int_equal(CALL(recvmsg, fd[1], P(&g), 0), 7);
    assert_string_equal(a, "one");
    assert_string_equal(b, " two");
    assert_int_equal(g.flags, 0);
    assert_int_equal(g.control_size, 0);
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), 7);
    g.iov_count = 1;
    assert_int_equal(CALL(recvmsg, fd[1], P(&g), 0), 3);
    assert_int_equal(g.flags, LX_MSG_TRUNC);
    h.iov_count = 1025;
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), -EMSGSIZE);
    h.iov_count = 1;
    h.control_size = UINT64_C(1) << 31;
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), -ENOBUFS);
    h.control_size = 0;
    h.name = P(a);
    h.name_size = -1;
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), -EINVAL);
    assert_int_equal(CALL(recvmsg, NO_FD, P(&g), 0), -EBADF);
    fake_bad(&h, sizeof(h));
    assert_int_equal(CALL(sendmsg, fd[0], P(&h), 0), -EFAULT);
}

static void test_many_messages(void **state)
{
    (void)state;
    uint64_t fd[2];
    char text[] = "abcdef", got[3][4] = {""};
    struct seg out[2] = {{P(text), 2}, {P(text + 2), 4}};
    struct seg in[3] = {{P(got[0]), 4}, {P(got[1]), 4}, {P(got[2]), 4}};
    struct lx_mmsghdr s[2] = {{.hdr = {.iov = P(&out[0]), .iov_count = 1}},
                              {.hdr = {.iov = P(&out[1]), .iov_count = 1}}};
    struct lx_mmsghdr r[3] = {{.hdr = {.iov = P(&in[0]), .iov_count = 1}},
                              {.hdr = {.iov = P(&in[1]), .iov_count = 1}},
                              {.hdr = {.iov = P(&in[2]), .iov_count = 1}}};
    struct lx_timespec ts = {.nsec = -1};

    pair(LX_SOCK_DGRAM, fd);
    assert_int_equal(CALL(sendmmsg, fd[0], P(s), 2, 0), 2);
    assert_int_equal(s[1].size, 4);
    assert_int_equal(CALL(recvmmsg, fd[1], P(r), 3, 0, P(&ts)), -EINVAL);
    assert_int_equal(CALL(recvmmsg, fd[1], P(r), 3, LX_MSG_WAITFORONE, 0), 2);
    assert_int_equal(r[0].size, 2);
    assert_int_equal(r[1].size, 4);
    assert_memory_equal(got[1], "cdef", 4);
    assert_int_equal(CALL(recvmmsg, fd[1], P(r), 3, LX_MSG_DONTWAIT, 0),
                     -EAGAIN);
    assert_int_equal(CALL(sendmmsg, fd[0], P(s), 2, 0), 2);
    ts.nsec = 0; /* over after the first */
    assert_int_equal(CALL(recvmmsg, fd[1], P(r), 3, 0, P(&ts)), 1);
    assert_int_equal(CALL(sendmmsg, NO_FD, P(s), 2, 0), -EBADF);
}

/* --- readiness --- */

static void test_epoll_calls(void **state)
{
    (void)state;
    uint64_t fd[2], e = (uint64_t)CALL(epoll_create1, LX_EPOLL_CLOEXEC);
    struct lx_epoll_event ev = {.events = EPOLLIN, .data = 55}, got[30];
    struct lx_timespec ts = {.nsec = 1000};
    uint64_t mask = 0;

    assert_in_range(e, 0, 100);
    assert_int_equal(CALL(epoll_create1, 1), -EINVAL);
    assert_int_equal(CALL(epoll_create, 0), -EINVAL);
    assert_in_range(CALL(epoll_create, 1), 0, 100);
    pair(LX_SOCK_STREAM, fd);
    assert_int_equal(CALL(epoll_ctl, e, 1, fd[1], P(&ev)), 0);
    assert_int_equal(CALL(epoll_ctl, e, 1, fd[1], P(&ev)), -EEXIST);
    assert_int_equal(CALL(epoll_ctl, e, 1, NO_FD, P(&ev)), -EBADF);
    assert_int_equal(CALL(epoll_ctl, NO_FD, 1, fd[1], P(&ev)), -EBADF);
    assert_int_equal(CALL(epoll_wait, e, P(got), 30, 0), 0);
    assert_int_equal(CALL(epoll_pwait2, e, P(got), 30, P(&ts), 0, 8), 0);
    assert_int_equal(CALL(sendto, fd[0], P("x"), 1, 0, 0, 0), 1);
    memset(got, 0, sizeof(got));
    assert_int_equal(CALL(epoll_wait, e, P(got), 30, 0), 1);
    assert_int_equal(got[0].data, 55);
    assert_int_equal(CALL(epoll_pwait, e, P(got), 1, 0, P(&mask), 8), 1);
    assert_int_equal(CALL(epoll_pwait, e, P(got), 1, 0, P(&mask), 4), -EINVAL);
    assert_int_equal(CALL(epoll_wait, e, P(got), 0, 0), -EINVAL);
    assert_int_equal(CALL(epoll_wait, NO_FD, P(got), 1, 0), -EBADF);
    fake_bad(got, sizeof(got));
    assert_int_equal(CALL(epoll_wait, e, P(got), 1, 0), -EFAULT);
    assert_int_equal(CALL(epoll_ctl, e, 3, fd[1], P(got)), -EFAULT);
    assert_int_equal(CALL(epoll_ctl, e, 2, fd[1], 0), 0);
    assert_int_equal(CALL(epoll_wait, e, P(got), 1, 0), 0);
}

static void test_inotify_calls(void **state)
{
    (void)state;
    uint32_t ev[16] = {0};
    uint64_t fd = (uint64_t)CALL(inotify_init1, LX_O_NONBLOCK);

    assert_in_range(fd, 0, 100);
    assert_int_equal(CALL(inotify_init1, 1), -EINVAL);
    assert_in_range(CALL(inotify_init, 0), 0, 100);
    assert_int_equal(CALL(mkdir, P("d"), 0755), 0);
    int64_t wd = CALL(inotify_add_watch, fd, P("d"), IN_CREATE | IN_ONLYDIR);
    assert_true(wd > 0);
    assert_int_equal(CALL(inotify_add_watch, fd, P("e"), IN_CREATE), -ENOENT);
    assert_int_equal(CALL(inotify_add_watch, fd, P("d"), 0), -EINVAL);
    assert_int_equal(CALL(inotify_add_watch, NO_FD, P("d"), 1), -EBADF);
    assert_int_equal(CALL(read, fd, P(ev), sizeof(ev)), -EAGAIN);
    assert_int_equal(CALL(mknod, P("d/n"), LX_S_IFREG | 0600, 0), 0);
    assert_int_equal(CALL(read, fd, P(ev), sizeof(ev)), 32);
    assert_int_equal(ev[0], wd);
    assert_int_equal(ev[1], IN_CREATE);
    assert_string_equal((const char *)&ev[4], "n");
    assert_int_equal(CALL(inotify_rm_watch, fd, (uint64_t)wd), 0);
    assert_int_equal(CALL(inotify_rm_watch, fd, (uint64_t)wd), -EINVAL);
    assert_int_equal(CALL(inotify_rm_watch, NO_FD, 1), -EBADF);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_names_of_the_system),
        T(test_facts_and_chance),
        T(test_limits),
        T(test_own_numbers),
        T(test_masks),
        T(test_sending),
        T(test_pair),
        T(test_connection),
        T(test_messages),
        T(test_many_messages),
        T(test_epoll_calls),
        T(test_inotify_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
