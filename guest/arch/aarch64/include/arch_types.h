// SPDX-License-Identifier: Apache-2.0
/* AArch64 types and inline functions of guest/arch/arch.h. Numbers in comments
 * are sections of the Arm Architecture Reference Manual, DDI 0487. */
#pragma once

#include "abi/abi.h"

#include "guest/core/types.h"

struct cpu;
struct task;

#define ARCH_HAS_LEGACY_CALLS 0
#define ARCH_SIGSTACK_MIN     5120 /* MINSIGSTKSZ */
#define ARCH_SEMID_PAD        0    /* a spare word after each time */
/* clone(2): which argument word is what. */
#define ARCH_CLONE_ARG_CTID 4
#define ARCH_CLONE_ARG_TLS  3
/* A live entry may not change to another page in one step (D8.14.1). */
#define ARCH_BREAK_FIRST  1
#define ARCH_ICACHE_APART 1
/* `interrupts` of a device tree: cells of one. */
#define ARCH_IRQ_CELLS 3
#define ARCH_MAP_32BIT 0u /* mmap(2): no such flag */

extern char arch_kernel_end[];                       /* link.ld */
#define ARCH_PHYSMAP    UINT64_C(0xffff000000000000) /* kernel va of paddr 0 */
#define ARCH_KERNEL_END ((uint64_t)arch_kernel_end - ARCH_PHYSMAP)

/* A program's registers as the entry code stores them; x[0..5] are the
 * arguments of a system call in order. */
struct arch_regs {
    uint64_t x[31];
    uint64_t sp, pc, pstate;
    int64_t nr;       /* system call number, or -1 */
    uint64_t orig_x0; /* first argument of that call */
};
ABI_SIZE(struct arch_regs, 288); /* multiple of 16: stack alignment */

struct arch_fp {
    uint64_t v[64]; /* q0..q31 */
    uint32_t fpsr, fpcr;
    uint64_t pad;
} __attribute__((aligned(16)));

struct arch_task {
    uint64_t sp; /* kernel stack while off the CPU; first: switch.S */
    uint64_t tls;
    uint64_t fault_addr, fault_esr; /* for struct sigcontext */
    uint32_t fp_cpu; /* CPU whose registers still equal fp, or ~0 */
    bool user;       /* has a program: fp and tls mean something */
    struct arch_fp fp;
};

struct arch_aspace {
    paddr_t root;
    uint64_t asid;
};

/* First member of struct cpu; TPIDR_EL1 points here. */
struct arch_cpu {
    struct cpu *self;
    paddr_t root;          /* atomic: in TTBR0; 0: the empty one */
    struct task *fp_owner; /* whose FP state the registers hold */
    uint64_t deadline;     /* armed, counter value; 0: not */
    uint64_t mpidr;        /* affinity fields */
    volatile void *gicr;   /* GICv3: this CPU's redistributor */
    uint32_t barrier_done; /* atomic: requests of arch_barrier served */
    uint32_t barrier_asked;
    uint64_t pad;
};
#define ARCH_CPU_CURRENT 64 /* offset of struct cpu.current */
ABI_SIZE(struct arch_cpu, ARCH_CPU_CURRENT);

static inline struct cpu *arch_this_cpu(void)
{
    struct cpu *c;
    __asm__ volatile("mrs %0, tpidr_el1" : "=r"(c));
    return c;
}

static inline struct task *arch_current(void)
{
    const char *c = (const char *)arch_this_cpu();
    return *(struct task *const *)(const void *)(c + ARCH_CPU_CURRENT);
}

/* --- interrupts: DAIF.I --- */

#define ARM_DAIF_I (UINT64_C(1) << 7)

static inline void arch_irq_on(void)
{
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

static inline void arch_irq_off(void)
{
    __asm__ volatile("msr daifset, #2" ::: "memory");
}

static inline unsigned long arch_irq_save(void)
{
    unsigned long flags;
    __asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags)::"memory");
    return flags;
}

static inline void arch_irq_restore(unsigned long flags)
{
    __asm__ volatile("msr daif, %0" ::"r"(flags) : "memory");
}

static inline void arch_pause(void)
{
    __asm__ volatile("yield" ::: "memory");
}

/* --- device registers: a hypervisor is told about plain loads and stores only,
 * not about those that move their base register (D17.2.37, ISV) --- */

static inline uint32_t arch_mmio_read32(const volatile void *at)
{
    uint32_t v;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
    return v;
}

static inline uint8_t arch_mmio_read8(const volatile void *at)
{
    uint32_t v;
    __asm__ volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
    return (uint8_t)v;
}

/* Ordered after earlier writes to memory: rings before the doorbell. */
static inline void arch_mmio_write32(volatile void *at, uint32_t v)
{
    __asm__ volatile("dmb oshst\n\tstr %w0, [%1]" ::"r"(v), "r"(at) : "memory");
}

/* --- page-table entries: D8.3 --- */

#define ARM_PTE_VALID  (UINT64_C(1) << 0)
#define ARM_PTE_TABLE  (UINT64_C(1) << 1) /* or a leaf of level 0 */
#define ARM_PTE_ATTR   2                  /* shift: index into MAIR_EL1 */
#define ARM_PTE_USER   (UINT64_C(1) << 6)
#define ARM_PTE_RDONLY (UINT64_C(1) << 7)
#define ARM_PTE_INNER  (UINT64_C(3) << 8)
#define ARM_PTE_AF     (UINT64_C(1) << 10)
#define ARM_PTE_NG     (UINT64_C(1) << 11)
#define ARM_PTE_PXN    (UINT64_C(1) << 53)
#define ARM_PTE_UXN    (UINT64_C(1) << 54)
#define ARM_PTE_ADDR   UINT64_C(0x0000fffffffff000)

/* The access flag is set from the start, and "dirty" means "may have been
 * written": no fault and no read-modify-write of the hardware later. */
static inline uint64_t arch_pte_leaf(paddr_t pa, unsigned prot, unsigned level)
{
    return pa | ARM_PTE_VALID | (level ? 0 : ARM_PTE_TABLE) | ARM_PTE_USER |
           ARM_PTE_INNER | ARM_PTE_AF | ARM_PTE_NG | ARM_PTE_PXN |
           (prot & 1u ? 0 : ARM_PTE_RDONLY) | (prot & 2u ? 0 : ARM_PTE_UXN);
}

static inline uint64_t arch_pte_table(paddr_t pa)
{
    return pa | ARM_PTE_VALID | ARM_PTE_TABLE;
}

static inline uint64_t arch_pte_none(void)
{
    return 0;
}

static inline bool arch_pte_present(uint64_t e)
{
    return e & ARM_PTE_VALID;
}

static inline bool arch_pte_is_leaf(uint64_t e, unsigned level)
{
    return (e & ARM_PTE_VALID) && (level == 0 || !(e & ARM_PTE_TABLE));
}

static inline paddr_t arch_pte_pa(uint64_t e)
{
    return e & ARM_PTE_ADDR;
}

static inline bool arch_pte_writable(uint64_t e)
{
    return !(e & ARM_PTE_RDONLY);
}

static inline bool arch_pte_dirty(uint64_t e)
{
    return !(e & ARM_PTE_RDONLY);
}

static inline bool arch_pte_accessed(uint64_t e)
{
    return e & ARM_PTE_AF;
}
