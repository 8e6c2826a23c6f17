// SPDX-License-Identifier: Apache-2.0
/*
 * Scheduler. A task's state changes under the run-queue lock of task.cpu, and
 * a CPU keeps its lock from the decision to switch until the next task runs:
 * so a waker never sees a task half switched away. A CPU without work halts in
 * the context of the task that went to sleep last; when that task is woken it
 * simply goes on.
 */
#include "guest/core/sched.h"

#include "abi/boot.h"
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/rseq.h"
#include "guest/core/sched_impl.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

struct cpu cpus[BOOT_CPU_MAX];
uint32_t cpu_possible = 1;

static struct task boot_tasks[BOOT_CPU_MAX]; /* contexts of the boot stacks */

static struct task *list_task(struct list *l)
{
    return LIST_ENTRY(l, struct task, run_node);
}

/* Interrupts off. Fires early when the reason went away since: harmless. */
static void sched_arm(struct cpu *c, nsec_t deadline)
{
    if (deadline >= c->timer_armed)
        return;
    c->timer_armed = deadline;
    arch_timer_set(deadline);
}

/* --- time accounting --- */

/* It leaves the CPU, which only kernel code does. */
static void sched_account(const struct cpu *c, struct task *t, nsec_t now)
{
    if (t->stack != NULL && *(const uint64_t *)t->stack != TASK_CANARY)
        panic("the kernel stack of %s (%d) overflowed", t->name, t->tid);
    t->stretch = now - (c->slice_end - SLICE_NS);
    t->stime += now - t->entered;
    t->entered = NSEC_NEVER; /* woken, it may still halt for a while */
}

/* --- run queues --- */

/* True if the CPU must be told: with others waiting it has its slice timer. */
static bool rq_push(struct cpu *c, struct task *t)
{
    list_add_tail(&c->rq.tasks, &t->run_node);
    return __atomic_fetch_add(&c->rq.count, 1, __ATOMIC_SEQ_CST) == 0;
}

static void rq_remove(struct cpu *c, struct task *t)
{
    list_remove(&t->run_node);
    (void)__atomic_fetch_sub(&c->rq.count, 1, __ATOMIC_RELAXED);
}

static struct task *rq_pop(struct cpu *c)
{
    if (list_empty(&c->rq.tasks))
        return NULL;
    struct task *t = list_task(c->rq.tasks.next);
    rq_remove(c, t);
    return t;
}

/* Lock the queue of the CPU that `t` belongs to. */
static struct cpu *rq_lock_of(struct task *t, unsigned long *flags)
{
    for (;;) {
        uint32_t id = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
        struct cpu *c = &cpus[id];
        *flags = spin_lock_irq(&c->rq.lock);
        if (__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == id)
            return c;
        spin_unlock_irq(&c->rq.lock, *flags);
    }
}

/* Interrupt CPU `id`, once this one holds no spinlock. */
static void sched_kick(uint32_t id)
{
    struct cpu *here = arch_this_cpu();

    if (here->lock_depth == 0)
        arch_kick(id);
    else
        __atomic_fetch_or(&here->kicks, cpu_bit(id), __ATOMIC_RELAXED);
}

/* Make CPU `id` look at its queue. It may be this one. */
static void sched_poke(uint32_t id)
{
    struct cpu *c = &cpus[id];

    __atomic_store_n(&c->resched, true, __ATOMIC_RELEASE);
    if (c != arch_this_cpu())
        sched_kick(id);
}

/* `t` is RUNNING, on no queue and on no CPU, and only we know it. */
static void sched_enqueue(struct task *t, uint32_t id)
{
    struct cpu *c = &cpus[id];
    unsigned long flags = spin_lock_irq(&c->rq.lock);

    __atomic_store_n(&t->cpu, id, __ATOMIC_RELAXED);
    bool first = rq_push(c, t);
    spin_unlock_irq(&c->rq.lock, flags);
    if (first)
        sched_poke(id);
}

void sched_start(struct task *t)
{
    uint32_t here = arch_this_cpu()->id;

    t->state = TASK_RUNNING;
    sched_enqueue(t, sched_place(t, here));
}

void sched_start_here(struct task *t)
{
    t->state = TASK_RUNNING;
    sched_enqueue(t, arch_this_cpu()->id);
}

/* --- waking --- */

static bool sched_wake_states(struct task *t, uint32_t states)
{
    unsigned long flags;
    struct cpu *c = rq_lock_of(t, &flags);

    if ((states & (1u << t->state)) == 0) {
        spin_unlock_irq(&c->rq.lock, flags);
        return false;
    }
    __atomic_store_n(&t->state, TASK_RUNNING, __ATOMIC_SEQ_CST);
    if (t->on_cpu) {
        /* It has not left yet, or its CPU halts in its context: not next
         * time, if it could run here. */
        t->leave = c != arch_this_cpu() && sched_near(arch_this_cpu());
        spin_unlock_irq(&c->rq.lock, flags);
        uint64_t idle = __atomic_load_n(&sched_idle_mask, __ATOMIC_SEQ_CST);
        if ((idle & cpu_bit(c->id)) != 0 && c != arch_this_cpu())
            sched_kick(c->id);
        return true;
    }
    spin_unlock_irq(&c->rq.lock, flags);
    /* RUNNING and on no queue: nobody else touches it. */
    sched_enqueue(t, sched_place(t, c->id));
    return true;
}

bool sched_wake(struct task *t)
{
    return sched_wake_states(t, (1u << TASK_SLEEPING) | (1u << TASK_DEADLY));
}

bool sched_wake_signal(struct task *t, bool fatal)
{
    uint32_t states = 1u << TASK_SLEEPING;

    if (fatal)
        states |= (1u << TASK_DEADLY) | (1u << TASK_STOPPED);
    return sched_wake_states(t, states);
}

bool sched_wake_stopped(struct task *t)
{
    return sched_wake_states(t, 1u << TASK_STOPPED);
}

void sched_notice(struct task *t)
{
    uint32_t id = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);

    if (__atomic_load_n(&t->on_cpu, __ATOMIC_RELAXED) &&
        id != arch_this_cpu()->id)
        sched_kick(id);
}

/* --- going to sleep --- */

void sched_prepare(uint32_t state)
{
    struct task *t = current();

    /* Only we leave RUNNING, so no lock; a full barrier before the caller
     * looks at its condition. */
    (void)__atomic_exchange_n(&t->state, (enum task_state)state,
                              __ATOMIC_SEQ_CST);
}

void sched_unprepare(void)
{
    __atomic_store_n(&current()->state, TASK_RUNNING, __ATOMIC_RELEASE);
}

void sched_deepen(void)
{
    enum task_state was = TASK_SLEEPING;

    (void)__atomic_compare_exchange_n(&current()->state, &was, TASK_DEADLY,
                                      false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED);
}

/* Take waiting work from another CPU. Interrupts off, no lock held. */
static struct task *sched_steal(struct cpu *self)
{
    for (uint32_t i = 1; i < cpu_possible; i++) {
        struct cpu *c = &cpus[(self->id + i) % cpu_possible];
        if (__atomic_load_n(&c->rq.count, __ATOMIC_RELAXED) == 0)
            continue;
        spin_lock(&c->rq.lock);
        LIST_FOR(it, &c->rq.tasks)
        {
            struct task *t = list_task(it);
            if (!sched_allows(t, self->id))
                continue;
            rq_remove(c, t);
            __atomic_store_n(&t->cpu, self->id, __ATOMIC_RELAXED);
            spin_unlock(&c->rq.lock);
            return t;
        }
        spin_unlock(&c->rq.lock);
    }
    return NULL;
}

/* Wait for an interrupt unless work came meanwhile. Interrupts off before and
 * after. */
static void sched_halt(struct cpu *c, const struct task *t)
{
    __atomic_fetch_or(&sched_idle_mask, cpu_bit(c->id), __ATOMIC_SEQ_CST);
    /* Pairs with the wakers: they store, then look at sched_idle_mask or kick.
     */
    if (__atomic_load_n(&c->rq.count, __ATOMIC_SEQ_CST) == 0 &&
        __atomic_load_n(&t->state, __ATOMIC_SEQ_CST) != TASK_RUNNING) {
        arch_aspace_switch(NULL); /* flushes need not wake this CPU */
        nsec_t from = arch_clock();
        c->idle_since = from;
        arch_halt();
        (void)arch_irq_save();
        c->idle_since = 0;
        c->idle_ns += arch_clock() - from;
    }
    __atomic_fetch_and(&sched_idle_mask, ~cpu_bit(c->id), __ATOMIC_RELAXED);
}

/* Next task for this CPU, halting until there is one; `t` itself when it is
 * woken meanwhile. Run-queue lock held, interrupts off. */
static struct task *sched_pick(struct cpu *c, struct task *t)
{
    for (;;) {
        if (t->state == TASK_RUNNING)
            return t;
        struct task *next = rq_pop(c);
        if (next != NULL)
            return next;
        if (t->leave) {
            t->leave = false;
            return c->idle;
        }
        spin_unlock(&c->rq.lock);
        next = sched_steal(c);
        if (next == NULL)
            sched_halt(c, t);
        spin_lock(&c->rq.lock);
        if (next != NULL)
            (void)rq_push(c, next);
    }
}

void sched_switched(struct task *prev)
{
    struct cpu *c = arch_this_cpu();
    bool dead = prev->state == TASK_DEAD;
    bool move = prev->state == TASK_RUNNING && list_empty(&prev->run_node);

    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    spin_unlock(&c->rq.lock);
    if (dead) {
        task_free_stack(prev);
        task_put(prev); /* its own reference: it ran until now */
    } else if (move)
        sched_enqueue(prev, sched_elsewhere(prev, c->id, c->current));
}

/* Leave for `next`; comes back when somebody switches to `t` again. Run-queue
 * lock held, interrupts off; the lock is released. */
static void sched_switch_to(struct cpu *c, struct task *t, struct task *next)
{
    nsec_t now = arch_clock();

    next->entered = now;
    c->slice_end = now + SLICE_NS;
    c->resched = !sched_allows(next, c->id);
    if (c->rq.count != 0)
        sched_arm(c, c->slice_end);
    /* A kernel task, or a halt, keeps what is loaded. */
    if (next->proc != NULL && next->proc->aspace != NULL)
        arch_aspace_switch(&next->proc->aspace->arch);
    if (next == t) {
        spin_unlock(&c->rq.lock);
        return;
    }
    c->switches++;
    next->switches++;
    next->on_cpu = true;
    rseq_switched(next, c->id);
    c->current = next;
    sched_switched(arch_switch(t, next));
}

void sched_sleep(void)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();
    struct task *t = c->current;

    spin_lock(&c->rq.lock);
    if (t->state == TASK_RUNNING) {
        spin_unlock(&c->rq.lock);
    } else {
        sched_account(c, t, arch_clock());
        sched_switch_to(c, t, sched_pick(c, t));
    }
    arch_irq_restore(flags);
}

/* --- giving way --- */

/* Let the next task run if the slice is over, or at once with `force`. */
static void sched_requeue(bool force)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();
    struct task *t = c->current;
    nsec_t now = arch_clock();

    spin_lock(&c->rq.lock);
    c->resched = false;
    t->state = TASK_RUNNING;
    bool stay = sched_allows(t, c->id);
    if (stay && c->rq.count == 0) {
        spin_unlock(&c->rq.lock);
    } else if (stay && !force && now < c->slice_end) {
        sched_arm(c, c->slice_end);
        spin_unlock(&c->rq.lock);
    } else {
        sched_account(c, t, now);
        struct task *next = rq_pop(c);
        if (sched_elsewhere(t, c->id, next) == c->id)
            (void)rq_push(c, t);
        /* else sched_switched moves it once it is off this CPU */
        if (next == NULL)
            next = list_empty(&t->run_node) ? c->idle : rq_pop(c);
        sched_switch_to(c, t, next);
    }
    arch_irq_restore(flags);
}

void sched_yield(void)
{
    sched_requeue(true);
}

void sched_point(void)
{
    struct cpu *c = arch_this_cpu();

    if (__atomic_load_n(&c->resched, __ATOMIC_RELAXED))
        sched_requeue(false);
}

void sched_tick(void)
{
    struct cpu *c = arch_this_cpu();

    if (__atomic_load_n(&c->rq.count, __ATOMIC_RELAXED) == 0)
        return;
    if (arch_clock() >= c->slice_end)
        c->resched = true;
    else
        sched_arm(c, c->slice_end);
}

void sched_user_return(void)
{
    struct task *t = current();

    for (;;) {
        if (__atomic_load_n(&arch_this_cpu()->resched, __ATOMIC_ACQUIRE))
            sched_requeue(false);
        if (!__atomic_load_n(&t->work, __ATOMIC_ACQUIRE))
            return;
        signal_deliver();
    }
}

void sched_exit(void)
{
    (void)arch_irq_save();
    struct cpu *c = arch_this_cpu();
    struct task *t = c->current;

    spin_lock(&c->rq.lock);
    t->state = TASK_DEAD;
    sched_account(c, t, arch_clock());
    sched_switch_to(c, t, sched_pick(c, t));
    panic("a dead task ran");
}

/* --- start of CPUs --- */

void sched_init(void)
{
    process_init();
    sched_online_mask = 0;
    sched_idle_mask = 0;
    for (uint32_t i = 0; i < MIN(cpu_possible, BOOT_CPU_MAX); i++) {
        struct cpu *c = &cpus[i];
        struct task *t = &boot_tasks[i];
        memset(t, 0, sizeof(*t)); /* no copy of it on this stack */
        t->state = TASK_SLEEPING;
        t->cpu = i;
        t->refs = 1;
        list_init(&t->run_node);
        t->affinity = UINT64_MAX;
        t->on_cpu = true;
        (void)kstrcpy(t->name, "idle", sizeof(t->name));
        c->id = i;
        c->current = t;
        c->idle = t;
        c->rq = (struct runqueue){.count = 0};
        c->timer_armed = NSEC_NEVER;
        list_init(&c->rq.tasks);
        list_init(&c->timers);
    }
}

void sched_join(void)
{
    struct cpu *c = arch_this_cpu();

    c->online = true;
    __atomic_fetch_or(&sched_online_mask, cpu_bit(c->id), __ATOMIC_RELEASE);
}

void sched_idle(void)
{
    sched_join();
    arch_irq_on();
    for (;;) {
        sched_prepare(TASK_SLEEPING);
        sched_sleep();
    }
}

/* --- affinity --- */

int sched_set_affinity(struct task *t, uint64_t mask)
{
    uint64_t possible =
        cpu_possible >= 64 ? UINT64_MAX : cpu_bit(cpu_possible) - 1;
    unsigned long flags;

    if ((mask & possible) == 0)
        return -EINVAL;
    struct cpu *c = rq_lock_of(t, &flags);
    __atomic_store_n(&t->affinity, mask & possible, __ATOMIC_RELAXED);
    bool queued = !list_empty(&t->run_node);
    bool allowed = sched_allows(t, c->id);
    if (queued && !allowed) {
        rq_remove(c, t);
    }
    bool running = t->on_cpu;
    spin_unlock_irq(&c->rq.lock, flags);
    if (queued && !allowed)
        sched_enqueue(t, sched_place(t, c->id));
    else if (running && !allowed)
        sched_poke(c->id);
    if (t == current() && !allowed)
        sched_yield();
    return 0;
}
