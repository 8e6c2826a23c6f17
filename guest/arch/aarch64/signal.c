// SPDX-License-Identifier: Apache-2.0
/* Signal frames: abi/linux/aarch64/signal.h on the program's stack. */
#include "guest/core/signal.h"

#include "abi/linux/aarch64/signal.h"
#include "abi/linux/errno.h"

#include "guest/arch/aarch64/arm.h"
#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"

#define FRAME_INFO  offsetof(struct lx_rt_sigframe, info)
#define FRAME_UC    offsetof(struct lx_rt_sigframe, uc)
#define FRAME_REGS  (FRAME_UC + offsetof(struct lx_ucontext, mcontext))
#define FRAME_MORE  (FRAME_REGS + offsetof(struct lx_sigcontext, reserved))
#define RECORDS_MAX 4096

/* vdso.ld: where handlers without a restorer return to, in the image. */
#define VDSO_SIGRETURN 0x800

uint64_t arch_min_sigstack(void)
{
    return sizeof(struct lx_rt_sigframe) + sizeof(struct lx_arm_frame_record) +
           16;
}

static bool on_stack(const struct lx_stack *s, uint64_t sp)
{
    return sp > s->sp && sp - s->sp <= s->size;
}

/* Where the frame goes; 0: it would run over the alternate stack's end. The
 * frame record is above it. */
static uint64_t frame_place(const struct task *t, bool on_altstack,
                            uint64_t *record)
{
    uint64_t sp = arch_task_regs(t)->sp;
    bool was_on = on_stack(&t->altstack, sp);

    if (on_altstack && !was_on)
        sp = t->altstack.sp + t->altstack.size;
    *record = ROUND_DOWN(sp - sizeof(struct lx_arm_frame_record), UINT64_C(16));
    sp = *record - sizeof(struct lx_rt_sigframe);
    if (t->altstack.size && (on_altstack || was_on) &&
        !on_stack(&t->altstack, sp))
        return 0;
    return sp;
}

static int put_regs(const struct task *t, uint64_t at)
{
    const struct arch_regs *r = arch_task_regs(t);
    struct lx_arm_regs m = {.fault_address = t->arch.fault_addr,
                            .sp = r->sp,
                            .pc = r->pc,
                            .pstate = r->pstate};

    memcpy(m.x, r->x, sizeof(m.x));
    return copy_to_user(uptr(at), &m, sizeof(m));
}

/* FP registers, the cause of a fault if there was one, the end. */
static int put_records(struct task *t, uint64_t at)
{
    struct {
        struct lx_arm_esr esr;
        struct lx_arm_record end;
    } tail = {.esr = {{LX_ARM_ESR, sizeof(tail.esr)}, t->arch.fault_esr}};
    size_t skip = t->arch.fault_esr ? 0 : sizeof(tail.esr);

    fp_sync(t);
    const uint32_t head[4] = {LX_ARM_FPSIMD, sizeof(struct lx_arm_fpsimd),
                              t->arch.fp.fpsr, t->arch.fp.fpcr};
    if (copy_to_user(uptr(at), head, sizeof(head)) < 0 ||
        copy_to_user(uptr(at + sizeof(head)), t->arch.fp.v,
                     sizeof(t->arch.fp.v)) < 0)
        return -EFAULT;
    return copy_to_user(uptr(at + sizeof(struct lx_arm_fpsimd)),
                        (const char *)&tail + skip, sizeof(tail) - skip);
}

int arch_signal_frame(struct task *t, const struct k_sigaction *sa,
                      const struct lx_siginfo *si, uint64_t mask,
                      bool on_altstack)
{
    struct arch_regs *r = arch_task_regs(t);
    struct lx_uc_head head = {.stack = t->altstack, .sigmask = mask};
    struct lx_arm_frame_record back = {r->x[29], r->x[30]};
    uint64_t record;
    uint64_t sp = frame_place(t, on_altstack, &record);

    if (!sp || sp >= USER_END ||
        copy_to_user(uptr(record), &back, sizeof(back)) < 0 ||
        copy_to_user(uptr(sp + FRAME_INFO), si, sizeof(*si)) < 0 ||
        copy_to_user(uptr(sp + FRAME_UC), &head, sizeof(head)) < 0 ||
        put_regs(t, sp + FRAME_REGS) < 0 || put_records(t, sp + FRAME_MORE) < 0)
        return -EFAULT;

    if (t->altstack.flags & LX_SS_AUTODISARM)
        t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    r->x[0] = (uint64_t)si->signo;
    r->x[1] = sp + FRAME_INFO;
    r->x[2] = sp + FRAME_UC;
    r->x[29] = record;
    r->x[30] = sa->flags & LX_SA_RESTORER
                   ? sa->restorer
                   : t->proc->aspace->vdso + VDSO_SIGRETURN;
    r->sp = sp;
    r->pc = sa->handler;
    r->nr = -1;
    return 0;
}

/* Records up to the end; the FP registers must be among them. */
static int get_records(struct task *t, uint64_t at)
{
    bool found = false;

    for (uint64_t off = 0; off <= RECORDS_MAX - sizeof(struct lx_arm_record);) {
        struct lx_arm_record rec;
        uint32_t status[2];
        uint64_t here = at + off;

        if (copy_from_user(&rec, uptr(here), sizeof(rec)) < 0)
            return -EFAULT;
        if (rec.magic == 0 && rec.size == 0)
            break;
        if (rec.size < sizeof(rec) || rec.size % 16 ||
            rec.size > RECORDS_MAX - off)
            return -EFAULT;
        off += rec.size;
        if (rec.magic == LX_ARM_ESR)
            continue;
        if (rec.magic != LX_ARM_FPSIMD || found ||
            rec.size != sizeof(struct lx_arm_fpsimd) ||
            copy_from_user(status, uptr(here + sizeof(rec)), sizeof(status)) <
                0 ||
            copy_from_user(t->arch.fp.v, uptr(here + 16),
                           sizeof(t->arch.fp.v)) < 0)
            return -EFAULT;
        t->arch.fp.fpsr = status[0];
        t->arch.fp.fpcr = status[1];
        found = true;
    }
    return found ? 0 : -EFAULT;
}

int arch_signal_return(struct task *t, uint64_t *mask)
{
    struct arch_regs *r = arch_task_regs(t);
    struct lx_arm_regs m;
    struct lx_uc_head head;
    uint64_t sp = r->sp;

    if (sp % 16 ||
        copy_from_user(&head, uptr(sp + FRAME_UC), sizeof(head)) < 0 ||
        copy_from_user(&m, uptr(sp + FRAME_REGS), sizeof(m)) < 0)
        return -EFAULT;
    if (m.pstate & ~(uint64_t)PSR_NZCV & (PSR_EL1_MASKED | 0x1f))
        return -EFAULT;
    fp_sync(t); /* should the frame turn out bad half-way */
    if (get_records(t, sp + FRAME_MORE) < 0)
        return -EFAULT;
    fp_reload(t);
    memcpy(r->x, m.x, sizeof(r->x));
    r->sp = m.sp;
    r->pc = m.pc;
    r->pstate = m.pstate & PSR_NZCV;
    r->nr = -1;
    *mask = head.sigmask;
    /* sigaltstack(2), silently: only what it would have accepted. */
    if (head.stack.flags & LX_SS_DISABLE)
        t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    else if (head.stack.size >= ARCH_SIGSTACK_MIN &&
             !on_stack(&t->altstack, r->sp))
        t->altstack = head.stack;
    return 0;
}
