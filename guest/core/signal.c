// SPDX-License-Identifier: Apache-2.0
/* Signals: what is pending, sending, and choosing who takes it. signal(7). */
#include "guest/core/signal.h"

#include "abi/linux/errno.h"

#include "guest/core/kmem.h"
#include "guest/core/ptimer.h"
#include "guest/core/sched.h"
#include "guest/core/signal_impl.h"
#include "guest/core/task.h"

struct sigqueue { /* one pending siginfo, owned by the list it is on */
    struct list node;
    struct lx_siginfo si;
};

void signal_info(struct lx_siginfo *si, int signo, int code)
{
    *si = (struct lx_siginfo){.signo = signo, .code = code};
}

/* --- pending sets --- */

void sigpending_init(struct sigpending *p)
{
    p->set = 0;
    p->count = 0;
    list_init(&p->queue);
}

static void sigpending_drop(struct sigpending *p, uint64_t set)
{
    if ((p->set & set) == 0)
        return;
    LIST_FOR_SAFE(it, next, &p->queue)
    {
        struct sigqueue *q = LIST_ENTRY(it, struct sigqueue, node);
        if ((SIG_BIT(q->si.signo) & set) == 0)
            continue;
        list_remove(&q->node);
        p->count--;
        kfree(q);
    }
    p->set &= ~set;
}

void sigpending_flush(struct sigpending *p)
{
    sigpending_drop(p, UINT64_MAX);
}

/* Faults of the program itself come first, else the lowest number. */
static int sigpending_first(uint64_t set)
{
    uint64_t sync = set & SIG_SYNCHRONOUS;

    if (sync != 0)
        set = sync;
    return set != 0 ? __builtin_ctzll(set) + 1 : 0;
}

static int sigpending_take(struct sigpending *p, uint64_t set,
                           struct lx_siginfo *si)
{
    int signo = sigpending_first(p->set & set);
    struct sigqueue *found = NULL;
    bool more = false;

    if (signo == 0)
        return 0;
    LIST_FOR(it, &p->queue)
    {
        struct sigqueue *q = LIST_ENTRY(it, struct sigqueue, node);
        if (q->si.signo != signo)
            continue;
        more = found != NULL;
        if (more)
            break;
        found = q;
    }
    if (!more)
        p->set &= ~SIG_BIT(signo);
    if (found == NULL) { /* no memory was left for the details */
        signal_info(si, signo, LX_SI_USER);
        return signo;
    }
    *si = found->si;
    list_remove(&found->node);
    p->count--;
    kfree(found);
    return signo;
}

int signal_take_locked(struct task *t, uint64_t set, struct lx_siginfo *si)
{
    int signo = sigpending_take(&t->pending, set, si);

    if (signo == 0)
        signo = sigpending_take(&t->proc->pending, set, si);
    if (signo != 0 && si->code == LX_SI_TIMER)
        ptimer_delivered(t->proc, si->timerid, si->overrun);
    return signo;
}

int signal_dequeue(struct task *t, uint64_t set, struct lx_siginfo *si)
{
    unsigned long flags = spin_lock_irq(&t->proc->sig_lock);
    int signo = signal_take_locked(t, set, si);

    spin_unlock_irq(&t->proc->sig_lock, flags);
    return signo;
}

/* --- what a signal would do --- */

static uint64_t signal_handler(const struct process *p, int signo)
{
    return p->sighand->action[signo - 1].handler;
}

/* From inside, pid 1 gets only what it has a handler for; SIGKILL and SIGSTOP
 * of the kernel itself (the host, out of memory) act. */
static bool signal_shielded(const struct process *p, int signo, bool force)
{
    return p->unkillable && signal_handler(p, signo) == LX_SIG_DFL &&
           !(force && (SIG_BIT(signo) & SIG_KERNEL_ONLY) != 0);
}

static bool signal_ignored(const struct process *p, const struct task *t,
                           int signo, bool force)
{
    /* The handler may be another one by the time it is unblocked. */
    if ((t->sigmask & SIG_BIT(signo)) != 0)
        return false;
    uint64_t handler = signal_handler(p, signo);
    if (handler == LX_SIG_IGN && (SIG_BIT(signo) & SIG_KERNEL_ONLY) == 0)
        return true;
    if (handler == LX_SIG_DFL && (SIG_BIT(signo) & SIG_DEFAULT_IGNORE) != 0)
        return true;
    return signal_shielded(p, signo, force);
}

static bool signal_deadly(const struct process *p, int signo)
{
    return signal_handler(p, signo) == LX_SIG_DFL &&
           (SIG_BIT(signo) & (SIG_DEFAULT_IGNORE | SIG_DEFAULT_STOP)) == 0;
}

bool signal_pending(const struct task *t)
{
    const struct process *p = t->proc;

    if (p == NULL || !t->work)
        return false;
    return signal_fatal_pending(t) || p->stopped || p->cont_notify ||
           ((t->pending.set | p->pending.set) & ~t->sigmask) != 0;
}

bool signal_fatal_pending(const struct task *t)
{
    const struct process *p = t->proc;

    if (p == NULL || t->exiting)
        return false;
    return p->group_exit || (p->single != NULL && p->single != t);
}

void signal_action_set(struct process *p, int signo)
{
    uint64_t handler = signal_handler(p, signo);

    if (handler != LX_SIG_IGN &&
        (handler != LX_SIG_DFL || (SIG_BIT(signo) & SIG_DEFAULT_IGNORE) == 0))
        return;
    sigpending_drop(&p->pending, SIG_BIT(signo));
    LIST_FOR(it, &p->threads)
    sigpending_drop(&LIST_ENTRY(it, struct task, thread_node)->pending,
                    SIG_BIT(signo));
}

/* --- sending --- */

static void signal_rouse(struct task *t, bool fatal)
{
    __atomic_store_n(&t->work, true, __ATOMIC_SEQ_CST);
    if (!sched_wake_signal(t, fatal))
        sched_notice(t);
}

void signal_rouse_all(struct process *p, const struct task *but, bool fatal)
{
    LIST_FOR(it, &p->threads)
    {
        struct task *t = LIST_ENTRY(it, struct task, thread_node);
        if (t != but)
            signal_rouse(t, fatal);
    }
}

static bool signal_wanted(const struct task *t, int signo)
{
    if (t->exiting || (t->sigmask & SIG_BIT(signo)) != 0)
        return false;
    return signo == LX_SIGKILL || t->state != TASK_STOPPED;
}

/* Who deals with a signal for the whole process: the first thread if it
 * wants it, else any. NULL: all of them block it. */
static struct task *signal_choose(struct process *p, int signo)
{
    struct task *spare = NULL;

    LIST_FOR(it, &p->threads)
    {
        struct task *t = LIST_ENTRY(it, struct task, thread_node);
        if (!signal_wanted(t, signo))
            continue;
        if (t == p->leader || t == current())
            return t;
        if (spare == NULL)
            spare = t;
    }
    return spare;
}

/* Stop signals and SIGCONT cancel each other, and SIGCONT restarts even if it
 * is blocked or ignored. */
static void signal_prepare(struct process *p, int signo)
{
    uint64_t drop = 0;

    if ((SIG_BIT(signo) & SIG_DEFAULT_STOP) != 0)
        drop = SIG_BIT(LX_SIGCONT);
    else if (signo == LX_SIGCONT)
        drop = SIG_DEFAULT_STOP;
    if (drop == 0)
        return;
    sigpending_drop(&p->pending, drop);
    LIST_FOR(it, &p->threads)
    sigpending_drop(&LIST_ENTRY(it, struct task, thread_node)->pending, drop);
    if (signo == LX_SIGCONT)
        signal_continue(p);
}

void signal_continue(struct process *p)
{
    if (!p->stopped)
        return;
    if (p->stop_count == p->thread_count) { /* it was a complete stop */
        p->cont_report = true;
        p->cont_notify = true;
    }
    p->stopped = false;
    p->stop_report = false;
    LIST_FOR(it, &p->threads)
    {
        struct task *t = LIST_ENTRY(it, struct task, thread_node);
        t->work = true;
        (void)sched_wake_stopped(t);
    }
}

/* A timer whose last signal is still pending only counts. timer_getoverrun(2)
 */
static bool signal_overrun(struct sigpending *p, const struct lx_siginfo *si)
{
    if (si->code != LX_SI_TIMER || (p->set & SIG_BIT(si->signo)) == 0)
        return false;
    LIST_FOR(it, &p->queue)
    {
        struct sigqueue *q = LIST_ENTRY(it, struct sigqueue, node);
        if (q->si.signo != si->signo || q->si.code != LX_SI_TIMER ||
            q->si.timerid != si->timerid)
            continue;
        if (q->si.overrun < INT32_MAX - 1 - si->overrun)
            q->si.overrun += 1 + si->overrun;
        return true;
    }
    return false;
}

/* At most `max` wait there. */
static int signal_queue(struct sigpending *p, const struct lx_siginfo *si,
                        uint64_t max)
{
    struct sigqueue *q = NULL;
    bool ours = si->signo < LX_SIGRTMIN && si->code >= 0;

    if (p->count < (ours ? SIG_QUEUE_MAX : MIN(max, SIG_QUEUE_MAX)))
        q = kmalloc(sizeof(*q));
    if (q == NULL) {
        /* A plain signal loses only its details; a queued one must not be
         * lost silently. */
        if (si->signo >= LX_SIGRTMIN && si->code != LX_SI_USER)
            return -EAGAIN;
        p->set |= SIG_BIT(si->signo);
        return 0;
    }
    q->si = *si;
    list_add_tail(&p->queue, &q->node);
    p->count++;
    p->set |= SIG_BIT(si->signo);
    return 0;
}

/* `t` NULL: for the process. sig_lock held. */
static int signal_send_locked(struct process *p, struct task *t,
                              const struct lx_siginfo *si)
{
    int signo = si->signo;
    bool force = si->code == LX_SI_KERNEL;
    struct sigpending *to = t != NULL ? &t->pending : &p->pending;

    if (p->thread_count == 0)
        return 0;
    signal_prepare(p, signo);
    const struct task *head =
        t != NULL ? t : LIST_ENTRY(p->threads.next, struct task, thread_node);
    if (signal_ignored(p, head, signo, force))
        return 0;
    if (signal_overrun(to, si))
        return 0;
    if (signo < LX_SIGRTMIN && (to->set & SIG_BIT(signo)) != 0)
        return 0;
    int r = signal_queue(to, si, p->rlimits[LX_RLIMIT_SIGPENDING].cur);
    if (r < 0)
        return r;
    struct task *who = t;
    if (t == NULL)
        who = signal_choose(p, signo);
    else if (!signal_wanted(t, signo))
        who = NULL;
    if (who != NULL) {
        bool deadly = signal_deadly(p, signo) && !p->group_exit &&
                      !signal_shielded(p, signo, force);
        if (deadly) {
            p->group_exit = true;
            p->exit_status = signo;
            signal_rouse_all(p, NULL, true);
        } else {
            signal_rouse(who, false);
        }
    }
    waitq_wake(&p->sigwait, 0, WAKE_ALL);
    return 0;
}

int signal_send(struct process *p, const struct lx_siginfo *si)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    int r = signal_send_locked(p, NULL, si);

    spin_unlock_irq(&p->sig_lock, flags);
    return r;
}

int signal_send_task(struct task *t, const struct lx_siginfo *si)
{
    unsigned long flags = spin_lock_irq(&t->proc->sig_lock);
    int r = 0;

    if (!t->exiting)
        r = signal_send_locked(t->proc, t, si);
    spin_unlock_irq(&t->proc->sig_lock, flags);
    return r;
}

struct signal_pgrp { /* of signal_send_pgrp */
    int32_t pgid;
    struct lx_siginfo si;
};

static void signal_pgrp_one(struct process *p, void *arg)
{
    const struct signal_pgrp *s = arg;

    if (p->pgid == s->pgid)
        (void)signal_send(p, &s->si);
}

void signal_send_pgrp(int32_t pgid, int signo)
{
    struct signal_pgrp s = {.pgid = pgid};

    if (pgid <= 0)
        return;
    signal_info(&s.si, signo, LX_SI_KERNEL);
    process_each(signal_pgrp_one, &s);
}

void signal_from_monitor(int signo)
{
    struct lx_siginfo si;

    if (signo < 1 || signo > SIG_COUNT || proc_init == NULL)
        return;
    signal_info(&si, signo, LX_SI_KERNEL);
    (void)signal_send(proc_init, &si);
}

void signal_fault(int signo, int code, uint64_t addr)
{
    struct task *t = current();
    struct process *p = t->proc;
    struct lx_siginfo si;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct k_sigaction *sa = &p->sighand->action[signo - 1];
    bool blocked = (t->sigmask & SIG_BIT(signo)) != 0;

    signal_info(&si, signo, code);
    si.addr = addr;
    if (blocked || sa->handler == LX_SIG_IGN) {
        sa->handler = LX_SIG_DFL;
        t->sigmask &= ~SIG_BIT(signo);
    }
    if (sa->handler == LX_SIG_DFL)
        p->unkillable = false; /* its own fault ends even pid 1 */
    (void)signal_send_locked(p, t, &si);
    spin_unlock_irq(&p->sig_lock, flags);
}
