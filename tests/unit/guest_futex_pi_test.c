// SPDX-License-Identifier: Apache-2.0
/* PI futexes and their condition variables, as futex(2) describes them. */
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
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/sys/calls_proc.h"

#define MS     UINT64_C(1000000)
#define NOBODY 30000u /* no thread has this id */

static uint32_t cond, mutex, other;

struct thread {
    struct task *task;
    struct lx_timespec until;
    bool timed;
    bool keep;       /* ends with the mutex */
    int64_t result;  /* 1: asleep yet */
    uint32_t locked; /* the mutex after the call */
};

static struct thread threads[4];

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    current()->proc->aspace = aspace_new();
    assert_non_null(current()->proc->aspace);
    current()->proc->sighand->action[LX_SIGUSR1 - 1].handler = 0x400000;
    cond = 0;
    mutex = 0;
    other = 0;
    for (unsigned i = 0; i < 4; i++)
        threads[i] = (struct thread){.result = 1};
    return 0;
}

static uint32_t me(void)
{
    return (uint32_t)current()->tid;
}

static uint32_t tid(const struct thread *t)
{
    return (uint32_t)t->task->tid;
}

static uint32_t owner(void)
{
    return mutex & LX_FUTEX_TID_MASK;
}

/* futex(at, op, val, val2 or timeout, to, val3) */
static int64_t futex(uint32_t *at, uint32_t op, uint32_t val, uint64_t val2,
                     uint32_t *to, uint32_t val3)
{
    uint64_t a[6] = {(uintptr_t)at, op | LX_FUTEX_PRIVATE, val,
                     val2,          (uintptr_t)to,         val3};

    return sys_futex(a);
}

static int64_t lock(void)
{
    return futex(&mutex, LX_FUTEX_LOCK_PI, 0, 0, NULL, 0);
}

static int64_t trylock(void)
{
    return futex(&mutex, LX_FUTEX_TRYLOCK_PI, 0, 0, NULL, 0);
}

static int64_t unlock(void)
{
    int64_t r = futex(&mutex, LX_FUTEX_UNLOCK_PI, 0, 0, NULL, 0);

    sched_yield();
    sched_yield();
    return r;
}

static int64_t requeue(uint32_t move)
{
    int64_t r = futex(&cond, LX_FUTEX_CMP_REQ_PI, 1, move, &mutex, 0);

    sched_yield();
    sched_yield();
    return r;
}

static void finish(struct thread *t, int64_t r)
{
    t->result = r;
    t->locked = mutex;
    if (r == 0 && !t->keep)
        (void)futex(&mutex, LX_FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
    task_exit(0);
}

static uint64_t until(const struct thread *t)
{
    return t->timed ? (uintptr_t)&t->until : 0;
}

static void locker(void *arg)
{
    struct thread *t = arg;

    finish(t, futex(&mutex, LX_FUTEX_LOCK_PI2, 0, until(t), NULL, 0));
}

static void waiter(void *arg)
{
    struct thread *t = arg;

    finish(t, futex(&cond, LX_FUTEX_WAIT_REQ_PI, 0, until(t), &mutex, 0));
}

/* Sleeps on the condition with the mutex held, which is an error. */
static void holding_waiter(void *arg)
{
    (void)lock();
    waiter(arg);
}

static void plain_waiter(void *arg)
{
    struct thread *t = arg;

    t->result = futex(&cond, LX_FUTEX_WAIT, 0, 0, NULL, 0);
    task_exit(0);
}

static struct thread *spawn(unsigned i, void (*fn)(void *arg))
{
    struct thread *t = &threads[i];

    t->task = task_new(current()->proc, "thread");
    assert_non_null(t->task);
    assert_int_equal(arch_task_init(t->task, fn, t), 0);
    assert_int_equal(task_publish(t->task), 0);
    task_get(t->task); /* its number is asked for after its end */
    sched_start(t->task);
    sched_yield(); /* it goes to sleep */
    return t;
}

static void in_ms(struct thread *t, unsigned ms)
{
    t->timed = true;
    t->until.nsec = (int64_t)(clock_now() + ms * MS);
}

static void interrupt(const struct thread *t)
{
    struct lx_siginfo si;

    signal_info(&si, LX_SIGUSR1, LX_SI_TKILL);
    assert_int_equal(signal_send_task(t->task, &si), 0);
    sched_yield();
}

/* The queues outlive a test: nobody may stay in them. */
static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct thread *t = &threads[i];
        if (t->task == NULL)
            continue;
        if (t->result == 1)
            interrupt(t);
        assert_int_not_equal(t->result, 1);
        task_put(t->task);
    }
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* --- locks --- */

/* TRYLOCK_PI takes a free lock only. */
static void test_trylock(void **state)
{
    (void)state;

    assert_int_equal(trylock(), 0);
    assert_int_equal(mutex, me());
    assert_int_equal(trylock(), -EDEADLK);
    assert_int_equal(unlock(), 0);
    assert_int_equal(mutex, 0);
    const struct thread *t = spawn(0, holding_waiter);
    assert_int_equal(owner(), tid(t));
    assert_int_equal(trylock(), -EAGAIN);
    assert_int_equal(owner(), tid(t));
    mutex = LX_FUTEX_OWNER_DIED; /* and nobody has it */
    assert_int_equal(trylock(), 0);
    assert_int_equal(mutex, LX_FUTEX_OWNER_DIED | me());
}

/* ESRCH: the thread that the word names does not exist. */
static void test_owner_that_is_none(void **state)
{
    (void)state;

    mutex = NOBODY;
    assert_int_equal(lock(), -ESRCH);
    assert_int_equal(trylock(), -ESRCH);
    assert_int_equal(unlock(), -EPERM);
    assert_int_equal(owner(), NOBODY);
    const struct thread *t = spawn(0, waiter);
    assert_int_equal(requeue(1), -ESRCH);
    assert_int_equal(t->result, 1);
}

/* The timeout is a time, not a length; who gave up gets no lock later. */
static void test_lock_times_out(void **state)
{
    (void)state;
    struct thread *t = &threads[0];

    assert_int_equal(lock(), 0);
    in_ms(t, 3);
    spawn(0, locker);
    assert_int_equal(t->result, 1);
    assert_int_equal(mutex, me() | LX_FUTEX_WAITERS);
    fake_clock_add(2 * MS);
    sched_yield();
    assert_int_equal(t->result, 1);
    fake_clock_add(2 * MS);
    sched_yield();
    assert_int_equal(t->result, -ETIMEDOUT);
    assert_int_equal(owner(), me());
    assert_int_equal(unlock(), 0);
    assert_int_equal(mutex, 0);
}

/* The call starts again after the handler. */
static void test_lock_is_restarted(void **state)
{
    (void)state;

    assert_int_equal(lock(), 0);
    const struct thread *t = spawn(0, locker);
    interrupt(t);
    assert_int_equal(t->result, -ERESTARTNOINTR);
    assert_int_equal(owner(), me());
}

/* EINVAL: the word and what the kernel knows of it differ. */
static void test_words_that_lie(void **state)
{
    (void)state;

    assert_int_equal(lock(), 0);
    const struct thread *a = spawn(0, locker);
    mutex = NOBODY | LX_FUTEX_WAITERS;
    const struct thread *b = spawn(1, locker);
    assert_int_equal(b->result, -EINVAL);
    assert_int_equal(a->result, 1);
    mutex = me() | LX_FUTEX_WAITERS;
    assert_int_equal(unlock(), 0);
    assert_int_equal(a->result, 0);
    assert_int_equal(a->locked & LX_FUTEX_TID_MASK, tid(a));
}

static void unlock_not_mine(void *arg)
{
    struct thread *t = arg;

    mutex = (uint32_t)current()->tid;
    t->result = futex(&mutex, LX_FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
    task_exit(0);
}

static void test_unlock_needs_the_owner(void **state)
{
    (void)state;

    assert_int_equal(unlock(), -EPERM);
    assert_int_equal(lock(), 0);
    const struct thread *a = spawn(0, locker);
    const struct thread *b = spawn(1, unlock_not_mine);
    assert_int_equal(b->result, -EINVAL);
    assert_int_equal(a->result, 1);
}

/* EINVAL: a waiter of the other kind. */
static void test_kinds_do_not_mix(void **state)
{
    (void)state;

    const struct thread *a = spawn(0, plain_waiter);
    assert_int_equal(futex(&cond, LX_FUTEX_LOCK_PI, 0, 0, NULL, 0), -EINVAL);
    assert_int_equal(cond, 0);
    assert_int_equal(requeue(1), -EINVAL);
    assert_int_equal(a->result, 1);
    assert_int_equal(lock(), 0);
    const struct thread *b = spawn(1, locker);
    assert_int_equal(futex(&mutex, LX_FUTEX_WAKE, 1, 0, NULL, 0), -EINVAL);
    assert_int_equal(b->result, 1);
    assert_int_equal(futex(&cond, LX_FUTEX_WAKE, 1, 0, NULL, 0), 1);
    sched_yield();
    assert_int_equal(a->result, 0);
}

static void test_bad_addresses(void **state)
{
    (void)state;
    uint32_t *odd = (uint32_t *)((uintptr_t)&mutex + 1); /* NOLINT */

    assert_int_equal(futex(odd, LX_FUTEX_LOCK_PI, 0, 0, NULL, 0), -EINVAL);
    assert_int_equal(futex(&cond, LX_FUTEX_CMP_REQ_PI, 1, 1, odd, 0), -EINVAL);
    assert_int_equal(futex(&cond, LX_FUTEX_WAIT_REQ_PI, 0, 0, odd, 0), -EINVAL);
    const struct thread *t = spawn(0, waiter);
    fake_bad(&mutex, sizeof(mutex));
    assert_int_equal(lock(), -EFAULT);
    assert_int_equal(trylock(), -EFAULT);
    assert_int_equal(unlock(), -EFAULT);
    assert_int_equal(requeue(1), -EFAULT);
    fake_bad(&cond, sizeof(cond));
    assert_int_equal(requeue(1), -EFAULT);
    assert_int_equal(futex(&cond, LX_FUTEX_WAIT_REQ_PI, 0, 0, &mutex, 0),
                     -EFAULT);
    fake_bad(NULL, 0);
    assert_int_equal(t->result, 1);
    assert_int_equal(mutex, 0);
}

/* The next one has it, and the word says that the last one died. */
static void test_owner_dies(void **state)
{
    (void)state;

    threads[0].keep = true;
    assert_int_equal(lock(), 0);
    const struct thread *a = spawn(0, locker);
    const struct thread *b = spawn(1, locker);
    assert_int_equal(unlock(), 0);
    sched_yield();
    assert_int_equal(a->result, 0);
    assert_int_equal(a->locked, tid(a) | LX_FUTEX_WAITERS);
    assert_int_equal(b->result, 0);
    assert_int_equal(b->locked,
                     tid(b) | LX_FUTEX_WAITERS | LX_FUTEX_OWNER_DIED);
    assert_int_equal(owner(), 0);
}

/* --- conditions --- */

/* One waiter gets the free mutex, the others are moved: it counts both. */
static void test_requeue_to_a_free_lock(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++)
        (void)spawn(i, waiter);
    assert_int_equal(requeue(1), 2);
    sched_yield();
    assert_int_equal(threads[0].result, 0);
    assert_int_equal(threads[0].locked, tid(&threads[0]) | LX_FUTEX_WAITERS);
    assert_int_equal(threads[1].result, 0);
    assert_int_equal(threads[1].locked & LX_FUTEX_TID_MASK, tid(&threads[1]));
    assert_int_equal(mutex, 0);
    assert_int_equal(threads[2].result, 1);
    assert_int_equal(requeue(0), 1);
    assert_int_equal(threads[2].result, 0);
    assert_int_equal(threads[2].locked, tid(&threads[2])); /* nobody waits */
    assert_int_equal(requeue(9), 0);
}

/* Nobody wakes up before the mutex is unlocked. */
static void test_requeue_to_a_held_lock(void **state)
{
    (void)state;

    assert_int_equal(lock(), 0);
    const struct thread *a = spawn(0, waiter);
    const struct thread *b = spawn(1, waiter);
    assert_int_equal(requeue(9), 2);
    assert_int_equal(mutex, me() | LX_FUTEX_WAITERS);
    assert_int_equal(a->result, 1);
    assert_int_equal(b->result, 1);
    assert_int_equal(unlock(), 0);
    sched_yield();
    assert_int_equal(a->result, 0);
    assert_int_equal(a->locked, tid(a) | LX_FUTEX_WAITERS);
    assert_int_equal(b->result, 0);
    assert_int_equal(mutex, 0);
}

static void test_requeue_arguments(void **state)
{
    (void)state;
    const uint32_t cmp = LX_FUTEX_CMP_REQ_PI, wait = LX_FUTEX_WAIT_REQ_PI;
    const struct thread *t = spawn(0, waiter);

    assert_int_equal(futex(&cond, cmp, 0, 1, &mutex, 0), -EINVAL);
    assert_int_equal(futex(&cond, cmp, 2, 1, &mutex, 0), -EINVAL);
    assert_int_equal(futex(&cond, cmp, 1, 1, &cond, 0), -EINVAL);
    assert_int_equal(futex(&cond, cmp, 1, 1, &mutex, 5), -EAGAIN);
    assert_int_equal(futex(&cond, cmp, 1, 1, &other, 0), -EINVAL);
    assert_int_equal(futex(&cond, wait, 5, 0, &mutex, 0), -EAGAIN);
    assert_int_equal(futex(&cond, wait, 0, 0, &cond, 0), -EINVAL);
    assert_int_equal(other, 0);
    assert_int_equal(t->result, 1);
}

static void waiter_with_other(void *arg)
{
    (void)futex(&other, LX_FUTEX_LOCK_PI, 0, 0, NULL, 0);
    waiter(arg);
}

static void holder_wants_other(void *arg)
{
    struct thread *t = arg;

    (void)lock();
    t->result = futex(&other, LX_FUTEX_LOCK_PI, 0, 0, NULL, 0);
    task_exit(0);
}

/* EDEADLK: who has the mutex waits for the waiter. */
static void test_requeue_deadlock_of_two(void **state)
{
    (void)state;
    const struct thread *a = spawn(0, waiter_with_other);
    const struct thread *b = spawn(1, holder_wants_other);

    assert_int_equal(owner(), tid(b));
    assert_int_equal(other, tid(a) | LX_FUTEX_WAITERS);
    assert_int_equal(requeue(1), -EDEADLK);
    assert_int_equal(a->result, 1);
    assert_int_equal(b->result, 1);
}

/* EDEADLK: the waiter has the mutex already. */
static void test_requeue_deadlock(void **state)
{
    (void)state;
    const struct thread *t = spawn(0, holding_waiter);

    assert_int_equal(owner(), tid(t));
    assert_int_equal(requeue(1), -EDEADLK);
    assert_int_equal(t->result, 1);
}

static void test_wait_times_out(void **state)
{
    (void)state;
    struct thread *t = &threads[0];

    in_ms(t, 3);
    spawn(0, waiter);
    fake_clock_add(4 * MS);
    sched_yield();
    assert_int_equal(t->result, -ETIMEDOUT);
    assert_int_equal(requeue(1), 0);
    /* Now while it waits for the mutex. */
    assert_int_equal(lock(), 0);
    t = &threads[1];
    in_ms(t, 3);
    spawn(1, waiter);
    assert_int_equal(requeue(1), 1);
    assert_int_equal(t->result, 1);
    fake_clock_add(4 * MS);
    sched_yield();
    assert_int_equal(t->result, -ETIMEDOUT);
    assert_int_equal(unlock(), 0);
    assert_int_equal(mutex, 0);
}

/* Restarted, but EAGAIN once the condition was signalled. */
static void test_wait_interrupted(void **state)
{
    (void)state;
    const struct thread *a = spawn(0, waiter);

    interrupt(a);
    assert_int_equal(a->result, -ERESTARTNOINTR);
    assert_int_equal(lock(), 0);
    const struct thread *b = spawn(1, waiter);
    assert_int_equal(requeue(1), 1);
    interrupt(b);
    assert_int_equal(b->result, -EAGAIN);
    assert_int_equal(owner(), me());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trylock),
        TEST(test_owner_that_is_none),
        TEST(test_lock_times_out),
        TEST(test_lock_is_restarted),
        TEST(test_words_that_lie),
        TEST(test_unlock_needs_the_owner),
        TEST(test_kinds_do_not_mix),
        TEST(test_bad_addresses),
        TEST(test_owner_dies),
        TEST(test_requeue_to_a_free_lock),
        TEST(test_requeue_to_a_held_lock),
        TEST(test_requeue_arguments),
        TEST(test_requeue_deadlock),
        TEST(test_requeue_deadlock_of_two),
        TEST(test_wait_times_out),
        TEST(test_wait_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
