// SPDX-License-Identifier: Apache-2.0
/* Futexes between coroutine threads of one process. */
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
#include "guest/core/futex.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/sys/calls_proc.h"

#define MS  UINT64_C(1000000)
#define ALL UINT32_MAX

static uint32_t word, word2;
static int woken; /* threads whose wait returned 0 */
static struct task *last;

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    current()->proc->aspace = aspace_new();
    assert_non_null(current()->proc->aspace);
    word = 0;
    word2 = 0;
    woken = 0;
    return 0;
}

static void spawn(void (*fn)(void *arg), void *arg)
{
    last = task_new(current()->proc, "thread");
    assert_non_null(last);
    assert_int_equal(arch_task_init(last, fn, arg), 0);
    assert_int_equal(task_publish(last), 0);
    sched_start(last);
}

static void waiter(void *arg)
{
    uint32_t bits = arg != NULL ? *(uint32_t *)arg : ALL;

    if (futex_wait(uptr((uintptr_t)&word), false, 0, bits, NSEC_NEVER) == 0)
        woken++;
    task_exit(0);
}

static void spawn_waiters(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        spawn(waiter, NULL);
    sched_yield(); /* all of them go to sleep */
}

static int64_t wake(uint32_t *at, uint32_t max)
{
    int64_t n = futex_wake(uptr((uintptr_t)at), false, max, ALL);

    sched_yield();
    return n;
}

static void test_wrong_value_does_not_wait(void **state)
{
    (void)state;

    word = 5;
    assert_int_equal(
        futex_wait(uptr((uintptr_t)&word), false, 4, ALL, NSEC_NEVER), -EAGAIN);
    assert_int_equal(
        futex_wait(uptr((uintptr_t)&word + 1), false, 5, ALL, NSEC_NEVER),
        -EINVAL);
    assert_int_equal(
        futex_wait(uptr((uintptr_t)&word), false, 5, 0, NSEC_NEVER), -EINVAL);
    fake_bad(&word, sizeof(word));
    assert_int_equal(
        futex_wait(uptr((uintptr_t)&word), false, 5, ALL, NSEC_NEVER), -EFAULT);
    fake_bad(NULL, 0);
}

static void test_timeout_leaves_no_waiter(void **state)
{
    (void)state;
    nsec_t end = clock_now() + 3 * MS;

    assert_int_equal(futex_wait(uptr((uintptr_t)&word), false, 0, ALL, end),
                     -ETIMEDOUT);
    assert_true(clock_now() >= end);
    assert_int_equal(wake(&word, 1), 0);
}

static void test_wake_counts(void **state)
{
    (void)state;

    spawn_waiters(3);
    assert_int_equal(wake(&word2, 9), 0);
    assert_int_equal(wake(&word, 1), 1);
    assert_int_equal(woken, 1);
    assert_int_equal(wake(&word, 9), 2);
    assert_int_equal(woken, 3);
    assert_int_equal(wake(&word, 9), 0);
}

static void test_bitset_selects(void **state)
{
    (void)state;
    uint32_t one = 1, two = 2;

    spawn(waiter, &one);
    spawn(waiter, &two);
    sched_yield();
    assert_int_equal(futex_wake(uptr((uintptr_t)&word), false, 9, 4), 0);
    assert_int_equal(futex_wake(uptr((uintptr_t)&word), false, 9, 2), 1);
    sched_yield();
    assert_int_equal(woken, 1);
    assert_int_equal(wake(&word, 9), 1);
}

static void test_requeue_moves(void **state)
{
    (void)state;
    struct futex_requeue q = {
        .from = uptr((uintptr_t)&word),
        .to = uptr((uintptr_t)&word2),
        .wake = 1,
        .move = 2,
        .compare = true,
        .expect = 7,
    };

    spawn_waiters(4);
    assert_int_equal(futex_requeue(&q), -EAGAIN);
    q.expect = 0;
    assert_int_equal(futex_requeue(&q), 3);
    sched_yield();
    assert_int_equal(woken, 1);
    assert_int_equal(wake(&word2, 9), 2);
    assert_int_equal(wake(&word, 9), 1);
    assert_int_equal(woken, 4);
}

static int64_t wake_op(uint32_t op)
{
    struct futex_wake_op w = {.a = uptr((uintptr_t)&word),
                              .b = uptr((uintptr_t)&word2),
                              .max_a = 9,
                              .max_b = 9,
                              .op = op};
    int64_t n = futex_wake_op(&w);

    sched_yield();
    return n;
}

/* linux/futex.h: FUTEX_OP(op, oparg, cmp, cmparg) */
static uint32_t op(uint32_t o, uint32_t arg, uint32_t cmp, uint32_t cmparg)
{
    return o << 28 | cmp << 24 | (arg & 0xfff) << 12 | (cmparg & 0xfff);
}

static void test_wake_op(void **state)
{
    (void)state;

    assert_int_equal(wake_op(op(0, 5, 0, 0)), 0); /* set, was 0 */
    assert_int_equal(word2, 5);
    assert_int_equal(wake_op(op(1, 3, 4, 9)), 0); /* add */
    assert_int_equal(word2, 8);
    assert_int_equal(wake_op(op(8 | 2, 1, 0, 0)), 0); /* or 1 << 1 */
    assert_int_equal(word2, 10);
    assert_int_equal(wake_op(op(3, 2, 0, 0)), 0); /* and not */
    assert_int_equal(word2, 8);
    assert_int_equal(wake_op(op(7, 0, 0, 0)), -ENOSYS);
    word2 = UINT32_MAX; /* compares as -1 */
    word = 0;
    spawn_waiters(1);
    assert_int_equal(wake_op(op(4, 0, 2, 0)), 1);
    assert_int_equal(woken, 1);
}

static void test_signal_ends_a_wait(void **state)
{
    (void)state;
    struct lx_siginfo si;

    spawn_waiters(1);
    current()->proc->sighand->action[LX_SIGUSR1 - 1].handler = 0x400000;
    signal_info(&si, LX_SIGUSR1, LX_SI_TKILL);
    assert_int_equal(signal_send_task(last, &si), 0);
    sched_yield();
    assert_int_equal(woken, 0);
    assert_int_equal(wake(&word, 9), 0); /* it left the queue */
}

/* --- ends of threads --- */

static uint32_t tid_word;

static void leaver(void *arg)
{
    (void)arg;
    current()->clear_tid = (uintptr_t)&tid_word;
    task_exit(0);
}

static void test_clear_tid_wakes_a_joiner(void **state)
{
    (void)state;

    tid_word = 1;
    spawn(leaver, NULL);
    /* Would abort if nobody woke it. */
    assert_int_equal(
        futex_wait(uptr((uintptr_t)&tid_word), false, 1, ALL, NSEC_NEVER), 0);
    assert_int_equal(tid_word, 0);
}

struct robust_mutex {
    uint64_t next;
    uint32_t lock;
};

static struct lx_robust_list_head robust;
static struct robust_mutex held, pending;

static void dier(void *arg)
{
    (void)arg;
    uint32_t tid = (uint32_t)current()->tid;

    held = (struct robust_mutex){(uintptr_t)&robust, tid | LX_FUTEX_WAITERS};
    pending.lock = tid;
    robust = (struct lx_robust_list_head){
        .next = (uintptr_t)&held,
        .offset = offsetof(struct robust_mutex, lock),
        .pending = (uintptr_t)&pending,
    };
    current()->robust_list = (uintptr_t)&robust;
    task_exit(0);
}

static void test_robust_mutexes_say_owner_died(void **state)
{
    (void)state;

    spawn(dier, NULL);
    sched_yield();
    assert_int_equal(held.lock, LX_FUTEX_WAITERS | LX_FUTEX_OWNER_DIED);
    assert_int_equal(pending.lock, LX_FUTEX_OWNER_DIED);
}

static void looper(void *arg)
{
    (void)arg;
    /* A list that never comes back to its head. */
    held = (struct robust_mutex){(uintptr_t)&held, 0};
    robust =
        (struct lx_robust_list_head){.next = (uintptr_t)&held, .offset = 8};
    current()->robust_list = (uintptr_t)&robust;
    woken = 1;
    task_exit(0);
}

static void test_endless_robust_list_ends(void **state)
{
    (void)state;

    spawn(looper, NULL);
    sched_yield();
    assert_int_equal(woken, 1);
    assert_int_equal(current()->proc->thread_count, 1);
}

static void test_call(void **state)
{
    (void)state;
    struct lx_timespec ts = {.nsec = 1000};
    struct lx_timespec bad = {.nsec = -1};
    uint64_t a[6] = {(uintptr_t)&word, LX_FUTEX_WAIT | LX_FUTEX_PRIVATE, 0,
                     (uintptr_t)&ts};

    assert_int_equal(sys_futex(a), -ETIMEDOUT);
    a[3] = (uintptr_t)&bad;
    assert_int_equal(sys_futex(a), -EINVAL);
    a[1] = LX_FUTEX_WAIT_BITSET | LX_FUTEX_PRIVATE | LX_FUTEX_CLOCK_REALTIME;
    a[3] = (uintptr_t)&ts; /* 1970 */
    a[5] = ALL;
    assert_int_equal(sys_futex(a), -ETIMEDOUT);
    a[1] = LX_FUTEX_WAKE | LX_FUTEX_PRIVATE;
    assert_int_equal(sys_futex(a), 0);
    a[1] = 77 | LX_FUTEX_PRIVATE;
    assert_int_equal(sys_futex(a), -ENOSYS);
}

/* --- owners in the word --- */

static int lock_pi(uint32_t *at)
{
    return futex_lock_pi(uptr((uintptr_t)at), false, NSEC_NEVER, false);
}

static int unlock_pi(uint32_t *at)
{
    return futex_unlock_pi(uptr((uintptr_t)at), false);
}

static void pi_locker(void *arg)
{
    (void)arg;
    if (lock_pi(&word) == 0)
        woken++;
    task_exit(0);
}

static uint32_t owner_of(uint32_t at)
{
    return at & LX_FUTEX_TID_MASK;
}

static void test_pi_goes_to_the_best_waiter(void **state)
{
    (void)state;
    uint32_t me = (uint32_t)current()->tid;

    assert_int_equal(lock_pi(&word), 0);
    assert_int_equal(word, me);
    assert_int_equal(lock_pi(&word), -EDEADLK);
    spawn(pi_locker, NULL);
    sched_yield();
    spawn(pi_locker, NULL);
    last->rt_priority = 5;
    uint32_t best = (uint32_t)last->tid;
    sched_yield();
    assert_int_equal(woken, 0);
    assert_int_equal(word, me | LX_FUTEX_WAITERS);
    assert_int_equal(unlock_pi(&word), 0);
    assert_int_equal(owner_of(word), best);
    assert_int_equal(unlock_pi(&word), -EPERM);
    /* It ends without unlocking: the other one has it, and ends, too. */
    sched_yield();
    sched_yield();
    assert_int_equal(woken, 2);
    assert_true((word & LX_FUTEX_OWNER_DIED) != 0);
    assert_int_equal(lock_pi(&word), -ESRCH);
}

static void pi_two_locks(void *arg)
{
    (void)arg;
    (void)lock_pi(&word2);
    if (lock_pi(&word) == 0)
        woken++;
    (void)unlock_pi(&word);
    (void)unlock_pi(&word2);
    task_exit(0);
}

static void test_pi_deadlock_is_told(void **state)
{
    (void)state;

    assert_int_equal(lock_pi(&word), 0);
    spawn(pi_two_locks, NULL);
    sched_yield();
    assert_int_equal(lock_pi(&word2), -EDEADLK);
    assert_int_equal(unlock_pi(&word), 0);
    sched_yield();
    assert_int_equal(woken, 1);
    assert_int_equal(word2 & LX_FUTEX_TID_MASK, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wrong_value_does_not_wait, setup),
        cmocka_unit_test_setup(test_timeout_leaves_no_waiter, setup),
        cmocka_unit_test_setup(test_wake_counts, setup),
        cmocka_unit_test_setup(test_bitset_selects, setup),
        cmocka_unit_test_setup(test_requeue_moves, setup),
        cmocka_unit_test_setup(test_wake_op, setup),
        cmocka_unit_test_setup(test_signal_ends_a_wait, setup),
        cmocka_unit_test_setup(test_clear_tid_wakes_a_joiner, setup),
        cmocka_unit_test_setup(test_robust_mutexes_say_owner_died, setup),
        cmocka_unit_test_setup(test_endless_robust_list_ends, setup),
        cmocka_unit_test_setup(test_call, setup),
        cmocka_unit_test_setup(test_pi_goes_to_the_best_waiter, setup),
        cmocka_unit_test_setup(test_pi_deadlock_is_told, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
