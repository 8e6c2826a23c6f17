// SPDX-License-Identifier: Apache-2.0
/* Scheduler, wait queues, mutexes and timers, with coroutine tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/cpu.h"
#include "guest/core/lock.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

#define MS UINT64_C(1000000)

static struct waitq queue;
static struct mutex mutex;
static int value;
static char trace[64];
static unsigned trace_size;

static void note(char c)
{
    assert_true(trace_size < sizeof(trace) - 1);
    trace[trace_size++] = c;
    trace[trace_size] = '\0';
}

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    waitq_init(&queue);
    mutex_init(&mutex);
    value = 0;
    trace_size = 0;
    trace[0] = '\0';
    return 0;
}

static struct task *spawn(const char *name, void (*fn)(void *arg), void *arg)
{
    struct task *t = task_new_kernel(name, fn, arg);
    assert_non_null(t);
    sched_start(t);
    return t;
}

static void sleep_for(nsec_t ns)
{
    struct waitq q;
    int r;

    waitq_init(&q);
    WAIT_FOR(r, &q, false, WAIT_DEADLY, clock_now() + ns);
    assert_int_equal(r, -ETIMEDOUT);
}

static void set_value(void *arg)
{
    value = *(int *)arg;
    waitq_wake(&queue, 0, WAKE_ALL);
    task_exit(0);
}

static void test_wait_until_woken(void **state)
{
    (void)state;
    int want = 7;
    int r;

    spawn("setter", set_value, &want);
    WAIT_FOR(r, &queue, value == 7, WAIT_SIGNALS, NSEC_NEVER);
    assert_int_equal(r, 0);
    assert_int_equal(value, 7);
}

static void test_wake_before_sleep_is_not_lost(void **state)
{
    (void)state;
    struct waiter w;

    waiter_init(&w);
    waitq_add(&queue, &w);
    waitq_wake(&queue, 0, WAKE_ALL);
    /* Would abort in arch_halt if it slept: there is no timer. */
    assert_int_equal(wait_sleep(WAIT_SIGNALS, NSEC_NEVER), 0);
    waiter_done(&w);
    assert_int_equal(current()->state, TASK_RUNNING);
    assert_null(w.queue);
}

static void test_timeout(void **state)
{
    (void)state;
    nsec_t from = clock_now();
    int r;

    WAIT_FOR(r, &queue, value == 7, WAIT_SIGNALS, from + 5 * MS);
    assert_int_equal(r, -ETIMEDOUT);
    assert_true(clock_now() >= from + 5 * MS);
    WAIT_FOR(r, &queue, value == 7, WAIT_SIGNALS, from);
    assert_int_equal(r, -ETIMEDOUT);
}

static void sleeper(void *arg)
{
    nsec_t ms = *(nsec_t *)arg;

    sleep_for(ms * MS);
    note((char)('0' + ms));
    task_exit(0);
}

static void test_sleepers_wake_in_order(void **state)
{
    (void)state;
    nsec_t times[] = {5, 1, 9, 3};

    for (unsigned i = 0; i < 4; i++)
        spawn("sleeper", sleeper, &times[i]);
    sleep_for(20 * MS);
    assert_string_equal(trace, "1359");
}

static void yielder(void *arg)
{
    for (int i = 0; i < 3; i++) {
        note(*(char *)arg);
        sched_yield();
    }
    task_exit(0);
}

static void test_yield_is_round_robin(void **state)
{
    (void)state;
    char names[] = "abc";

    for (unsigned i = 0; i < 3; i++)
        spawn("yielder", yielder, &names[i]);
    while (trace_size < 9)
        sched_yield();
    assert_string_equal(trace, "abcabcabc");
}

static void exclusive_waiter(void *arg)
{
    struct waiter w;

    (void)arg;
    waiter_init(&w);
    w.exclusive = true;
    for (;;) {
        waitq_add(&queue, &w);
        if (value > 0)
            break;
        assert_int_equal(wait_sleep(WAIT_DEADLY, NSEC_NEVER), 0);
    }
    waiter_done(&w);
    value--;
    note('x');
    task_exit(0);
}

static void test_exclusive_wakes_one(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++)
        spawn("exclusive", exclusive_waiter, NULL);
    sched_yield();
    value = 3;
    waitq_wake(&queue, 0, 1);
    sched_yield();
    assert_string_equal(trace, "x");
    waitq_wake(&queue, 0, 2);
    sched_yield();
    assert_string_equal(trace, "xxx");
}

static void locker(void *arg)
{
    (void)arg;
    mutex_lock(&mutex);
    int seen = value;
    sched_yield(); /* let the others at it */
    value = seen + 1;
    mutex_unlock(&mutex);
    waitq_wake(&queue, 0, WAKE_ALL);
    task_exit(0);
}

static void test_mutex_excludes(void **state)
{
    (void)state;
    int r;

    for (unsigned i = 0; i < 5; i++)
        spawn("locker", locker, NULL);
    WAIT_FOR(r, &queue, value == 5, WAIT_DEADLY, NSEC_NEVER);
    assert_int_equal(r, 0);
    assert_true(mutex_trylock(&mutex));
    mutex_unlock(&mutex);
}

struct counted {
    struct timer timer;
    int fired;
};

static void counted_fn(struct timer *t)
{
    CONTAINER_OF(t, struct counted, timer)->fired++;
}

static void test_timer_stop_and_move(void **state)
{
    (void)state;
    struct counted a = {.fired = 0};
    struct counted b = {.fired = 0};

    timer_init(&a.timer, counted_fn);
    timer_init(&b.timer, counted_fn);
    timer_start(&a.timer, clock_now() + MS);
    timer_start(&b.timer, clock_now() + 2 * MS);
    assert_true(timer_stop(&a.timer));
    assert_false(timer_stop(&a.timer));
    timer_start(&b.timer, clock_now() + 10 * MS); /* moved, not doubled */
    fake_clock_add(5 * MS);
    assert_int_equal(a.fired, 0);
    assert_int_equal(b.fired, 0);
    fake_clock_add(6 * MS);
    assert_int_equal(b.fired, 1);
    assert_false(timer_stop(&b.timer));
}

static void test_slice_ends(void **state)
{
    (void)state;
    char name = 'a';

    spawn("yielder", yielder, &name);
    sched_yield(); /* a slice of ours begins when it comes back */
    assert_string_equal(trace, "a");
    sched_point();
    assert_string_equal(trace, "a");
    fake_clock_add(5 * MS);
    sched_point();
    assert_string_equal(trace, "aa");
}

static void test_affinity_must_name_a_cpu(void **state)
{
    (void)state;

    assert_int_equal(sched_set_affinity(current(), 0), -EINVAL);
    assert_int_equal(sched_set_affinity(current(), 2), -EINVAL);
    assert_int_equal(sched_set_affinity(current(), 3), 0);
    assert_int_equal(current()->affinity, 1);
}

static void test_absent_cpu_does_not_hold_a_task(void **state)
{
    (void)state;
    char name = 'a';

    fake_init_cpus(16 << 20, 2); /* the second never joins */
    assert_int_equal(sched_set_affinity(current(), 2), 0);
    spawn("yielder", yielder, &name);
    sched_yield();
    sched_user_return();
    assert_false(arch_this_cpu()->resched);
    assert_string_equal(trace, "a");
}

static void test_cpu_time_grows_only_while_running(void **state)
{
    (void)state;
    nsec_t before = sched_cpu_time(current());

    fake_clock_add(3 * MS);
    nsec_t used = sched_cpu_time(current());
    assert_true(used - before >= 3 * MS);
    sleep_for(50 * MS);
    assert_true(sched_cpu_time(current()) - used < MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wait_until_woken, setup),
        cmocka_unit_test_setup(test_wake_before_sleep_is_not_lost, setup),
        cmocka_unit_test_setup(test_timeout, setup),
        cmocka_unit_test_setup(test_sleepers_wake_in_order, setup),
        cmocka_unit_test_setup(test_yield_is_round_robin, setup),
        cmocka_unit_test_setup(test_exclusive_wakes_one, setup),
        cmocka_unit_test_setup(test_mutex_excludes, setup),
        cmocka_unit_test_setup(test_timer_stop_and_move, setup),
        cmocka_unit_test_setup(test_slice_ends, setup),
        cmocka_unit_test_setup(test_affinity_must_name_a_cpu, setup),
        cmocka_unit_test_setup(test_absent_cpu_does_not_hold_a_task, setup),
        cmocka_unit_test_setup(test_cpu_time_grows_only_while_running, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
