// SPDX-License-Identifier: Apache-2.0
/* Spinlocks and sleeping mutexes. */
#include "guest/core/lock.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"

#define MUTEX_SPIN                                                             \
    300 /* pauses before sleeping: about a short critical part                 \
         */

void spin_lock(struct spinlock *l)
{
    arch_this_cpu()->lock_depth++;
    while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(&l->locked, __ATOMIC_RELAXED) != 0)
            arch_pause();
}

static void spin_send_kicks(struct cpu *c)
{
    uint64_t mask = __atomic_exchange_n(&c->kicks, 0, __ATOMIC_RELAXED);

    for (; mask != 0; mask &= mask - 1)
        arch_kick((uint32_t)__builtin_ctzll(mask));
}

void spin_unlock(struct spinlock *l)
{
    struct cpu *c = arch_this_cpu();

    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
    if (--c->lock_depth == 0 &&
        __atomic_load_n(&c->kicks, __ATOMIC_RELAXED) != 0)
        spin_send_kicks(c);
}

unsigned long spin_lock_irq(struct spinlock *l)
{
    unsigned long flags = arch_irq_save();

    spin_lock(l);
    return flags;
}

void spin_unlock_irq(struct spinlock *l, unsigned long flags)
{
    spin_unlock(l);
    arch_irq_restore(flags);
}

struct mutex_waiter { /* on the sleeper's stack; mutex.guard */
    struct list node;
    struct task *task;
};

void mutex_init(struct mutex *m)
{
    *m = (struct mutex){.owner = NULL};
    list_init(&m->waiters);
}

bool mutex_trylock(struct mutex *m)
{
    struct task *none = NULL;

    return __atomic_compare_exchange_n(&m->owner, &none, current(), false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static bool mutex_spin(struct mutex *m)
{
    if (cpu_online_count() < 2)
        return false;
    for (unsigned i = 0; i < MUTEX_SPIN; i++) {
        if (__atomic_load_n(&m->owner, __ATOMIC_RELAXED) == NULL &&
            mutex_trylock(m))
            return true;
        arch_pause();
    }
    return false;
}

/* Unlocking frees the mutex and wakes the first sleeper, who then competes:
 * handing it over would make every contended unlock a task switch. */
static void mutex_sleep(struct mutex *m)
{
    struct mutex_waiter w = {.task = current()};

    spin_lock(&m->guard);
    if (m->waiters.next == NULL)
        list_init(&m->waiters); /* a static mutex that is all zero */
    list_add_tail(&m->waiters, &w.node);
    spin_unlock(&m->guard);
    for (;;) {
        sched_prepare(TASK_DEADLY);
        if (mutex_trylock(m))
            break;
        sched_sleep();
    }
    sched_unprepare();
    spin_lock(&m->guard);
    list_remove(&w.node);
    spin_unlock(&m->guard);
}

void mutex_lock(struct mutex *m)
{
    KASSERT(m->owner == NULL || m->owner != current());
    if (mutex_trylock(m) || mutex_spin(m))
        return;
    mutex_sleep(m);
}

void mutex_unlock(struct mutex *m)
{
    KASSERT(m->owner == current());
    /* Full barrier: a sleeper that queues itself after this sees the mutex
     * free (it tries after queueing); one before is found below. */
    (void)__atomic_exchange_n(&m->owner, NULL, __ATOMIC_SEQ_CST);
    struct list *first = __atomic_load_n(&m->waiters.next, __ATOMIC_RELAXED);
    if (first == NULL || first == &m->waiters)
        return;
    spin_lock(&m->guard);
    if (!list_empty(&m->waiters))
        (void)sched_wake(
            LIST_ENTRY(m->waiters.next, struct mutex_waiter, node)->task);
    spin_unlock(&m->guard);
}
