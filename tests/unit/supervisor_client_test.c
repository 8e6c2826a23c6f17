// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "supervisor/client.h"
#include "supervisor/instance.h"

static int ends[2];

static int setup(void **unused)
{
    (void)unused;
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
}

static int teardown(void **unused)
{
    (void)unused;
    (void)close(ends[0]);
    return close(ends[1]);
}

static void monitor_says(uint32_t type, uint32_t claimed, const void *payload,
                         size_t size)
{
    uint8_t frame[CTL_FRAME_MAX];
    struct ctl_header h = {.type = type, .size = claimed};
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), payload, size);
    assert_int_equal(send(ends[1], frame, sizeof(h) + size, 0),
                     sizeof(h) + size);
}

static void test_frames_sent(void **unused)
{
    (void)unused;
    struct {
        struct ctl_header h;
        union {
            struct ctl_signal s;
            struct ctl_winsize w;
        } u;
    } got;
    assert_int_equal(client_send_signal(ends[0], 15), 0);
    assert_int_equal(recv(ends[1], &got, sizeof(got), 0), 16);
    assert_int_equal(got.h.type, CTL_SIGNAL);
    assert_int_equal(got.h.size, 8);
    assert_int_equal(got.u.s.signo, 15);
    assert_int_equal(client_send_winsize(ends[0], 24, 80), 0);
    assert_int_equal(recv(ends[1], &got, sizeof(got), 0), 16);
    assert_int_equal(got.h.type, CTL_WINSIZE);
    assert_int_equal(got.u.w.rows, 24);
    assert_int_equal(got.u.w.cols, 80);
}

static void test_exit(void **unused)
{
    (void)unused;
    struct err e;
    struct instance_exit x;
    struct ctl_exit out = {.kind = CTL_SIGNALLED, .code = 9};
    monitor_says(CTL_LOG, 2, "hi", 2);
    monitor_says(77, 0, "", 0);
    monitor_says(CTL_EXIT, sizeof(out), &out, sizeof(out));
    assert_int_equal(client_wait_exit(ends[0], 10000, &x, &e), 0);
    assert_int_equal(instance_exit_status(&x), 137);
}

static void test_nonsense(void **unused)
{
    (void)unused;
    struct err e;
    struct instance_exit x;
    struct ctl_exit out = {.kind = CTL_EXITED};
    monitor_says(CTL_EXIT, sizeof(out) + 1, &out, sizeof(out));
    assert_int_equal(client_read(ends[0], &x, &e), -EPROTO);
    monitor_says(CTL_EXIT, 4, &out, 4);
    assert_int_equal(client_read(ends[0], &x, &e), -EPROTO);
    assert_int_equal(send(ends[1], "abc", 3, 0), 3);
    assert_int_equal(client_read(ends[0], &x, &e), -EPROTO);
    out.msg_size = 1;
    monitor_says(CTL_EXIT, sizeof(out), &out, sizeof(out));
    assert_int_equal(client_read(ends[0], &x, &e), -EPROTO);
}

static void test_silence(void **unused)
{
    (void)unused;
    struct err e;
    struct instance_exit x;
    assert_int_equal(client_wait_exit(ends[0], 1, &x, &e), -ETIMEDOUT);
    (void)shutdown(ends[1], SHUT_RDWR);
    assert_int_equal(client_wait_exit(ends[0], -1, &x, &e), -EPIPE);
    assert_int_equal(client_send_signal(ends[0], 1), -EPIPE);
}

static void test_notices(void **unused)
{
    (void)unused;
    struct err e;
    struct instance_exit x;
    monitor_says(CTL_STARTED, 0, "", 0);
    monitor_says(CTL_KILLED, 4, "a\033b ", 4);
    monitor_says(99, 1, "x", 1);
    assert_int_equal(client_read(ends[0], &x, &e), CLIENT_STARTED);
    assert_int_equal(client_read(ends[0], &x, &e), CLIENT_KILLED);
    assert_string_equal(x.msg, "a b ");
    assert_int_equal(client_read(ends[0], &x, &e), CLIENT_NOTHING);
}

/* An interface is asked for with its fd; everything but its answer is skipped.
 */
static void test_interface(void **unused)
{
    struct ctl_net m = {.at = {.slot = 3}, .netif = {.name = "eth3"}};
    struct ctl_net_done d = {.error = -ENOSPC};
    struct {
        struct ctl_header h;
        struct ctl_net m;
    } got;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec v = {&got, sizeof(got)};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof(control.space)};
    int fd;
    (void)unused;
    monitor_says(CTL_STARTED, 0, "", 0);
    monitor_says(CTL_NET_DONE, 4, &d, 4); /* too short */
    monitor_says(CTL_NET_DONE, sizeof(d), &d, sizeof(d));
    assert_int_equal(client_net(ends[0], CTL_NET_ADD, &m, ends[0], 60000),
                     -ENOSPC);
    assert_int_equal(recvmsg(ends[1], &h, 0), sizeof(got));
    assert_int_equal(got.h.type, CTL_NET_ADD);
    assert_int_equal(got.m.at.slot, 3);
    assert_string_equal(got.m.netif.name, "eth3");
    assert_int_equal(h.msg_controllen, sizeof(control.space));
    memcpy(&fd, CMSG_DATA(&control.align), sizeof(fd));
    assert_int_equal(close(fd), 0);
    d.error = 7; /* no error of ours */
    monitor_says(CTL_NET_DONE, sizeof(d), &d, sizeof(d));
    assert_int_equal(client_net(ends[0], CTL_NET_REMOVE, &m, -1, 60000),
                     -EPROTO);
    assert_int_equal(recv(ends[1], &got, sizeof(got), 0),
                     sizeof(got.h) + sizeof(got.m.at));
    assert_int_equal(client_net(ends[0], CTL_NET_REMOVE, &m, -1, 1),
                     -ETIMEDOUT);
    monitor_says(CTL_EXIT, 0, "", 0);
    assert_int_equal(client_net(ends[0], CTL_NET_REMOVE, &m, -1, 60000),
                     -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
