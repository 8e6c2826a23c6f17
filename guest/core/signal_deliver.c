// SPDX-License-Identifier: Apache-2.0
/* Signals: on the way back to the program. Handlers, stops, restarts. */
#include <arch_nr.h>

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/kmem.h"
#include "guest/core/ptimer.h"
#include "guest/core/rseq.h"
#include "guest/core/sched.h"
#include "guest/core/signal_impl.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"

/* --- masks --- */

static void signal_reevaluate(struct task *t)
{
    if (((t->pending.set | t->proc->pending.set) & ~t->sigmask) != 0)
        t->work = true;
}

/* Signals for the process that this thread now blocks: somebody else's. */
static void signal_retarget(struct task *t, uint64_t blocked)
{
    struct process *p = t->proc;

    if ((p->pending.set & blocked) != 0)
        signal_rouse_all(p, t, false);
}

void signal_set_mask(uint64_t mask)
{
    struct task *t = current();
    unsigned long flags = spin_lock_irq(&t->proc->sig_lock);

    mask &= ~SIG_KERNEL_ONLY;
    uint64_t blocked = mask & ~t->sigmask;
    t->sigmask = mask;
    signal_retarget(t, blocked);
    signal_reevaluate(t);
    spin_unlock_irq(&t->proc->sig_lock, flags);
}

void signal_set_mask_temp(uint64_t mask)
{
    struct task *t = current();

    if (!t->restore_sigmask) {
        t->saved_sigmask = t->sigmask;
        t->restore_sigmask = true;
    }
    signal_set_mask(mask);
    t->work = true; /* put back before the program goes on */
}

/* --- system call restart --- */

static void signal_restart(struct task *t, const struct k_sigaction *sa)
{
    struct arch_regs *r = arch_task_regs(t);
    int64_t nr = arch_regs_syscall(r);
    int64_t result = arch_regs_result(r);
    bool again;

    if (nr < 0)
        return;
    switch (result) {
    case -ERESTARTNOINTR: again = true; break;
    case -ERESTARTSYS:
        again = sa == NULL || (sa->flags & LX_SA_RESTART) != 0;
        break;
    case -ERESTARTNOHAND: again = sa == NULL; break;
    case -ERESTART_RESTARTBLOCK:
        again = sa == NULL;
        nr = LX_NR_restart_syscall;
        break;
    default: return;
    }
    if (again)
        arch_regs_restart(r, (uint64_t)nr);
    else
        arch_regs_set_result(r, -EINTR);
}

/* --- stopping --- */

bool signal_pgrp_orphaned(int32_t pgid, const struct process *but)
{
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        const struct process *parent = p->parent;
        if (p->pgid != pgid || p == but || p->zombie || parent == NULL)
            continue;
        if (parent->pgid != pgid && parent->session == p->session)
            return false;
    }
    return true;
}

void signal_tell_parent(struct process *p, int code, int32_t status)
{
    mutex_lock(&proc_lock);
    (void)signal_parent(p, code, status);
    if (p->parent != NULL)
        waitq_wake(&p->parent->child_wait, 0, WAKE_ALL);
    mutex_unlock(&proc_lock);
}

/* Park until SIGCONT or death; the last thread to do so tells the parent.
 * sig_lock is held on entry and released. */
static void signal_park(struct task *t, unsigned long flags)
{
    struct process *p = t->proc;
    bool all = ++p->stop_count == p->thread_count;
    int32_t sig = p->stop_sig;

    if (all)
        p->stop_report = true;
    spin_unlock_irq(&p->sig_lock, flags);
    if (all)
        signal_tell_parent(p, LX_CLD_STOPPED, sig);
    for (;;) {
        sched_prepare(TASK_STOPPED);
        if (!p->stopped || signal_fatal_pending(t))
            break;
        sched_sleep();
    }
    sched_unprepare();
    flags = spin_lock_irq(&p->sig_lock);
    p->stop_count--;
    spin_unlock_irq(&p->sig_lock, flags);
}

bool signal_thread_gone(struct process *p)
{
    bool all =
        p->stopped && p->thread_count != 0 && p->stop_count == p->thread_count;

    if (all)
        p->stop_report = true;
    if (p->pending.set != 0)
        signal_rouse_all(p, NULL, false);
    return all;
}

static bool signal_may_stop(struct process *p, int signo)
{
    if (signo == LX_SIGSTOP)
        return true;
    mutex_lock(&proc_lock);
    bool orphaned = signal_pgrp_orphaned(p->pgid, NULL);
    mutex_unlock(&proc_lock);
    return !orphaned;
}

/* The default action of a stop signal; without locks. */
static void signal_stop(struct task *t, int signo)
{
    struct process *p = t->proc;

    if (!signal_may_stop(p, signo))
        return;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    /* A SIGCONT that came while we looked undoes it. */
    if (!p->group_exit &&
        ((p->pending.set | t->pending.set) & SIG_BIT(LX_SIGCONT)) == 0 &&
        !p->stopped) {
        p->stopped = true;
        p->stop_sig = signo;
        p->cont_report = false;
        signal_rouse_all(p, t, false);
    }
    spin_unlock_irq(&p->sig_lock, flags);
}

/* --- delivery --- */

static bool signal_use_altstack(const struct task *t,
                                const struct k_sigaction *sa)
{
    uint64_t sp = arch_regs_sp(arch_task_regs(t));
    const struct lx_stack *s = &t->altstack;

    if ((sa->flags & LX_SA_ONSTACK) == 0 || s->size == 0 ||
        (s->flags & LX_SS_DISABLE) != 0)
        return false;
    return (s->flags & LX_SS_AUTODISARM) != 0 || sp - s->sp > s->size ||
           sp == s->sp;
}

static void signal_handle(struct task *t, const struct k_sigaction *sa,
                          const struct lx_siginfo *si)
{
    struct process *p = t->proc;
    uint64_t old = t->restore_sigmask ? t->saved_sigmask : t->sigmask;

    signal_restart(t, sa);
    t->restore_sigmask = false;
    if (rseq_signal(t) < 0 ||
        arch_signal_frame(t, sa, si, old, signal_use_altstack(t, sa)) < 0) {
        /* No stack to run the handler on: as Linux, SIGSEGV; and if that was
         * the one, nothing can catch it. */
        unsigned long flags = spin_lock_irq(&p->sig_lock);
        if (si->signo == LX_SIGSEGV)
            p->sighand->action[LX_SIGSEGV - 1].handler = LX_SIG_DFL;
        spin_unlock_irq(&p->sig_lock, flags);
        signal_fault(LX_SIGSEGV, LX_SI_KERNEL, 0);
        return;
    }
    if ((t->altstack.flags & LX_SS_AUTODISARM) != 0)
        t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    uint64_t mask = t->sigmask | sa->mask;
    if ((sa->flags & LX_SA_NODEFER) == 0)
        mask |= SIG_BIT(si->signo);
    signal_set_mask(mask);
}

/* One round: what is there to do for this thread? False: nothing more.
 * Handlers were entered if *handled. */
static bool signal_deliver_one(struct task *t, bool *handled)
{
    struct process *p = t->proc;
    struct lx_siginfo si;
    unsigned long flags = spin_lock_irq(&p->sig_lock);

    t->work = t->rseq_event; /* a mark from here on is not lost */
    if (signal_fatal_pending(t)) {
        int32_t status = p->group_exit ? p->exit_status : 0;
        spin_unlock_irq(&p->sig_lock, flags);
        task_exit(status);
    }
    if (p->cont_notify) {
        p->cont_notify = false;
        spin_unlock_irq(&p->sig_lock, flags);
        signal_tell_parent(p, LX_CLD_CONTINUED, LX_SIGCONT);
        return true;
    }
    if (p->stopped) {
        signal_park(t, flags);
        return true;
    }
    int signo = signal_take_locked(t, ~t->sigmask, &si);
    if (signo == 0) {
        spin_unlock_irq(&p->sig_lock, flags);
        return false;
    }
    struct k_sigaction sa = p->sighand->action[signo - 1];
    if (sa.handler > LX_SIG_IGN && (sa.flags & LX_SA_RESETHAND) != 0)
        p->sighand->action[signo - 1].handler = LX_SIG_DFL;
    bool shielded = p->unkillable && (SIG_BIT(signo) & SIG_KERNEL_ONLY) == 0;
    spin_unlock_irq(&p->sig_lock, flags);

    if (sa.handler == LX_SIG_IGN)
        return true;
    if (sa.handler != LX_SIG_DFL) {
        signal_handle(t, &sa, &si);
        *handled = true;
        return true;
    }
    if ((SIG_BIT(signo) & SIG_DEFAULT_IGNORE) != 0 || shielded)
        return true;
    if ((SIG_BIT(signo) & SIG_DEFAULT_STOP) == 0)
        task_exit_group(signo);
    signal_stop(t, signo);
    return true;
}

void signal_deliver(void)
{
    struct task *t = current();
    bool handled = false;

    if (t->proc == NULL) {
        t->work = false;
        return;
    }
    if (t->set_tid != 0) {
        /* The child of fork writes its own copy; a bad address is its loss,
         * as in Linux. */
        (void)put_user_u32(uptr(t->set_tid), (uint32_t)t->tid);
        t->set_tid = 0;
    }
    if (__atomic_load_n(&t->rseq_event, __ATOMIC_ACQUIRE))
        rseq_resume(t);
    while (signal_deliver_one(t, &handled))
        continue;
    if (handled)
        return;
    signal_restart(t, NULL);
    if (t->restore_sigmask) {
        t->restore_sigmask = false;
        signal_set_mask(t->saved_sigmask);
    }
}

/* Handlers that are another process's too (CLONE_SIGHAND) stay with it. */
static struct sighand *signal_own_actions(struct process *p)
{
    struct sighand *old = p->sighand;

    if (__atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1)
        return NULL;
    struct sighand *own = kmalloc(sizeof(*own));
    if (own == NULL)
        return NULL; /* they lose their handlers: better than failing now */
    *own = *old;
    own->refs = 1;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    p->sighand = own;
    spin_unlock_irq(&p->sig_lock, flags);
    return old;
}

void signal_exec(struct task *t)
{
    struct process *p = t->proc;
    struct sighand *old = signal_own_actions(p);

    if (old != NULL && __atomic_sub_fetch(&old->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(old);
    ptimer_exit(p);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    for (unsigned i = 0; i < SIG_COUNT; i++) {
        struct k_sigaction *sa = &p->sighand->action[i];
        uint64_t keep = sa->handler == LX_SIG_IGN ? LX_SIG_IGN : LX_SIG_DFL;
        *sa = (struct k_sigaction){.handler = keep};
    }
    spin_unlock_irq(&p->sig_lock, flags);
    t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    /* Addresses in the old program. */
    t->set_tid = 0;
    t->clear_tid = 0;
    t->robust_list = 0;
    t->restart.fn = NULL;
    p->exit_signal = LX_SIGCHLD;
}
