// SPDX-License-Identifier: Apache-2.0
/* Interval timers of processes. setitimer(2), timer_create(2). */
#include "guest/core/ptimer.h"

#include "abi/linux/errno.h"

#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

struct ptimer {
    struct list node; /* in process.ptimers; sig_lock */
    struct process *proc;
    struct task *task; /* SIGEV_THREAD_ID: reference held; else NULL */
    struct timer timer;
    nsec_t interval;
    bool cpu;        /* its clock is CPU time: core/cputimer.c looks at it */
    struct task *of; /* of one thread: reference held; NULL: the process */
    nsec_t at;       /* then: when it is due, 0: not set; sig_lock */
    uint64_t value;  /* sigev_value */
    int32_t id, clock;
    int32_t signo;   /* 0: SIGEV_NONE */
    int32_t overrun; /* of the last signal taken */
    uint64_t before; /* periods that were over before the machine was up */
};

static struct mutex ptimer_lock = {.waiters = LIST_INIT(ptimer_lock.waiters)};

/* Start again `interval` after `from`; how many periods were missed. */
static int32_t ptimer_again(struct timer *t, nsec_t interval)
{
    nsec_t now = clock_now();
    nsec_t late = now > t->deadline ? now - t->deadline : 0;
    uint64_t missed = late / interval;

    timer_start(t, t->deadline + (missed + 1) * interval);
    return (int32_t)MIN(missed, (uint64_t)INT32_MAX);
}

/* --- ITIMER_REAL --- */

static void ptimer_alarm_fn(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, alarm);
    struct lx_siginfo si;

    signal_info(&si, LX_SIGALRM, LX_SI_KERNEL);
    (void)signal_send(p, &si);
    if (p->alarm_interval != 0)
        (void)ptimer_again(t, p->alarm_interval);
}

void ptimer_process_init(struct process *p)
{
    timer_init(&p->alarm, ptimer_alarm_fn);
}

static nsec_t ptimer_left(const struct timer *t)
{
    nsec_t now = clock_now();

    if (!t->queued)
        return 0;
    return t->deadline > now ? t->deadline - now : 1;
}

void ptimer_alarm_get(nsec_t *value, nsec_t *interval)
{
    struct process *p = current()->proc;

    mutex_lock(&ptimer_lock);
    *value = ptimer_left(&p->alarm);
    *interval = p->alarm_interval;
    mutex_unlock(&ptimer_lock);
}

void ptimer_alarm(nsec_t value, nsec_t interval, nsec_t *old_value,
                  nsec_t *old_interval)
{
    struct process *p = current()->proc;

    mutex_lock(&ptimer_lock);
    *old_value = ptimer_left(&p->alarm);
    *old_interval = p->alarm_interval;
    /* After this fn does not run, so nobody else reads the interval. */
    (void)timer_stop(&p->alarm);
    p->alarm_interval = value != 0 ? interval : 0;
    if (value != 0)
        timer_start(&p->alarm, clock_now() + value);
    mutex_unlock(&ptimer_lock);
}

/* --- CPU time --- */

static nsec_t ptimer_cpu_now(const struct ptimer *pt)
{
    nsec_t user, system;

    if (pt->of != NULL)
        return sched_cpu_time(pt->of);
    process_times(pt->proc, &user, &system);
    return user + system;
}

static nsec_t ptimer_cpu_left(const struct ptimer *pt)
{
    nsec_t now = ptimer_cpu_now(pt);

    if (pt->at == 0 || now < pt->at)
        return pt->at != 0 ? pt->at - now : 0;
    return pt->interval != 0 ? pt->interval - (now - pt->at) % pt->interval : 1;
}

static void ptimer_cpu_set(struct ptimer *pt, bool absolute, nsec_t value)
{
    nsec_t from = absolute ? 0 : ptimer_cpu_now(pt);
    unsigned long flags = spin_lock_irq(&pt->proc->sig_lock);

    pt->at = value != 0 ? from + MIN(value, NSEC_NEVER / 4) : 0;
    spin_unlock_irq(&pt->proc->sig_lock, flags);
    if (value != 0)
        cputimer_start(pt->proc);
}

/* The clock that a negative number names, clock_getcpuclockid(3): pid inverted
 * above bit 3, bit 2 set for a thread. Ours only. */
static int ptimer_cpu_clock(struct ptimer *pt, int32_t clock)
{
    int32_t pid = clock < 0 ? ~(clock >> 3) : 0;
    bool thread =
        clock == LX_CLOCK_THREAD_CPUTIME || (clock < 0 && (clock & 4) != 0);

    if (clock < 0 && (clock & 3) == 3) /* of a device: it has no timers */
        return (clock & 4) == 0 ? -EOPNOTSUPP : -EINVAL;
    struct task *t = pid == 0 ? current() : task_find_get(pid);
    if (t == NULL)
        return -EINVAL;
    if (pid == 0)
        task_get(t);
    bool good = t->proc == pt->proc;
    if (good && thread)
        pt->of = t;
    else
        task_put(t);
    pt->cpu = true;
    return good ? 0 : -EINVAL;
}

/* One that is due, sig_lock held: what to send; NULL: none, and *left. */
static struct ptimer *ptimer_cpu_due(struct process *p, nsec_t total,
                                     struct lx_siginfo *si, nsec_t *left)
{
    LIST_FOR(it, &p->ptimers)
    {
        struct ptimer *pt = LIST_ENTRY(it, struct ptimer, node);
        if (!pt->cpu || pt->at == 0)
            continue;
        nsec_t now = pt->of != NULL ? sched_cpu_time(pt->of) : total;
        if (now < pt->at) {
            *left = MIN(*left, pt->at - now);
            continue;
        }
        signal_info(si, pt->signo, LX_SI_TIMER);
        si->timerid = pt->id;
        si->timer_value = pt->value;
        uint64_t missed = pt->interval != 0 ? (now - pt->at) / pt->interval : 0;
        si->overrun = (int32_t)MIN(missed, (uint64_t)INT32_MAX);
        pt->at = pt->interval != 0 ? pt->at + (missed + 1) * pt->interval : 0;
        return pt;
    }
    return NULL;
}

void ptimer_cpu_poll(struct process *p, nsec_t total, nsec_t *left)
{
    for (unsigned i = 0; i < PTIMER_MAX; i++) {
        struct lx_siginfo si;
        unsigned long flags = spin_lock_irq(&p->sig_lock);
        const struct ptimer *pt = ptimer_cpu_due(p, total, &si, left);
        struct task *t = pt != NULL ? pt->task : NULL;
        if (t != NULL)
            task_get(t);
        spin_unlock_irq(&p->sig_lock, flags);
        if (pt == NULL)
            return;
        if (si.signo != 0 && t != NULL)
            (void)signal_send_task(t, &si);
        else if (si.signo != 0)
            (void)signal_send(p, &si);
        if (t != NULL)
            task_put(t);
    }
    *left = 0; /* more of them at the next look */
}

/* --- timer_create --- */

static void ptimer_fn(struct timer *t)
{
    struct ptimer *pt = CONTAINER_OF(t, struct ptimer, timer);
    struct lx_siginfo si;

    signal_info(&si, pt->signo, LX_SI_TIMER);
    si.timerid = pt->id;
    si.timer_value = pt->value;
    if (pt->interval != 0)
        si.overrun = ptimer_again(t, pt->interval);
    si.overrun =
        (int32_t)MIN((uint64_t)si.overrun + pt->before, (uint64_t)INT32_MAX);
    pt->before = 0;
    if (pt->signo == 0)
        return;
    if (pt->task != NULL)
        (void)signal_send_task(pt->task, &si);
    else
        (void)signal_send(pt->proc, &si);
}

static struct ptimer *ptimer_find(const struct process *p, int32_t id)
{
    LIST_FOR(it, &p->ptimers)
    {
        struct ptimer *pt = LIST_ENTRY(it, struct ptimer, node);
        if (pt->id == id)
            return pt;
    }
    return NULL;
}

void ptimer_delivered(struct process *p, int32_t id, int32_t overrun)
{
    struct ptimer *pt = ptimer_find(p, id);

    if (pt != NULL)
        pt->overrun = overrun;
}

static int ptimer_target(struct ptimer *pt, const struct lx_sigevent *ev)
{
    int r = 0;

    if (ev->notify != LX_SIGEV_NONE) {
        if (ev->signo < 1 || ev->signo > SIG_COUNT)
            return -EINVAL;
        pt->signo = ev->signo;
    }
    switch (ev->notify) {
    case LX_SIGEV_NONE:
    case LX_SIGEV_SIGNAL:
    case LX_SIGEV_THREAD: return 0; /* the library makes the thread */
    case LX_SIGEV_THREAD_ID:
        mutex_lock(&proc_lock);
        pt->task = task_find(ev->tid);
        if (pt->task != NULL && pt->task->proc == pt->proc) {
            task_get(pt->task);
        } else {
            pt->task = NULL;
            r = -EINVAL;
        }
        mutex_unlock(&proc_lock);
        return r;
    default: return -EINVAL;
    }
}

static void ptimer_free(struct ptimer *pt)
{
    if (pt->task != NULL)
        task_put(pt->task);
    if (pt->of != NULL)
        task_put(pt->of);
    kfree(pt);
}

int ptimer_create(int32_t clock, const struct lx_sigevent *ev, int32_t *id,
                  bool plain)
{
    struct process *p = current()->proc;
    struct ptimer *pt = kzalloc(sizeof(*pt));

    if (pt == NULL)
        return -EAGAIN;
    pt->proc = p;
    pt->clock = clock;
    pt->value = ev->value;
    timer_init(&pt->timer, ptimer_fn);
    int r = 0;
    if (clock < 0 || clock == LX_CLOCK_PROCESS_CPUTIME ||
        clock == LX_CLOCK_THREAD_CPUTIME)
        r = ptimer_cpu_clock(pt, clock);
    if (r == 0)
        r = ptimer_target(pt, ev);
    if (r < 0) {
        ptimer_free(pt);
        return r;
    }
    mutex_lock(&ptimer_lock);
    while (pt->id < PTIMER_MAX && ptimer_find(p, pt->id) != NULL)
        pt->id++;
    if (pt->id == PTIMER_MAX) {
        r = -EAGAIN;
    } else {
        if (plain)
            pt->value = (uint32_t)pt->id;
        unsigned long flags = spin_lock_irq(&p->sig_lock);
        list_add_tail(&p->ptimers, &pt->node);
        spin_unlock_irq(&p->sig_lock, flags);
        *id = pt->id;
    }
    mutex_unlock(&ptimer_lock);
    if (r < 0)
        ptimer_free(pt);
    return r;
}

static nsec_t ptimer_deadline(struct ptimer *pt, bool absolute, nsec_t value)
{
    nsec_t now = clock_now();

    if (absolute &&
        (pt->clock == LX_CLOCK_REALTIME || pt->clock == LX_CLOCK_TAI)) {
        uint64_t wall = clock_wall();
        if (value > wall)
            return now + (value - wall);
        nsec_t late = wall - value; /* counts as overruns */
        if (late > now && pt->interval != 0)
            pt->before = (late - now) / pt->interval;
        return now - MIN(now, late);
    }
    return absolute ? value : now + value;
}

static nsec_t ptimer_rest(const struct ptimer *pt)
{
    return pt->cpu ? ptimer_cpu_left(pt) : ptimer_left(&pt->timer);
}

int ptimer_set(int32_t id, bool absolute, nsec_t value, nsec_t interval,
               nsec_t *old_value, nsec_t *old_interval)
{
    mutex_lock(&ptimer_lock);
    struct ptimer *pt = ptimer_find(current()->proc, id);
    if (pt != NULL) {
        *old_value = ptimer_rest(pt);
        *old_interval = pt->interval;
        (void)timer_stop(&pt->timer);
        pt->interval = interval;
        pt->overrun = 0;
        pt->before = 0;
        if (pt->cpu)
            ptimer_cpu_set(pt, absolute, value);
        else if (value != 0)
            timer_start(&pt->timer, ptimer_deadline(pt, absolute, value));
    }
    mutex_unlock(&ptimer_lock);
    return pt != NULL ? 0 : -EINVAL;
}

int ptimer_get(int32_t id, nsec_t *value, nsec_t *interval)
{
    mutex_lock(&ptimer_lock);
    const struct ptimer *pt = ptimer_find(current()->proc, id);
    if (pt != NULL) {
        *value = ptimer_rest(pt);
        *interval = pt->interval;
    }
    mutex_unlock(&ptimer_lock);
    return pt != NULL ? 0 : -EINVAL;
}

int ptimer_overrun(int32_t id)
{
    mutex_lock(&ptimer_lock);
    const struct ptimer *pt = ptimer_find(current()->proc, id);
    int r = pt != NULL ? pt->overrun : -EINVAL;
    mutex_unlock(&ptimer_lock);
    return r;
}

static void ptimer_remove(struct process *p, struct ptimer *pt)
{
    (void)timer_stop(&pt->timer);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    list_remove(&pt->node);
    spin_unlock_irq(&p->sig_lock, flags);
    ptimer_free(pt);
}

int ptimer_delete(int32_t id)
{
    struct process *p = current()->proc;

    mutex_lock(&ptimer_lock);
    struct ptimer *pt = ptimer_find(p, id);
    if (pt != NULL)
        ptimer_remove(p, pt);
    mutex_unlock(&ptimer_lock);
    return pt != NULL ? 0 : -EINVAL;
}

void ptimer_exit(struct process *p)
{
    mutex_lock(&ptimer_lock);
    while (!list_empty(&p->ptimers))
        ptimer_remove(p, LIST_ENTRY(p->ptimers.next, struct ptimer, node));
    mutex_unlock(&ptimer_lock);
}
