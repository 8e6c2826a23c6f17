// SPDX-License-Identifier: Apache-2.0
/*
 * Restartable sequences. A switch only marks the task; its memory is looked at
 * on its own way back to the program, where a fault may sleep.
 */
#include "guest/core/rseq.h"

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"

#define RSEQ_NO_CPU UINT32_MAX /* cpu_id of a thread that has none */

static int rseq_check(const struct task *t, uint64_t at, uint32_t size,
                      uint32_t sig)
{
    if (t->rseq != at || size != t->rseq_size)
        return -EINVAL;
    return sig != t->rseq_sig ? -EPERM : 0;
}

int rseq_register(uint64_t at, uint32_t size, uint32_t sig)
{
    struct task *t = current();

    if (t->rseq != 0) {
        int r = rseq_check(t, at, size, sig);
        return r == 0 ? -EBUSY : r;
    }
    if (size < LX_RSEQ_SIZE || (at & (LX_RSEQ_SIZE - 1)) != 0)
        return -EINVAL;
    if (at == 0 || at >= USER_END || size > USER_END - at)
        return -EFAULT;
    if (put_user_u64(uptr(at + offsetof(struct lx_rseq, cs)), 0) < 0)
        return -EFAULT;
    t->rseq = at;
    t->rseq_size = size;
    t->rseq_sig = sig;
    t->rseq_cpu = RSEQ_NO_CPU;
    t->rseq_event = true;
    t->work = true;
    return 0;
}

static int rseq_put_cpu(struct task *t, uint32_t start, uint32_t cpu)
{
    const uint32_t first[2] = {start, cpu};
    const uint32_t more[2] = {0, start}; /* node, concurrency id */
    uint64_t at = t->rseq;

    if (copy_to_user(uptr(at), first, sizeof(first)) < 0 ||
        copy_to_user(uptr(at + offsetof(struct lx_rseq, node_id)), more,
                     sizeof(more)) < 0)
        return -EFAULT;
    t->rseq_cpu = cpu;
    return 0;
}

int rseq_unregister(uint64_t at, uint32_t size, uint32_t sig)
{
    struct task *t = current();
    int r = t->rseq == 0 ? -EINVAL : rseq_check(t, at, size, sig);

    if (r < 0)
        return r;
    if (rseq_put_cpu(t, 0, RSEQ_NO_CPU) < 0)
        return -EFAULT;
    t->rseq = 0;
    return 0;
}

void rseq_switched(struct task *t, uint32_t cpu)
{
    /* In a system call there is no sequence: the CPU's number may do. */
    if (t->rseq == 0 ||
        (cpu == t->rseq_cpu && arch_regs_syscall(arch_task_regs(t)) >= 0))
        return;
    __atomic_store_n(&t->rseq_event, true, __ATOMIC_RELAXED);
    __atomic_store_n(&t->work, true, __ATOMIC_RELEASE);
}

/* The program is in a sequence: on to its abort address. -EFAULT also where
 * Linux sends SIGSEGV for a description that is wrong. */
static int rseq_fix(struct task *t)
{
    struct arch_regs *regs = arch_task_regs(t);
    uint64_t ip = arch_regs_ip(regs);
    const uptr_t at = uptr(t->rseq + offsetof(struct lx_rseq, cs));
    struct lx_rseq_cs cs;
    uint64_t cs_at;
    uint32_t sig;

    if (get_user_u64(&cs_at, at) < 0)
        return -EFAULT;
    if (cs_at == 0)
        return 0;
    if (cs_at >= USER_END || copy_from_user(&cs, uptr(cs_at), sizeof(cs)) < 0)
        return -EFAULT;
    if (cs.start >= USER_END || cs.size > USER_END - cs.start ||
        cs.abort >= USER_END || cs.abort < sizeof(sig) || cs.version != 0 ||
        cs.abort - cs.start < cs.size)
        return -EFAULT;
    if (copy_from_user(&sig, uptr(cs.abort - sizeof(sig)), sizeof(sig)) < 0 ||
        sig != t->rseq_sig)
        return -EFAULT;
    bool inside = ip - cs.start < cs.size;
    if ((inside && cs.flags != 0) || put_user_u64(at, 0) < 0)
        return -EFAULT;
    if (inside)
        arch_regs_set_ip(regs, cs.abort);
    return 0;
}

void rseq_resume(struct task *t)
{
    __atomic_store_n(&t->rseq_event, false, __ATOMIC_SEQ_CST);
    if (t->rseq == 0)
        return;
    /* From here on a switch sets the mark again. */
    uint32_t cpu = arch_this_cpu()->id;
    if (rseq_fix(t) < 0 ||
        (cpu != t->rseq_cpu && rseq_put_cpu(t, cpu, cpu) < 0))
        signal_fault(LX_SIGSEGV, LX_SI_KERNEL, 0);
}

int rseq_signal(struct task *t)
{
    return t->rseq != 0 ? rseq_fix(t) : 0;
}

void rseq_restart_all(struct process *p)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);

    LIST_FOR(it, &p->threads)
    {
        struct task *t = LIST_ENTRY(it, struct task, thread_node);
        if (t->rseq == 0 || t == current())
            continue;
        __atomic_store_n(&t->rseq_event, true, __ATOMIC_RELAXED);
        __atomic_store_n(&t->work, true, __ATOMIC_RELEASE);
        sched_notice(t);
    }
    spin_unlock_irq(&p->sig_lock, flags);
}
