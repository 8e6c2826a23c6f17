// SPDX-License-Identifier: Apache-2.0
/* epoll: triggers, one-shot, nesting, files that go away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/epoll.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"

static struct file *ep, *ev;

static int wait_events(struct file *f, struct lx_epoll_event *out, unsigned max,
                       nsec_t deadline)
{
    struct epoll_events e = {.at = out, .room = max, .max = max};
    int n = epoll_wait_events(f, &e, deadline);
    assert_null(e.grown);
    return n;
}

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    assert_int_equal(epoll_file_new(&ep), 0);
    assert_int_equal(eventfd_new(0, LX_EFD_NONBLOCK, &ev), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (ev != NULL)
        file_put(ev);
    if (ep != NULL)
        file_put(ep);
    return 0;
}

static void signal_ev(struct file *f)
{
    uint64_t one = 1, pos = 0;
    struct uio u;
    struct uio_seg seg;
    uio_kernel(&u, &seg, &one, sizeof(one));
    assert_int_equal(f->ops->write(f, &u, &pos), 8);
}

static void drain_ev(struct file *f)
{
    uint64_t v, pos = 0;
    struct uio u;
    struct uio_seg seg;
    uio_kernel(&u, &seg, &v, sizeof(v));
    assert_int_equal(f->ops->read(f, &u, &pos), 8);
}

static int control(int op, int fd, struct file *target, uint32_t events)
{
    struct lx_epoll_event e = {.events = events, .data = (uint64_t)fd * 10};
    return epoll_control(ep, op, fd, target, &e);
}

static int ready(struct lx_epoll_event *out)
{
    struct lx_epoll_event got[4];
    int n = wait_events(ep, got, 4, 0);
    if (n > 0 && out != NULL)
        *out = got[0];
    return n;
}

static void test_level(void **state)
{
    (void)state;
    struct lx_epoll_event e;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    assert_int_equal(ready(NULL), 0);
    signal_ev(ev);
    assert_int_equal(ready(&e), 1);
    assert_int_equal(e.events, EPOLLIN);
    assert_int_equal(e.data, 50);
    assert_int_equal(ready(NULL), 1); /* still */
    drain_ev(ev);
    assert_int_equal(ready(NULL), 0);
}

static void test_edge(void **state)
{
    (void)state;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN | LX_EPOLLET), 0);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 1);
    assert_int_equal(ready(NULL), 0);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 1);
}

static void test_oneshot(void **state)
{
    (void)state;
    uint32_t events = EPOLLIN | LX_EPOLLONESHOT;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, events), 0);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 1);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 0);
    assert_int_equal(control(LX_EPOLL_CTL_MOD, 5, ev, events), 0);
    assert_int_equal(ready(NULL), 1); /* armed again, and it is ready */
}

static void test_control_errors(void **state)
{
    (void)state;
    assert_int_equal(control(LX_EPOLL_CTL_MOD, 5, ev, EPOLLIN), -ENOENT);
    assert_int_equal(control(LX_EPOLL_CTL_DEL, 5, ev, 0), -ENOENT);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), -EEXIST);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 6, ev, EPOLLIN), 0);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 7, ep, EPOLLIN), -EINVAL);
    assert_int_equal(control(99, 5, ev, EPOLLIN), -EINVAL);
    assert_int_equal(control(LX_EPOLL_CTL_DEL, 5, ev, 0), 0);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 1); /* the entry of descriptor 6 */
}

static void test_exclusive_rules(void **state)
{
    (void)state;
    uint32_t ex = EPOLLIN | LX_EPOLLEXCLUSIVE;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, ex | LX_EPOLLONESHOT),
                     -EINVAL);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, ex), 0);
    assert_int_equal(control(LX_EPOLL_CTL_MOD, 5, ev, EPOLLIN), -EINVAL);
    signal_ev(ev);
    assert_int_equal(ready(NULL), 1);
}

static void test_fair(void **state)
{
    (void)state;
    struct file *other;
    struct lx_epoll_event a, b;
    assert_int_equal(eventfd_new(1, 0, &other), 0);
    signal_ev(ev);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 1, ev, EPOLLIN), 0);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 2, other, EPOLLIN), 0);
    assert_int_equal(wait_events(ep, &a, 1, 0), 1);
    assert_int_equal(wait_events(ep, &b, 1, 0), 1);
    assert_int_not_equal(a.data, b.data);
    file_put(other);
}

/* An entry does not keep its file, and goes with it. */
static void test_file_dies(void **state)
{
    (void)state;
    int fd;
    uint32_t events;
    uint64_t data;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 6, ev, EPOLLIN), 0);
    signal_ev(ev);
    assert_true(epoll_entry(ep, 0, &fd, &events, &data));
    file_put(ev);
    ev = NULL;
    assert_int_equal(ready(NULL), 0);
    assert_false(epoll_entry(ep, 0, &fd, &events, &data));
}

static void test_epoll_dies_first(void **state)
{
    (void)state;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    file_put(ep);
    ep = NULL;
    assert_null(ev->epolls);
    signal_ev(ev); /* wakes nobody */
}

static void test_nested(void **state)
{
    (void)state;
    struct file *outer;
    struct lx_epoll_event e = {.events = EPOLLIN, .data = 1}, got;
    assert_int_equal(epoll_file_new(&outer), 0);
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    assert_int_equal(epoll_control(outer, LX_EPOLL_CTL_ADD, 3, ep, &e), 0);
    assert_int_equal(wait_events(outer, &got, 1, 0), 0);
    signal_ev(ev);
    assert_int_equal(wait_events(outer, &got, 1, 0), 1);
    drain_ev(ev);
    assert_int_equal(wait_events(outer, &got, 1, 0), 0);
    /* The way back would be a loop. */
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 9, outer, EPOLLIN), -ELOOP);
    file_put(outer);
}

static void test_too_deep(void **state)
{
    (void)state;
    struct file *chain[8] = {ep};
    struct lx_epoll_event e = {.events = EPOLLIN};
    int r = 0;
    unsigned n = 1;
    for (; n < 8 && r == 0; n++) {
        assert_int_equal(epoll_file_new(&chain[n]), 0);
        r = epoll_control(chain[n], LX_EPOLL_CTL_ADD, 3, chain[n - 1], &e);
    }
    assert_int_equal(r, -ELOOP);
    assert_in_range(n, 5, 7);
    while (n-- > 1)
        file_put(chain[n]);
}

static struct timer alarm_timer;

static void alarm_fire(struct timer *t)
{
    (void)t;
    signal_ev(ev);
}

/* Sleeps until a timer makes the file ready, and no longer than asked. */
static void test_wait(void **state)
{
    (void)state;
    struct lx_epoll_event got;
    assert_int_equal(control(LX_EPOLL_CTL_ADD, 5, ev, EPOLLIN), 0);
    nsec_t start = clock_now();
    assert_int_equal(wait_events(ep, &got, 1, start + 5000000), 0);
    assert_true(clock_now() >= start + 5000000);
    timer_init(&alarm_timer, alarm_fire);
    timer_start(&alarm_timer, clock_now() + 1000000);
    assert_int_equal(wait_events(ep, &got, 1, NSEC_NEVER), 1);
}

static void test_signal_ends_wait(void **state)
{
    (void)state;
    struct lx_epoll_event got;
    struct lx_siginfo si;
    struct process *p = current()->proc;
    p->sighand->action[LX_SIGUSR1 - 1].handler = 4096;
    signal_info(&si, LX_SIGUSR1, LX_SI_USER);
    assert_int_equal(signal_send(p, &si), 0);
    assert_int_equal(wait_events(ep, &got, 1, NSEC_NEVER), -EINTR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_level),
        T(test_edge),
        T(test_oneshot),
        T(test_control_errors),
        T(test_exclusive_rules),
        T(test_fair),
        T(test_file_dies),
        T(test_epoll_dies_first),
        T(test_nested),
        T(test_too_deep),
        T(test_wait),
        T(test_signal_ends_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
