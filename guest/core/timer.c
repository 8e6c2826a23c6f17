// SPDX-License-Identifier: Apache-2.0
/* One-shot timers: a sorted list per CPU. */
#include "guest/core/timer.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/sched.h"

/* Interrupts of one CPU come at least this far apart: a program's timer of 1 ns
 * must not keep the CPU in its interrupts. What is due meanwhile comes
 * together. */
#define TIMER_GAP_NS (100 * 1000u)

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
    list_init(&t->node);
}

static struct timer *timer_of(struct list *l)
{
    return LIST_ENTRY(l, struct timer, node);
}

/* Off its queue; the CPU it was queued on, whose timer_lock is held. */
static struct cpu *timer_detach(struct timer *t, bool *was,
                                unsigned long *flags)
{
    for (;;) {
        uint32_t id = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
        struct cpu *c = &cpus[id];
        *flags = spin_lock_irq(&c->timer_lock);
        if (__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == id) {
            *was = t->queued;
            if (t->queued)
                list_remove(&t->node);
            t->queued = false;
            return c;
        }
        spin_unlock_irq(&c->timer_lock, *flags);
    }
}

/* timer_lock of `c`, this CPU, is held. */
static void timer_insert(struct cpu *c, struct timer *t)
{
    struct list *at = c->timers.prev;

    /* From the end: most deadlines are later than those queued before. */
    while (at != &c->timers && timer_of(at)->deadline > t->deadline)
        at = at->prev;
    list_add_head(at, &t->node);
    t->queued = true;
    if (c->timer_running != NULL)
        return; /* in the interrupt: timer_run() arms when it is done */
    if (t->deadline < c->timer_armed) {
        c->timer_armed = t->deadline;
        arch_timer_set(t->deadline);
    }
}

void timer_start(struct timer *t, nsec_t deadline)
{
    unsigned long irq = arch_irq_save();
    unsigned long flags;
    bool was;
    struct cpu *here = arch_this_cpu();
    struct cpu *c = timer_detach(t, &was, &flags);

    __atomic_store_n(&t->cpu, here->id, __ATOMIC_RELAXED);
    spin_unlock(&c->timer_lock);
    spin_lock(&here->timer_lock);
    t->deadline = deadline;
    timer_insert(here, t);
    spin_unlock_irq(&here->timer_lock, flags);
    arch_irq_restore(irq);
}

bool timer_stop(struct timer *t)
{
    bool queued = false;
    bool running;

    do {
        unsigned long flags;
        bool was;
        struct cpu *c = timer_detach(t, &was, &flags);
        /* On this CPU fn has finished: it runs with interrupts off. */
        running = c->timer_running == t && c != arch_this_cpu();
        spin_unlock_irq(&c->timer_lock, flags);
        queued = queued || was;
        if (running) /* then look again: fn may have started it again */
            arch_pause();
    } while (running);
    return queued;
}

static void timer_run(struct cpu *c, nsec_t now)
{
    spin_lock(&c->timer_lock);
    while (!list_empty(&c->timers)) {
        struct timer *t = timer_of(c->timers.next);
        if (t->deadline > now)
            break;
        list_remove(&t->node);
        t->queued = false;
        c->timer_running = t;
        spin_unlock(&c->timer_lock);
        t->fn(t);
        /* Release: timer_stop on another CPU may free *t after this. */
        __atomic_store_n(&c->timer_running, NULL, __ATOMIC_RELEASE);
        spin_lock(&c->timer_lock);
    }
    if (!list_empty(&c->timers) &&
        timer_of(c->timers.next)->deadline < c->timer_armed) {
        c->timer_armed = MAX(timer_of(c->timers.next)->deadline,
                             arch_clock() + TIMER_GAP_NS);
        arch_timer_set(c->timer_armed);
    }
    spin_unlock(&c->timer_lock);
}

void timer_interrupt(void)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();

    c->timer_armed = NSEC_NEVER;
    timer_run(c, arch_clock());
    sched_tick();
    arch_irq_restore(flags);
}
