// SPDX-License-Identifier: Apache-2.0
/* Signal frames: abi/linux/x86_64/signal.h on the program's stack. */
#include "guest/core/signal.h"

#include "abi/linux/errno.h"
#include "abi/linux/x86_64/signal.h"

#include "guest/arch/x86_64/x86.h"
#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"

#define RED_ZONE  128
#define FP_ALIGN  64
#define FP_HEADER 64 /* XSAVE header after the legacy part */

/* Flags a program may choose: CF PF AF ZF SF TF DF OF RF AC. */
#define FLAGS_USER                                                             \
    (UINT64_C(0xcd5) | UINT64_C(0x100) | UINT64_C(X86_RF) | UINT64_C(X86_AC))

static size_t fp_frame_size(void)
{
    return fpu_features() ? fpu_size() + sizeof(uint32_t) : LX_FP_LEGACY;
}

uint64_t arch_min_sigstack(void)
{
    return ROUND_UP(sizeof(struct lx_rt_sigframe) + fp_frame_size() + FP_ALIGN +
                        16,
                    UINT64_C(16));
}

static bool on_stack(const struct lx_stack *s, uint64_t sp)
{
    return sp > s->sp && sp - s->sp <= s->size;
}

/* The registers' FP state to `at`, with what Linux writes around it. */
static int fp_put(struct task *t, uint64_t at)
{
    char *area = t->arch.fp;
    struct lx_fp_sw sw = {0};

    unsigned long flags = arch_irq_save();
    fpu_save(area);
    arch_irq_restore(flags);
    if (fpu_features()) {
        sw.magic1 = LX_FP_MAGIC1;
        sw.features = fpu_features();
        sw.xstate_size = (uint32_t)fpu_size();
        sw.extended_size = sw.xstate_size + (uint32_t)sizeof(uint32_t);
        /* So that a handler may change x87 and SSE registers in the frame
         * even where they were in their initial state. */
        *(uint64_t *)(void *)(area + LX_FP_LEGACY) |= 3;
    }
    memcpy(area + LX_FP_SW, &sw, sizeof(sw)); /* software's bytes */
    if (copy_to_user(uptr(at), area, fpu_size()) < 0)
        return -EFAULT;
    return fpu_features() ? put_user_u32(uptr(at + fpu_size()), LX_FP_MAGIC2)
                          : 0;
}

static void regs_to_context(struct lx_sigcontext *m, const struct arch_regs *r,
                            const struct task *t)
{
    *m = (struct lx_sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rdi = r->rdi,
        .rsi = r->rsi,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .rdx = r->rdx,
        .rax = r->rax,
        .rcx = r->rcx,
        .rsp = r->rsp,
        .rip = r->rip,
        .rflags = r->rflags,
        .cs = X86_CS_USER,
        .ss = X86_SS_USER,
        .err = t->arch.trap_err,
        .trapno = t->arch.trap,
        .cr2 = t->arch.cr2,
    };
}

/* Where the frame goes; 0: it would run over the alternate stack's end. */
static uint64_t frame_place(const struct task *t, bool on_altstack,
                            uint64_t *fp)
{
    uint64_t sp = arch_task_regs(t)->rsp;
    bool was_on = on_stack(&t->altstack, sp);

    if (on_altstack && !was_on)
        sp = t->altstack.sp + t->altstack.size;
    else
        sp -= RED_ZONE;
    *fp = ROUND_DOWN(sp - fp_frame_size(), (uint64_t)FP_ALIGN);
    /* As after a call: rsp + 8 is a multiple of 16. */
    sp = ROUND_DOWN(*fp - sizeof(struct lx_rt_sigframe), UINT64_C(16)) - 8;
    if (t->altstack.size && (on_altstack || was_on) &&
        !on_stack(&t->altstack, sp))
        return 0;
    return sp;
}

int arch_signal_frame(struct task *t, const struct k_sigaction *sa,
                      const struct lx_siginfo *si, uint64_t mask,
                      bool on_altstack)
{
    struct arch_regs *r = arch_task_regs(t);
    struct lx_rt_sigframe f;
    uint64_t fp;
    uint64_t sp = frame_place(t, on_altstack, &fp);

    if (!sp || sp >= USER_END || !(sa->flags & LX_SA_RESTORER))
        return -EFAULT;
    memset(&f, 0, sizeof(f));
    f.restorer = sa->restorer;
    f.uc.flags = (fpu_features() ? LX_UC_FP_XSTATE : 0) | LX_UC_SIGCONTEXT_SS |
                 LX_UC_STRICT_RESTORE_SS;
    f.uc.stack = t->altstack;
    f.uc.sigmask = mask;
    f.info = *si;
    regs_to_context(&f.uc.mcontext, r, t);
    f.uc.mcontext.oldmask = mask;
    f.uc.mcontext.fpstate = fp;
    if (fp_put(t, fp) < 0 || copy_to_user(uptr(sp), &f, sizeof(f)) < 0)
        return -EFAULT;

    if (t->altstack.flags & LX_SS_AUTODISARM)
        t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    r->rdi = (uint64_t)si->signo;
    r->rsi = sp + offsetof(struct lx_rt_sigframe, info);
    r->rdx = sp + offsetof(struct lx_rt_sigframe, uc);
    r->rax = 0;
    r->rsp = sp;
    /* A handler at no possible address faults there, in user mode. */
    r->rip = sa->handler < USER_END ? sa->handler : 0;
    r->rflags &= ~(uint64_t)(X86_DF | X86_RF | X86_TF);
    r->rcx = 0; /* not the fast way back */
    r->nr = -1;
    return 0;
}

/* FP state from the frame at `at` to the registers. The area is checked so
 * that no content of it can make XRSTOR fault. */
static int fp_get(struct task *t, uint64_t at)
{
    char *area = t->arch.fp;
    struct lx_fp_sw sw;
    uint32_t magic2 = 0;
    uint64_t header[FP_HEADER / sizeof(uint64_t)] = {3};

    if (!at) {
        fpu_reset(t);
        return 0;
    }
    if (at % 16 || copy_from_user(area, uptr(at), LX_FP_LEGACY) < 0)
        return -EFAULT;
    memcpy(&sw, area + LX_FP_SW, sizeof(sw));
    bool full =
        fpu_features() && sw.magic1 == LX_FP_MAGIC1 &&
        sw.xstate_size == fpu_size() &&
        copy_from_user(&magic2, uptr(at + fpu_size()), sizeof(magic2)) == 0 &&
        magic2 == LX_FP_MAGIC2;
    if (full) {
        if (copy_from_user(area + LX_FP_LEGACY, uptr(at + LX_FP_LEGACY),
                           fpu_size() - LX_FP_LEGACY) < 0)
            return -EFAULT;
        memcpy(header, area + LX_FP_LEGACY, sizeof(header[0]));
        header[0] &= fpu_features() & sw.features;
    }
    if (fpu_features())
        memcpy(area + LX_FP_LEGACY, header, sizeof(header));
    *(uint32_t *)(void *)(area + 24) &= 0xffff; /* MXCSR */
    fpu_reload(t);
    return 0;
}

static void context_to_regs(struct arch_regs *r, const struct lx_sigcontext *m)
{
    uint64_t flags = m->rflags & FLAGS_USER;

    *r = (struct arch_regs){
        .r8 = m->r8,
        .r9 = m->r9,
        .r10 = m->r10,
        .r11 = m->r11,
        .r12 = m->r12,
        .r13 = m->r13,
        .r14 = m->r14,
        .r15 = m->r15,
        .rdi = m->rdi,
        .rsi = m->rsi,
        .rbp = m->rbp,
        .rbx = m->rbx,
        .rdx = m->rdx,
        .rax = m->rax,
        .rcx = m->rcx,
        .nr = -1,
        .rip = m->rip < USER_END ? m->rip : 0,
        .cs = X86_CS_USER,
        .rflags = (r->rflags & ~FLAGS_USER) | flags | X86_IF | 2,
        .rsp = m->rsp,
        .ss = X86_SS_USER,
    };
}

int arch_signal_return(struct task *t, uint64_t *mask)
{
    struct arch_regs *r = arch_task_regs(t);
    struct lx_ucontext uc;
    uint64_t at = r->rsp - 8 + offsetof(struct lx_rt_sigframe, uc);

    if (copy_from_user(&uc, uptr(at), sizeof(uc)) < 0 ||
        fp_get(t, uc.mcontext.fpstate) < 0)
        return -EFAULT;
    context_to_regs(r, &uc.mcontext);
    *mask = uc.sigmask;
    /* sigaltstack(2), silently: only what it would have accepted. */
    if (uc.stack.flags & LX_SS_DISABLE)
        t->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    else if (uc.stack.size >= 2048 && !on_stack(&t->altstack, r->rsp))
        t->altstack = uc.stack;
    return 0;
}
