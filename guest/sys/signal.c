// SPDX-License-Identifier: Apache-2.0
/* rt_sig* calls, sigaltstack. */
#include "guest/core/signal.h"

#include "guest/arch/arch.h"
#include "guest/core/signal_impl.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/timespec.h"

#define SIGSET_SIZE sizeof(uint64_t)

/* Others read back as 0: that is how programs ask what there is. 0x800 is
 * SA_EXPOSE_TAGBITS. */
#define SA_KNOWN                                                               \
    (LX_SA_NOCLDSTOP | LX_SA_NOCLDWAIT | LX_SA_SIGINFO | LX_SA_RESTORER |      \
     LX_SA_ONSTACK | LX_SA_RESTART | LX_SA_NODEFER | LX_SA_RESETHAND | 0x800)

int64_t sys_rt_sigaction(const uint64_t *a)
{
    struct process *p = current()->proc;
    struct k_sigaction sa, old;
    int signo = (int)a[0];

    if (a[3] != SIGSET_SIZE)
        return -EINVAL;
    if (a[1] != 0 && copy_from_user(&sa, uptr(a[1]), sizeof(sa)) < 0)
        return -EFAULT;
    if (signo < 1 || signo > SIG_COUNT ||
        (a[1] != 0 && (SIG_BIT(signo) & SIG_KERNEL_ONLY) != 0))
        return -EINVAL;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    old = p->sighand->action[signo - 1];
    if (a[1] != 0) {
        sa.mask &= ~SIG_KERNEL_ONLY;
        sa.flags &= SA_KNOWN;
        p->sighand->action[signo - 1] = sa;
        signal_action_set(p, signo);
    }
    spin_unlock_irq(&p->sig_lock, flags);
    if (a[2] != 0 && copy_to_user(uptr(a[2]), &old, sizeof(old)) < 0)
        return -EFAULT;
    return 0;
}

int64_t sys_rt_sigprocmask(const uint64_t *a)
{
    uint64_t old = current()->sigmask;
    uint64_t set;

    if (a[3] != SIGSET_SIZE)
        return -EINVAL;
    if (a[1] != 0) {
        if (get_user_u64(&set, uptr(a[1])) < 0)
            return -EFAULT;
        switch ((int)a[0]) {
        case 0: signal_set_mask(old | set); break;
        case 1: signal_set_mask(old & ~set); break;
        case 2: signal_set_mask(set); break;
        default: return -EINVAL;
        }
    }
    return a[2] != 0 ? put_user_u64(uptr(a[2]), old) : 0;
}

int64_t sys_rt_sigpending(const uint64_t *a)
{
    struct task *t = current();
    uint64_t set = (t->pending.set | t->proc->pending.set) & t->sigmask;

    if (a[1] > SIGSET_SIZE)
        return -EINVAL;
    return copy_to_user(uptr(a[0]), &set, a[1]);
}

int64_t sys_rt_sigsuspend(const uint64_t *a)
{
    struct waitq q;
    uint64_t set;
    int r;

    if (a[1] != SIGSET_SIZE)
        return -EINVAL;
    if (get_user_u64(&set, uptr(a[0])) < 0)
        return -EFAULT;
    signal_set_mask_temp(set);
    waitq_init(&q);
    WAIT_FOR(r, &q, false, WAIT_SIGNALS, NSEC_NEVER);
    (void)r;
    return -ERESTARTNOHAND;
}

/* While it waits the thread does not block `set`, so that signals for the
 * process wake it; they are taken here before they can be delivered. */
int64_t sys_rt_sigtimedwait(const uint64_t *a)
{
    struct task *t = current();
    struct lx_siginfo si;
    struct lx_timespec ts;
    nsec_t deadline = NSEC_NEVER;
    uint64_t set;
    int signo = 0;
    int r;

    if (a[3] != SIGSET_SIZE)
        return -EINVAL;
    if (get_user_u64(&set, uptr(a[0])) < 0)
        return -EFAULT;
    if (a[2] != 0) {
        nsec_t ns;
        if (copy_from_user(&ts, uptr(a[2]), sizeof(ts)) < 0)
            return -EFAULT;
        if (timespec_to_nsec(&ts, &ns) < 0)
            return -EINVAL;
        deadline = timespec_after(clock_now(), ns);
    }
    set &= ~SIG_KERNEL_ONLY;
    WAIT_FOR(r, &t->proc->sigwait, (signo = signal_dequeue(t, set, &si)) != 0,
             WAIT_SIGNALS, deadline);
    if (signo == 0)
        return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    if (a[1] != 0 && copy_to_user(uptr(a[1]), &si, sizeof(si)) < 0)
        return -EFAULT;
    return signo;
}

int64_t sys_rt_sigreturn(const uint64_t *a)
{
    struct task *t = current();
    uint64_t mask;

    (void)a;
    if (arch_signal_return(t, &mask) < 0) {
        signal_fault(LX_SIGSEGV, LX_SI_KERNEL, 0);
        return 0;
    }
    signal_set_mask(mask);
    return arch_regs_result(arch_task_regs(t));
}

int64_t sys_sigaltstack(const uint64_t *a)
{
    struct task *t = current();
    uint64_t sp = arch_regs_sp(arch_task_regs(t));
    bool on = (t->altstack.flags & (LX_SS_DISABLE | LX_SS_AUTODISARM)) == 0 &&
              sp - t->altstack.sp <= t->altstack.size && sp != t->altstack.sp;
    struct lx_stack old = t->altstack;
    struct lx_stack s;

    if (on)
        old.flags |= LX_SS_ONSTACK;
    if (a[0] != 0) {
        if (copy_from_user(&s, uptr(a[0]), sizeof(s)) < 0)
            return -EFAULT;
        int32_t mode = s.flags & ~LX_SS_AUTODISARM;
        if (on)
            return -EPERM;
        if (mode != LX_SS_DISABLE && mode != LX_SS_ONSTACK && mode != 0)
            return -EINVAL;
        if (mode == LX_SS_DISABLE)
            s = (struct lx_stack){.flags = s.flags};
        else if (s.size < ARCH_SIGSTACK_MIN)
            return -ENOMEM;
        else
            s.flags &= ~LX_SS_ONSTACK;
        s.pad0 = 0;
        t->altstack = s;
    }
    if (a[1] != 0 && copy_to_user(uptr(a[1]), &old, sizeof(old)) < 0)
        return -EFAULT;
    return 0;
}
