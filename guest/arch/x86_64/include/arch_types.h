// SPDX-License-Identifier: Apache-2.0
/*
 * x86-64 types and inline functions of guest/arch/arch.h. One kernel serves
 * KVM_PVM (kernel at hardware ring 3, struct cpu.arch.vif not NULL) and ring 0.
 */
#pragma once

#include "abi/abi.h"

#include "guest/core/types.h"

struct cpu;
struct task;
struct cpu_tables;

#define ARCH_HAS_LEGACY_CALLS 1    /* open, fork, stat, ... */
#define ARCH_SIGSTACK_MIN     2048 /* MINSIGSTKSZ */
#define ARCH_SEMID_PAD        1    /* a spare word after each time */
/* clone(2): which argument word is what. */
#define ARCH_CLONE_ARG_CTID 3
#define ARCH_CLONE_ARG_TLS  4
#define ARCH_BREAK_FIRST    0
#define ARCH_ICACHE_APART   0
#define ARCH_IRQ_CELLS      1
#define ARCH_MAP_32BIT      0x40u /* mmap(2): below 2 GiB */

extern char arch_kernel_end[];                       /* link.ld */
#define ARCH_PHYSMAP    UINT64_C(0xffff888000000000) /* kernel va of paddr 0 */
#define ARCH_KERNEL_END ((uint64_t)arch_kernel_end - 0xffffffff80000000)

/* A program's registers as the entry code pushes them. The six words from rdi
 * are the arguments of a system call in order. */
struct arch_regs {
    uint64_t rdi, rsi, rdx, r10, r8, r9;
    uint64_t rax, rcx, r11;
    uint64_t rbx, rbp, r12, r13, r14, r15;
    int64_t nr;   /* system call number, or ~vector of a trap or interrupt */
    uint64_t err; /* error code of a trap, else 0 */
    uint64_t rip, cs, rflags, rsp, ss;
};
ABI_SIZE(struct arch_regs, 176); /* multiple of 16: stack alignment */

struct arch_task {
    uint64_t sp;     /* kernel stack while off the CPU; first: switch.S */
    uint64_t fs, gs; /* user bases while off the CPU */
    void *fp;        /* page with the XSAVE area; NULL: a kernel task */
    uint32_t fp_cpu; /* CPU whose registers still equal *fp, or ~0 */
    uint32_t trap;   /* last user trap, for struct sigcontext */
    uint64_t trap_err, cr2;
};

struct arch_aspace {
    paddr_t root;  /* PVM: of a pair, the user root is the next page */
    uint64_t id;   /* never 0, never reused */
    uint64_t gen;  /* atomic: count of flushes */
    uint64_t cpus; /* atomic: CPUs that must hear of flushes */
};

/* The page a PVM vCPU shares with the hypervisor; platform/pvm.md 2.3. */
struct pvm_vif {
    uint8_t if_;     /* virtual interrupt flag of kernel mode */
    uint8_t pending; /* an interrupt is held back because if_ is 0 */
    uint8_t pad[6];
    uint64_t cr2;
};

/* First member of struct cpu; GS base points here in the kernel. Offsets of
 * the first four are in asm.h too. */
struct arch_cpu {
    struct cpu *self;
    uint64_t kernel_sp; /* top of the current task's stack */
    uint64_t user_sp;   /* scratch of the system call entry */
    struct pvm_vif *vif;
    struct cpu_tables *tables;  /* GDT, TSS */
    struct arch_aspace *aspace; /* atomic: in use here; NULL: none */
    uint64_t aspace_id;         /* whose root is loaded; 0: the boot root */
    uint64_t aspace_gen;
    struct task *fp_owner;            /* whose FP state the registers hold */
    uint64_t fs, gs;                  /* user bases loaded (gs, ring 0 fs) */
    uint32_t flush_asked, flush_done; /* atomic: shootdown requests */
    uint64_t deadline;                /* armed, raw timer units; 0: not */
    uint64_t pad[3];
} __attribute__((aligned(64)));
#define ARCH_CPU_CURRENT 128 /* offset of struct cpu.current */
ABI_SIZE(struct arch_cpu, ARCH_CPU_CURRENT);

static inline struct cpu *arch_this_cpu(void)
{
    struct cpu *c;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(c));
    return c;
}

static inline struct task *arch_current(void)
{
    struct task *t;
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(t) : "i"(ARCH_CPU_CURRENT));
    return t;
}

static inline struct pvm_vif *arch_vif(void)
{
    struct pvm_vif *v;
    __asm__ volatile("mov %%gs:%c1, %0"
                     : "=r"(v)
                     : "i"(offsetof(struct arch_cpu, vif)));
    return v;
}

/* --- interrupts: on PVM a byte in memory, else the IF flag --- */

void arch_irq_deliver(void); /* PVM: let the held-back interrupt in */

static inline void arch_irq_on(void)
{
    struct pvm_vif *v = arch_vif();

    if (!v) {
        __asm__ volatile("sti" ::: "memory");
        return;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&v->if_, 1, __ATOMIC_RELAXED);
    /* The hypervisor looks at if_ only when this CPU exits, so program order
     * is enough. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(__atomic_load_n(&v->pending, __ATOMIC_RELAXED), 0))
        arch_irq_deliver();
}

static inline void arch_irq_off(void)
{
    struct pvm_vif *v = arch_vif();

    if (v)
        __atomic_store_n(&v->if_, 0, __ATOMIC_RELAXED);
    else
        __asm__ volatile("cli" ::: "memory");
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline bool arch_irq_enabled(void)
{
    struct pvm_vif *v = arch_vif();
    unsigned long flags;

    if (v)
        return __atomic_load_n(&v->if_, __ATOMIC_RELAXED);
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    return flags & 0x200;
}

static inline unsigned long arch_irq_save(void)
{
    unsigned long on = arch_irq_enabled();

    if (on)
        arch_irq_off();
    return on;
}

static inline void arch_irq_restore(unsigned long on)
{
    if (on)
        arch_irq_on();
}

void arch_flush_serve(void); /* ring 0: another CPU waits for our flush */

/* Whoever spins may do so with interrupts off and keep a CPU waiting that
 * holds what it spins for. */
static inline void arch_pause(void)
{
    const struct arch_cpu *a = (const struct arch_cpu *)arch_this_cpu();

    __asm__ volatile("pause" ::: "memory");
    if (__builtin_expect(__atomic_load_n(&a->flush_asked, __ATOMIC_RELAXED) !=
                             a->flush_done,
                         0))
        arch_flush_serve();
}

/* --- device registers --- */

static inline uint32_t arch_mmio_read32(const volatile void *at)
{
    return *(const volatile uint32_t *)at;
}

static inline uint8_t arch_mmio_read8(const volatile void *at)
{
    return *(const volatile uint8_t *)at;
}

static inline void arch_mmio_write32(volatile void *at, uint32_t v)
{
    *(volatile uint32_t *)at = v;
}

/* --- page-table entries: Intel SDM volume 3, 4.5 --- */

#define X86_PTE_P    (UINT64_C(1) << 0)
#define X86_PTE_W    (UINT64_C(1) << 1)
#define X86_PTE_U    (UINT64_C(1) << 2)
#define X86_PTE_A    (UINT64_C(1) << 5)
#define X86_PTE_D    (UINT64_C(1) << 6)
#define X86_PTE_PS   (UINT64_C(1) << 7)
#define X86_PTE_NX   (UINT64_C(1) << 63)
#define X86_PTE_ADDR UINT64_C(0x000ffffffffff000)

/* A and D are set from the start (D: where writing is allowed), so "dirty"
 * means "may have been written": setting them later costs a PVM exit. */
static inline uint64_t arch_pte_leaf(paddr_t pa, unsigned prot, unsigned level)
{
    return pa | X86_PTE_P | X86_PTE_U | X86_PTE_A |
           (prot & 1u ? X86_PTE_W | X86_PTE_D : 0) |
           (prot & 2u ? 0 : X86_PTE_NX) | (level ? X86_PTE_PS : 0);
}

static inline uint64_t arch_pte_table(paddr_t pa)
{
    return pa | X86_PTE_P | X86_PTE_W | X86_PTE_U | X86_PTE_A;
}

static inline uint64_t arch_pte_none(void)
{
    return 0;
}

static inline bool arch_pte_present(uint64_t e)
{
    return e & X86_PTE_P;
}

static inline bool arch_pte_is_leaf(uint64_t e, unsigned level)
{
    return (e & X86_PTE_P) && (level == 0 || (e & X86_PTE_PS));
}

static inline paddr_t arch_pte_pa(uint64_t e)
{
    return e & X86_PTE_ADDR;
}

static inline bool arch_pte_writable(uint64_t e)
{
    return e & X86_PTE_W;
}

static inline bool arch_pte_dirty(uint64_t e)
{
    return e & X86_PTE_D;
}

static inline bool arch_pte_accessed(uint64_t e)
{
    return e & X86_PTE_A;
}
