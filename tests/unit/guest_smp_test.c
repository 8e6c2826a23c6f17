// SPDX-License-Identifier: Apache-2.0
/* The scheduler on four CPUs at once: nothing is lost, nothing runs twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/futex.h"
#include "guest/core/lock.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

#define ROUNDS 3000
#define PAIRS  6
#define MS     UINT64_C(1000000)

static struct waitq done_queue;
static uint32_t done; /* atomic */

static int setup(void **state)
{
    (void)state;
    fake_init_cpus(64 << 20, 4);
    current()->proc->aspace = aspace_new();
    assert_non_null(current()->proc->aspace);
    waitq_init(&done_queue);
    fake_smp_start();
    return 0;
}

static _Noreturn void finish(void)
{
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    waitq_wake(&done_queue, 0, WAKE_ALL);
    task_exit(0);
}

static void await(uint32_t count)
{
    int r;

    WAIT_FOR(r, &done_queue, __atomic_load_n(&done, __ATOMIC_SEQ_CST) == count,
             WAIT_DEADLY, NSEC_NEVER);
    assert_int_equal(r, 0);
    done = 0;
}

static void spawn(void (*fn)(void *arg), void *arg)
{
    struct task *t = task_new_kernel("worker", fn, arg);
    assert_non_null(t);
    sched_start(t);
}

/* --- two tasks hand a token back and forth --- */

struct pair {
    struct waitq q[2];
    uint32_t turn; /* atomic */
    uint32_t passes[2];
};
static struct pair pairs[PAIRS];

/* Whenever it is `me`'s turn: `act`, and the other's turn. */
static void take_turns(struct pair *p, uint32_t me,
                       void (*act)(struct pair *p, uint32_t me))
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        int r;
        WAIT_FOR(r, &p->q[me],
                 __atomic_load_n(&p->turn, __ATOMIC_SEQ_CST) == me, WAIT_DEADLY,
                 NSEC_NEVER);
        assert_int_equal(r, 0);
        act(p, me);
        __atomic_store_n(&p->turn, 1 - me, __ATOMIC_SEQ_CST);
        waitq_wake(&p->q[1 - me], 0, WAKE_ALL);
    }
    finish();
}

static void pass(struct pair *p, uint32_t me)
{
    p->passes[me]++;
}

static void pass_0(void *arg)
{
    take_turns(arg, 0, pass);
}

static void pass_1(void *arg)
{
    take_turns(arg, 1, pass);
}

static void test_tokens(void **state)
{
    (void)state;

    for (unsigned i = 0; i < PAIRS; i++) {
        waitq_init(&pairs[i].q[0]);
        waitq_init(&pairs[i].q[1]);
        spawn(pass_0, &pairs[i]);
        spawn(pass_1, &pairs[i]);
    }
    await(2 * PAIRS);
    for (unsigned i = 0; i < PAIRS; i++)
        assert_int_equal(pairs[i].passes[0] + pairs[i].passes[1], 2 * ROUNDS);
}

/* --- who is woken by a task that hands over runs on its CPU --- */

static uint32_t same_cpu, last_cpu; /* atomic */

static void note_cpu(struct pair *p, uint32_t me)
{
    (void)p;
    (void)me;
    __atomic_store_n(&last_cpu, arch_this_cpu()->id, __ATOMIC_SEQ_CST);
}

static void compare_cpu(struct pair *p, uint32_t me)
{
    (void)p;
    (void)me;
    same_cpu +=
        arch_this_cpu()->id == __atomic_load_n(&last_cpu, __ATOMIC_SEQ_CST);
}

static void give(void *arg)
{
    current()->hands_over = true;
    take_turns(arg, 0, note_cpu);
}

static void get(void *arg)
{
    take_turns(arg, 1, compare_cpu);
}

static void test_hand_over(void **state)
{
    (void)state;
    struct pair *p = &pairs[0];

    /* Idle CPUs may steal it, nearly always where the host is busy. */
    for (unsigned i = 0; i < 50; i++) {
        *p = (struct pair){.turn = 0};
        waitq_init(&p->q[0]);
        waitq_init(&p->q[1]);
        same_cpu = 0;
        spawn(get, p);
        spawn(give, p);
        await(2);
        if (same_cpu > ROUNDS / 20)
            return;
    }
    fail_msg("woken tasks run elsewhere");
}

/* --- who hands over stays where it is woken, if that will be free soon --- */

static bool hog; /* atomic: the waker runs on until it is answered */

static void stay_or_go(void *arg)
{
    current()->hands_over = true;
    take_turns(arg, 0, compare_cpu);
}

static void run_and_note(struct pair *p, uint32_t me)
{
    current()->stretch = hog ? NSEC_NEVER : 0;
    note_cpu(p, me);
}

static void ring(void *arg)
{
    take_turns(arg, 1, run_and_note);
}

/* Of ROUNDS turns of a task that hands over, how many are where it was woken.
 */
static uint32_t turns_here(bool long_runs)
{
    struct pair *p = &pairs[0];

    hog = long_runs;
    *p = (struct pair){.turn = 0};
    waitq_init(&p->q[0]);
    waitq_init(&p->q[1]);
    same_cpu = 0;
    spawn(ring, p);
    spawn(stay_or_go, p);
    await(2);
    return same_cpu;
}

/* Idle CPUs may steal it, or have nothing to offer: a try may fail. */
static void test_stays_behind_the_brief(void **state)
{
    (void)state;
    bool stays = false, goes = false;

    for (unsigned i = 0; i < 50 && !(stays && goes); i++) {
        stays |= turns_here(false) > ROUNDS - ROUNDS / 20;
        goes |= turns_here(true) < ROUNDS - ROUNDS / 5;
    }
    assert_true(stays);
    assert_true(goes);
}

/* --- a mutex around a plain counter --- */

static struct mutex mutex;
static volatile uint64_t counter;

static void count_up(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_lock(&mutex);
        uint64_t v = counter;
        if (i % 64 == 0)
            sched_yield();
        counter = v + 1;
        mutex_unlock(&mutex);
    }
    finish();
}

static void test_mutex(void **state)
{
    (void)state;

    mutex_init(&mutex);
    for (unsigned i = 0; i < 8; i++)
        spawn(count_up, NULL);
    await(8);
    assert_int_equal(counter, 8 * ROUNDS);
}

/* --- sleeping with timeouts that race with wakes --- */

static struct waitq race_queue;
static bool race_stop;

static void race_sleeper(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 300; i++) {
        struct waiter w;
        waiter_init(&w);
        waitq_add(&race_queue, &w);
        (void)wait_sleep(WAIT_DEADLY, clock_now() + 20000);
        waiter_done(&w);
    }
    finish();
}

static void race_waker(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&race_stop, __ATOMIC_SEQ_CST)) {
        waitq_wake(&race_queue, 0, WAKE_ALL);
        sched_yield();
    }
    finish();
}

static void test_timeouts_race_with_wakes(void **state)
{
    (void)state;

    waitq_init(&race_queue);
    for (unsigned i = 0; i < 6; i++)
        spawn(race_sleeper, NULL);
    spawn(race_waker, NULL);
    int r;
    WAIT_FOR(r, &done_queue, __atomic_load_n(&done, __ATOMIC_SEQ_CST) == 6,
             WAIT_DEADLY, NSEC_NEVER);
    assert_int_equal(r, 0);
    __atomic_store_n(&race_stop, true, __ATOMIC_SEQ_CST);
    await(7);
}

/* --- a futex lock: 0 free, 1 held, 2 held and waited for --- */

static uint32_t lock_word;
static volatile uint64_t locked_counter;

static void user_lock(void)
{
    uint32_t v = 0;

    if (__atomic_compare_exchange_n(&lock_word, &v, 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        return;
    while (__atomic_exchange_n(&lock_word, 2, __ATOMIC_SEQ_CST) != 0) {
        int r = futex_wait(uptr((uintptr_t)&lock_word), false, 2, UINT32_MAX,
                           NSEC_NEVER);
        assert_true(r == 0 || r == -EAGAIN);
    }
}

static void user_unlock(void)
{
    if (__atomic_exchange_n(&lock_word, 0, __ATOMIC_SEQ_CST) == 2)
        (void)futex_wake(uptr((uintptr_t)&lock_word), false, 1, UINT32_MAX);
}

static void lock_and_count(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        user_lock();
        uint64_t v = locked_counter;
        if (i % 16 == 0)
            sched_yield();
        locked_counter = v + 1;
        user_unlock();
    }
    finish();
}

static void test_futex_lock(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 8; i++) {
        struct task *t = task_new(current()->proc, "thread");
        assert_non_null(t);
        assert_int_equal(arch_task_init(t, lock_and_count, NULL), 0);
        assert_int_equal(task_publish(t), 0);
        sched_start(t);
    }
    await(8);
    assert_int_equal(locked_counter, 8 * ROUNDS);
}

/* --- moving between CPUs --- */

static void wanderer(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t cpu = i % 4;
        assert_int_equal(sched_set_affinity(current(), UINT64_C(1) << cpu), 0);
        assert_int_equal(arch_this_cpu()->id, cpu);
        sched_yield();
        assert_int_equal(arch_this_cpu()->id, cpu);
    }
    finish();
}

static void test_affinity_moves_tasks(void **state)
{
    (void)state;

    /* The others must have joined: nothing moves to a CPU that is not there. */
    while (cpu_online_count() < 4)
        sched_yield();
    for (unsigned i = 0; i < 5; i++)
        spawn(wanderer, NULL);
    await(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_hand_over),
        cmocka_unit_test(test_stays_behind_the_brief),
        cmocka_unit_test(test_mutex),
        cmocka_unit_test(test_timeouts_race_with_wakes),
        cmocka_unit_test(test_futex_lock),
        cmocka_unit_test(test_affinity_moves_tasks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
