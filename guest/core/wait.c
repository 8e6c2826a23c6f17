// SPDX-License-Identifier: Apache-2.0
/* Wait queues and the interruptible sleep. */
#include "guest/core/wait.h"

#include "abi/linux/errno.h"

#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

void waitq_init(struct waitq *q)
{
    *q = (struct waitq){.lock = {0}};
    list_init(&q->waiters);
}

void waiter_init(struct waiter *w)
{
    *w = (struct waiter){.task = current()};
    list_init(&w->node);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
    unsigned long flags = spin_lock_irq(&q->lock);

    /* A waker that changed the condition before we took the lock is seen by
     * our caller's check; one that takes it after us finds us asleep. */
    if (w->wake == NULL)
        sched_prepare(TASK_SLEEPING);
    if (w->queue == NULL) {
        if (w->exclusive)
            list_add_tail(&q->waiters, &w->node);
        else
            list_add_head(&q->waiters, &w->node);
        __atomic_store_n(&w->queue, q, __ATOMIC_RELEASE);
    }
    spin_unlock_irq(&q->lock, flags);
}

void waitq_remove(struct waiter *w)
{
    struct waitq *q = __atomic_load_n(&w->queue, __ATOMIC_ACQUIRE);

    if (q == NULL)
        return;
    unsigned long flags = spin_lock_irq(&q->lock);
    list_remove(&w->node);
    w->queue = NULL;
    spin_unlock_irq(&q->lock, flags);
}

void waiter_done(struct waiter *w)
{
    waitq_remove(w);
    if (w->wake == NULL)
        sched_unprepare();
}

bool waitq_wake(struct waitq *q, uint32_t events, unsigned exclusive)
{
    bool any = false;
    unsigned long flags = spin_lock_irq(&q->lock);

    LIST_FOR_SAFE(it, next, &q->waiters)
    {
        struct waiter *w = LIST_ENTRY(it, struct waiter, node);
        if (w->exclusive && exclusive == 0)
            continue;
        bool woken = w->wake != NULL ? w->wake(w, events) : sched_wake(w->task);
        if (w->exclusive && woken)
            exclusive--;
        any = any || woken;
    }
    spin_unlock_irq(&q->lock, flags);
    return any;
}

struct wait_timeout {
    struct timer timer;
    struct task *task;
    bool fired; /* the timer, not an event, ended the sleep */
};

static void wait_timer_fn(struct timer *timer)
{
    struct wait_timeout *w = CONTAINER_OF(timer, struct wait_timeout, timer);

    if (sched_wake(w->task))
        w->fired = true;
}

int wait_sleep(enum wait_mode mode, nsec_t deadline)
{
    struct task *t = current();
    bool cut =
        mode == WAIT_SIGNALS ? signal_pending(t) : signal_fatal_pending(t);
    if (cut) {
        sched_unprepare();
        return -ERESTARTSYS;
    }
    if (mode == WAIT_DEADLY)
        sched_deepen();
    if (deadline == NSEC_NEVER) {
        sched_sleep();
        return 0;
    }
    if (deadline <= clock_now()) {
        sched_unprepare();
        return -ETIMEDOUT;
    }
    struct wait_timeout w = {.task = t};
    timer_init(&w.timer, wait_timer_fn);
    timer_start(&w.timer, deadline);
    sched_sleep();
    (void)timer_stop(&w.timer);
    return w.fired ? -ETIMEDOUT : 0;
}
