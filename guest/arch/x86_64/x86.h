// SPDX-License-Identifier: Apache-2.0
/* Private to guest/arch/x86_64: platform table, registers, features. */
#pragma once

#include "abi/boot.h"

#include "guest/arch/arch.h"
#include "guest/arch/x86_64/asm.h"

/*
 * What differs between platforms; chosen once in arch_start. Called with
 * interrupts off except where noted.
 */
struct platform_ops {
    void (*cpu_init)(struct cpu *c); /* own interrupt controller and timer */
    void (*msr_write)(uint32_t msr, uint64_t value);
    void (*root_load)(paddr_t root); /* and forget its translations */
    void (*flush)(struct arch_aspace *as, uint64_t start, uint64_t end);
    void (*timer_set)(uint64_t tsc); /* interrupt at `tsc`; 0: none */
    void (*eoi)(void);
    void (*ipi)(uint32_t cpu, uint8_t vector);
    int (*line_enable)(uint32_t line);            /* any context */
    void (*halt)(void);                           /* see arch_halt */
    void (*log)(const char *text, unsigned size); /* any context */
    void (*poweroff)(void);                       /* any context */
};
extern const struct platform_ops platform_pvm, platform_kvm, platform_qemu;
extern const struct platform_ops *platform;
extern uint32_t irq_line_bias; /* vector - line: 0, QEMU VEC_DEVICE */

extern uint8_t arch_ring0; /* not PVM; entry.S */
extern uint8_t arch_smap;  /* usercopy.S */
extern uint64_t arch_entry_tsc;
extern uint64_t x86_tsc_hz;

/* GDT, TSS and exception stacks of a CPU. */
void tables_init(struct cpu *c);
void tables_set_stack(struct cpu *c, uint64_t sp); /* for entry from user */
/* 64-bit C entry from start.S. */
_Noreturn void arch_start(struct boot_info *bi, uint32_t index);
void features_init(struct cpu *c);

/* FP and vector state (fpu.c); while kernel code runs the registers belong to
 * the current task's program, if it has one (task.arch.fp). */
void fpu_init(struct cpu *c);
size_t fpu_size(void);       /* bytes of an XSAVE area, standard format */
uint64_t fpu_features(void); /* XCR0; 0: only FXSAVE */
int fpu_alloc(struct task *t);
void fpu_save(void *area);                     /* from the registers */
void fpu_leave(struct task *t);                /* t goes off the CPU */
void fpu_enter(struct cpu *c, struct task *t); /* t comes on; may be free */
void fpu_reset(struct task *t);                /* current: initial state */
void fpu_reload(struct task *t); /* current: from its area, which changed */

/* mmu.c */
void mmu_init(const struct boot_info *bi);

/* timer.c */
void clock_init(const struct boot_info *bi);

/* trap.c, entered from entry.S; interrupts off. */
void trap_user(struct arch_regs *r);
void trap_kernel(struct arch_regs *r);
_Noreturn void trap_fatal(struct arch_regs *r);
bool syscall_serve(struct arch_regs *r);
/* Deal with signals and rescheduling; interrupts off before and after. */
void user_return_work(void);
_Noreturn void enter_user(struct arch_regs *r);
struct task *switch_stack(struct task *prev, struct task *next);
void task_run(struct task *prev, void (*fn)(void *arg), void *arg);
void task_run_user(struct task *prev);

/* irq.c */
void irq_serve(unsigned vector);

/* qemu.c: boot_info for a kernel that QEMU started. */
struct boot_info *qemu_boot(void);

#define PHYS(pa) ((void *)(uintptr_t)(BOOT_PHYSMAP_X86 + (pa)))

static inline uint64_t x86_rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return lo | (uint64_t)hi << 32;
}

struct x86_cpuid {
    uint32_t a, b, c, d;
};

static inline struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t sub)
{
    struct x86_cpuid r = {leaf, 0, sub, 0};
    __asm__ volatile("cpuid" : "+a"(r.a), "=b"(r.b), "+c"(r.c), "=d"(r.d));
    return r;
}

static inline uint64_t x86_rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return lo | (uint64_t)hi << 32;
}

static inline void x86_wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v),
                     "d"((uint32_t)(v >> 32))
                     : "memory");
}

static inline void x86_outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline uint8_t x86_inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

/* PVM hypercall; ring 3 kernel only. */
void pvm_halt_now(struct pvm_vif *v);
extern const char pvm_halt_int[];    /* its INT instruction, two bytes */
extern const char ring0_halt_insn[]; /* its HLT, one byte */
void pvm_irq_window(struct pvm_vif *v, uint64_t page);
extern const char pvm_irq_window_start[], pvm_irq_window_end[];

static inline int64_t pvm_call(uint64_t nr, uint64_t a, uint64_t b)
{
    int64_t r;
    __asm__ volatile("int %[vec]"
                     : "=a"(r), "+b"(a), "+c"(b)
                     : "a"(nr), [vec] "i"(PVM_HYPERCALL)
                     : "memory", "cc");
    return r;
}
