// SPDX-License-Identifier: Apache-2.0
/* The net thread, its works and timers; start of the network. */
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/net/inet.h"
#include "guest/net/lo.h"
#include "guest/net/netif.h"

static struct {
    struct spinlock lock; /* irq-safe: works are queued in interrupts */
    struct list works;
    struct net_work *running; /* only compared, never followed */
    struct task *task;
} net = {.works = LIST_INIT(net.works)};

static struct mutex start_lock = {.waiters = LIST_INIT(start_lock.waiters)};
static bool started; /* acquire: what net_start made is there */

/* --- works --- */

void net_work_init(struct net_work *w, void (*fn)(struct net_work *w))
{
    *w = (struct net_work){.fn = fn};
    list_init(&w->node);
}

void net_work_queue(struct net_work *w)
{
    unsigned long flags = spin_lock_irq(&net.lock);
    bool wake = !w->queued;
    if (wake) {
        w->queued = true;
        list_add_tail(&net.works, &w->node);
    }
    struct task *t = net.task;
    spin_unlock_irq(&net.lock, flags);
    if (wake && t != NULL)
        (void)sched_wake(t);
}

void net_work_cancel(struct net_work *w)
{
    for (;;) {
        unsigned long flags = spin_lock_irq(&net.lock);
        if (w->queued)
            list_remove(&w->node);
        w->queued = false;
        bool runs = net.running == w;
        spin_unlock_irq(&net.lock, flags);
        if (!runs)
            return;
        sched_yield();
    }
}

static struct net_work *work_take(void)
{
    struct net_work *w = NULL;
    unsigned long flags = spin_lock_irq(&net.lock);
    if (!list_empty(&net.works)) {
        w = LIST_ENTRY(net.works.next, struct net_work, node);
        list_remove(&w->node);
        w->queued = false;
    }
    net.running = w;
    spin_unlock_irq(&net.lock, flags);
    return w;
}

bool net_on_thread(void)
{
    return net.task != NULL && current() == net.task;
}

/* Somebody waits for this CPU. */
static bool net_in_the_way(void)
{
    return __atomic_load_n(&arch_this_cpu()->rq.count, __ATOMIC_RELAXED) != 0;
}

static void net_main(void *arg)
{
    unsigned rounds = 0;
    (void)arg;
    current()->hands_over = true;
    for (;;) {
        sched_prepare(TASK_DEADLY);
        struct net_work *w = work_take();
        if (w == NULL) {
            sched_sleep();
            continue;
        }
        sched_unprepare();
        tcp_batch_begin();
        w->fn(w); /* may free it */
        tcp_batch_end();
        net_flush();
        /* Whom it woke runs on this CPU when the work is done, or now if there
         * is more: then this thread goes to one that is idle. */
        rounds = net_in_the_way() ? rounds + 1 : 0;
        if (rounds > 1)
            sched_yield();
        else
            sched_point();
    }
}

/* --- timers --- */

static void net_timer_fired(struct timer *t)
{
    struct net_timer *n = CONTAINER_OF(t, struct net_timer, timer);
    net_work_queue(&n->work);
}

void net_timer_init(struct net_timer *t, void (*fn)(struct net_work *w))
{
    timer_init(&t->timer, net_timer_fired);
    net_work_init(&t->work, fn);
}

void net_timer_start(struct net_timer *t, nsec_t deadline)
{
    timer_start(&t->timer, deadline);
}

void net_timer_stop(struct net_timer *t)
{
    (void)timer_stop(&t->timer);
}

/* --- start --- */

static int net_make(void)
{
    int r = udp_init();
    if (r == 0)
        r = tcp_init();
    if (r == 0)
        r = raw_init();
    if (r < 0)
        return r;
    struct task *t = task_new_kernel("net", net_main, NULL);
    if (t == NULL)
        return -ENOMEM;
    lo_init();
    unsigned long flags = spin_lock_irq(&net.lock);
    net.task = t; /* our reference: it never ends */
    spin_unlock_irq(&net.lock, flags);
    sched_start(t);
    return 0;
}

int net_start(void)
{
    int r = 0;
    if (__atomic_load_n(&started, __ATOMIC_ACQUIRE))
        return 0;
    mutex_lock(&start_lock);
    if (!started)
        r = net_make();
    if (r == 0)
        __atomic_store_n(&started, true, __ATOMIC_RELEASE);
    mutex_unlock(&start_lock);
    return r;
}
