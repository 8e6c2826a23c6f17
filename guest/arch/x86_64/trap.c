// SPDX-License-Identifier: Apache-2.0
/* System calls, exceptions and the way back to programs. */
#include "guest/arch/x86_64/x86.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/sys/sys.h"

#define PF_WRITE (1u << 1)
#define PF_EXEC  (1u << 4)

#define FPE_FLTINV 7
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6

enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_BP = 3,
    VEC_UD = 6,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_XM = 19,
    VEC_IRQ = 32,
};

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

/* Returns true if registers allow the short way out: SYSRET semantics, rip =
 * rcx and rflags = r11. rip is canonical: no program page ends at USER_END's
 * far side. */
bool syscall_serve(struct arch_regs *r)
{
    sched_enter_kernel();
    arch_irq_on();
    r->rax = (uint64_t)sys_dispatch((uint64_t)r->nr, &r->rdi);
    arch_irq_off();
    user_return_work();
    return r->rcx == r->rip && r->r11 == r->rflags && r->rip < USER_END &&
           !(r->rflags & (X86_TF | X86_RF));
}

/* --- exceptions of programs --- */

static int fp_code(unsigned vector)
{
    uint32_t mxcsr, status;
    uint16_t sw, cw;

    if (vector == VEC_XM) {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        status = mxcsr & ~(mxcsr >> 7);
    } else {
        __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(sw), "=m"(cw));
        status = sw & ~(uint32_t)cw;
    }
    if (status & 1)
        return FPE_FLTINV;
    if (status & 4)
        return LX_FPE_FLTDIV;
    if (status & 8)
        return FPE_FLTOVF;
    if (status & 0x12)
        return FPE_FLTUND;
    return status & 0x20 ? FPE_FLTRES : 0;
}

static void user_page_fault(const struct arch_regs *r, uint64_t addr)
{
    enum fault_access access = r->err & PF_EXEC    ? FAULT_EXEC
                               : r->err & PF_WRITE ? FAULT_WRITE
                                                   : FAULT_READ;
    int signo = LX_SIGSEGV, code = LX_SEGV_MAPERR;

    if (addr < USER_END && aspace_fault(addr, access, &signo, &code) == 0)
        return;
    struct task *t = arch_current();
    t->arch.trap = VEC_PF;
    t->arch.trap_err = r->err;
    t->arch.cr2 = addr;
    signal_fault(signo, code, addr);
}

static void user_exception(struct arch_regs *r, unsigned vector)
{
    struct task *t = arch_current();

    t->arch.trap = vector;
    t->arch.trap_err = r->err;
    switch (vector) {
    case VEC_DE: signal_fault(LX_SIGFPE, LX_FPE_INTDIV, r->rip); break;
    case VEC_DB: signal_fault(LX_SIGTRAP, LX_TRAP_TRACE, r->rip); break;
    case VEC_BP: signal_fault(LX_SIGTRAP, LX_SI_KERNEL, 0); break;
    case VEC_UD: signal_fault(LX_SIGILL, LX_ILL_ILLOPN, r->rip); break;
    case VEC_NP:
    case VEC_SS: signal_fault(LX_SIGBUS, LX_SI_KERNEL, 0); break;
    case VEC_MF:
    case VEC_XM: signal_fault(LX_SIGFPE, fp_code(vector), r->rip); break;
    case VEC_AC: signal_fault(LX_SIGBUS, LX_BUS_ADRALN, 0); break;
    default: signal_fault(LX_SIGSEGV, LX_SI_KERNEL, 0); break;
    }
}

static uint64_t fault_address(void)
{
    uint64_t v;

    if (!arch_ring0)
        return arch_vif()->cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

/* SMAP: an entry from the middle of a user copy leaves AC set. */
static void close_user(void)
{
    if (arch_smap)
        __asm__ volatile("clac" ::: "memory");
}

void trap_user(struct arch_regs *r)
{
    unsigned vector = (unsigned)~r->nr;

    sched_enter_kernel();
    if (vector >= VEC_IRQ) {
        irq_serve(vector);
    } else {
        uint64_t addr = vector == VEC_PF ? fault_address() : 0;
        arch_irq_on();
        if (vector == VEC_PF)
            user_page_fault(r, addr);
        else
            user_exception(r, vector);
        arch_irq_off();
    }
    user_return_work();
}

/* --- exceptions of the kernel --- */

static uint64_t fixup_find(uint64_t rip)
{
    for (const struct extable *e = extable_start; e < extable_end; e++)
        if ((uint64_t)&e->at + (uint64_t)(int64_t)e->at == rip)
            return (uint64_t)&e->to + (uint64_t)(int64_t)e->to;
    return 0;
}

static _Noreturn void trap_panic(const struct arch_regs *r, uint64_t addr)
{
    klog_set_sink(NULL); /* it takes locks that this CPU may hold */
    klog(KLOG_ERROR, "rip %016lx rsp %016lx rflags %lx err %lx cr2 %016lx",
         r->rip, r->rsp, r->rflags, r->err, addr);
    klog(KLOG_ERROR, "rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax,
         r->rbx, r->rcx, r->rdx);
    klog(KLOG_ERROR, "rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r->rsi,
         r->rdi, r->rbp, r->r8);
    klog(KLOG_ERROR, "r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r->r9,
         r->r10, r->r11, r->r12);
    klog(KLOG_ERROR, "r13 %016lx r14 %016lx r15 %016lx", r->r13, r->r14,
         r->r15);
    panic("exception %u at %016lx on CPU %u", (unsigned)~r->nr, r->rip,
          arch_this_cpu()->id);
}

static bool kernel_page_fault(struct arch_regs *r, uint64_t addr)
{
    uint64_t fixup = fixup_find(r->rip);
    const struct task *t = arch_current();
    int signo, code;

    if (!fixup)
        return false;
    /* Only copies outside of locks may sleep in here. */
    if (addr < USER_END && (r->rflags & X86_IF) && t && t->proc) {
        enum fault_access access = r->err & PF_WRITE ? FAULT_WRITE : FAULT_READ;
        arch_irq_on();
        int ret = aspace_fault(addr, access, &signo, &code);
        arch_irq_off();
        if (ret == 0)
            return true;
    }
    r->rip = fixup;
    return true;
}

static void kernel_exception(struct arch_regs *r, unsigned vector)
{
    uint64_t addr = vector == VEC_PF ? fault_address() : 0;
    uint64_t fixup;

    switch (vector) {
    case VEC_PF:
        if (kernel_page_fault(r, addr))
            return;
        break;
    case VEC_GP: /* a non-canonical user address */
        fixup = fixup_find(r->rip);
        if (fixup) {
            r->rip = fixup;
            return;
        }
        break;
    case VEC_DB: /* a program's TF came in with SYSCALL */
        r->rflags &= ~(uint64_t)X86_TF;
        return;
    default: break;
    }
    trap_panic(r, addr);
}

/* PVM: the iretq that follows does not know the virtual flag, so set it here.
 * What is pending then comes on top of this frame, and what has become pending
 * meanwhile must not come on top of that one, and so on until the stack is
 * full: an interrupt taken in the window returns with interrupts off, to here,
 * and it is this loop that lets the next one in. */
static void kernel_irq_on(const struct arch_regs *r)
{
    struct pvm_vif *v = arch_vif();

    if (r->rip >= (uint64_t)pvm_irq_window_start &&
        r->rip <= (uint64_t)pvm_irq_window_end)
        return;
    do
        pvm_irq_window(v, BOOT_KERNEL_X86);
    while (!__atomic_load_n(&v->if_, __ATOMIC_RELAXED));
}

void trap_kernel(struct arch_regs *r)
{
    unsigned vector = (unsigned)~r->nr;

    close_user();
    if (vector >= VEC_IRQ) {
        /* About to halt, and what it would wait for may be this. */
        if (r->rip == (uint64_t)pvm_halt_int)
            r->rip += 2;
        else if (r->rip == (uint64_t)ring0_halt_insn)
            r->rip += 1;
        irq_serve(vector);
    } else {
        kernel_exception(r, vector);
    }
    if (!arch_ring0 && (r->rflags & X86_IF))
        kernel_irq_on(r);
}

void trap_fatal(struct arch_regs *r)
{
    trap_panic(r, arch_ring0 ? fault_address() : 0);
}
