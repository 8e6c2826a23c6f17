// SPDX-License-Identifier: Apache-2.0
/* System calls, exceptions and the way back to programs. ESR_EL1: D17.2.37. */
#include "guest/arch/aarch64/arm.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/sys/sys.h"

#define ESR_EC(esr)  ((unsigned)((esr) >> 26 & 0x3f))
#define ESR_WNR      (UINT64_C(1) << 6)
#define ESR_CM       (UINT64_C(1) << 8)  /* cache maintenance: a read */
#define ESR_FNV      (UINT64_C(1) << 10) /* FAR is not valid */
#define ESR_TFV      (UINT64_C(1) << 23)
#define ESR_FSC(esr) ((unsigned)((esr)&0x3f))

enum {
    EC_UNKNOWN = 0x00,
    EC_WFX = 0x01,
    EC_SVC64 = 0x15,
    EC_SYSREG = 0x18,
    EC_IABT_USER = 0x20,
    EC_PC_ALIGN = 0x22,
    EC_DABT_USER = 0x24,
    EC_DABT_KERNEL = 0x25,
    EC_SP_ALIGN = 0x26,
    EC_FP64 = 0x2c,
    EC_BRK64 = 0x3c,
};

enum { FSC_EXTERNAL = 0x10, FSC_ALIGN = 0x21 };

#define BUS_OBJERR 3
#define ILL_ILLOPC 1
#define FPE_FLTINV 7
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6
#define FPE_FLTUNK 14

struct extable {
    int32_t at, to; /* relative to themselves */
};
extern const struct extable extable_start[], extable_end[];

/* --- the way back to user mode --- */

void user_return_work(void)
{
    const struct task *t = arch_current();

    while (__builtin_expect(t->work || arch_this_cpu()->resched, 0)) {
        arch_irq_on();
        sched_user_return();
        arch_irq_off();
    }
    sched_leave_kernel();
}

/* --- exceptions of programs --- */

/* The top byte is the program's business (TCR_EL1.TBI0). */
static uint64_t untag(uint64_t addr)
{
    return addr >> 55 & 1 ? addr : addr & 0x00ffffffffffffff;
}

static void fault_note(struct task *t, uint64_t addr, uint64_t esr)
{
    t->arch.fault_addr = addr;
    t->arch.fault_esr = esr;
}

static void user_abort(uint64_t esr, uint64_t addr, bool exec)
{
    enum fault_access access = exec ? FAULT_EXEC
                               : (esr & ESR_WNR) && !(esr & ESR_CM)
                                   ? FAULT_WRITE
                                   : FAULT_READ;
    int signo = LX_SIGSEGV, code = LX_SEGV_MAPERR;

    if (ESR_FSC(esr) == FSC_ALIGN) {
        signo = LX_SIGBUS;
        code = LX_BUS_ADRALN;
    } else if (ESR_FSC(esr) == FSC_EXTERNAL) {
        signo = LX_SIGBUS;
        code = BUS_OBJERR;
    } else if (addr < USER_END &&
               aspace_fault(addr, access, &signo, &code) == 0) {
        return;
    }
    fault_note(arch_current(), addr, esr);
    signal_fault(signo, code, addr);
}

static int fp_code(uint64_t esr)
{
    if (!(esr & ESR_TFV))
        return FPE_FLTUNK;
    if (esr & 1)
        return FPE_FLTINV;
    if (esr & 2)
        return LX_FPE_FLTDIV;
    if (esr & 4)
        return FPE_FLTOVF;
    if (esr & 8)
        return FPE_FLTUND;
    return esr & 0x10 ? FPE_FLTRES : FPE_FLTUNK;
}

/* An instruction that EL0 may not execute, or nobody. */
static void user_undefined(struct arch_regs *r)
{
    uint32_t insn;

    if (copy_from_user(&insn, uptr(r->pc), sizeof(insn)) == 0 &&
        idreg_emulate(r, insn))
        return;
    fault_note(arch_current(), 0, 0);
    signal_fault(LX_SIGILL, ILL_ILLOPC, r->pc);
}

static void user_exception(struct arch_regs *r, uint64_t esr, uint64_t far)
{
    switch (ESR_EC(esr)) {
    case EC_IABT_USER: user_abort(esr, far, true); return;
    case EC_DABT_USER: user_abort(esr, far, false); return;
    case EC_WFX: r->pc += 4; return;
    case EC_UNKNOWN:
    case EC_SYSREG: user_undefined(r); return;
    default: break;
    }
    fault_note(arch_current(), 0, esr);
    switch (ESR_EC(esr)) {
    case EC_PC_ALIGN: signal_fault(LX_SIGBUS, LX_BUS_ADRALN, far); break;
    case EC_SP_ALIGN: signal_fault(LX_SIGBUS, LX_BUS_ADRALN, r->sp); break;
    case EC_FP64: signal_fault(LX_SIGFPE, fp_code(esr), r->pc); break;
    case EC_BRK64: signal_fault(LX_SIGTRAP, LX_TRAP_BRKPT, r->pc); break;
    default: signal_fault(LX_SIGILL, ILL_ILLOPC, r->pc); break;
    }
}

void trap_user_sync(struct arch_regs *r, uint64_t esr)
{
    sched_enter_kernel();
    if (ESR_EC(esr) == EC_SVC64) {
        r->nr = (int64_t)(uint32_t)r->x[8];
        arch_irq_on();
        r->x[0] = (uint64_t)sys_dispatch((uint64_t)r->nr, r->x);
    } else {
        uint64_t far = untag(ARM_READ("far_el1"));
        arch_irq_on();
        user_exception(r, esr, far);
    }
    arch_irq_off();
    user_return_work();
}

void trap_user_irq(struct arch_regs *r)
{
    (void)r;
    sched_enter_kernel();
    irq_serve();
    user_return_work();
}

/* An error of the memory system while a program ran: that program's end. */
void trap_user_other(struct arch_regs *r, uint64_t esr)
{
    sched_enter_kernel();
    arch_irq_on();
    fault_note(arch_current(), 0, esr);
    signal_fault(LX_SIGBUS, BUS_OBJERR, r->pc);
    arch_irq_off();
    user_return_work();
}

/* --- exceptions of the kernel --- */

static uint64_t fixup_find(uint64_t pc)
{
    for (const struct extable *e = extable_start; e < extable_end; e++)
        if ((uint64_t)&e->at + (uint64_t)(int64_t)e->at == pc)
            return (uint64_t)&e->to + (uint64_t)(int64_t)e->to;
    return 0;
}

void trap_fatal(const struct arch_regs *r, uint64_t esr)
{
    klog_set_sink(NULL); /* it takes locks that this CPU may hold */
    klog(KLOG_ERROR, "pc %016lx sp %016lx pstate %lx esr %lx far %016lx", r->pc,
         r->sp, r->pstate, esr, ARM_READ("far_el1"));
    for (unsigned i = 0; i < 28; i += 4)
        klog(KLOG_ERROR, "x%-2u %016lx %016lx %016lx %016lx", i, r->x[i],
             r->x[i + 1], r->x[i + 2], r->x[i + 3]);
    klog(KLOG_ERROR, "x28 %016lx %016lx %016lx", r->x[28], r->x[29], r->x[30]);
    panic("exception %#x at %016lx on CPU %u", ESR_EC(esr), r->pc,
          arch_this_cpu()->id);
}

static bool kernel_abort(struct arch_regs *r, uint64_t esr, uint64_t addr)
{
    uint64_t fixup = fixup_find(r->pc);
    const struct task *t = arch_current();
    int signo, code;

    if (!fixup)
        return false;
    /* Only copies outside of locks may sleep in here. */
    if (addr < USER_END && !(r->pstate & PSR_I) && t && t->proc &&
        ESR_FSC(esr) != FSC_ALIGN) {
        enum fault_access access = esr & ESR_WNR ? FAULT_WRITE : FAULT_READ;
        arch_irq_on();
        int ret = aspace_fault(addr, access, &signo, &code);
        arch_irq_off();
        if (ret == 0)
            return true;
    }
    r->pc = fixup;
    return true;
}

void trap_kernel_sync(struct arch_regs *r, uint64_t esr)
{
    uint64_t addr = ARM_READ("far_el1");

    if (ESR_EC(esr) == EC_DABT_KERNEL && !(esr & ESR_FNV) &&
        kernel_abort(r, esr, addr))
        return;
    trap_fatal(r, esr);
}
