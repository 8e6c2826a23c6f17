// SPDX-License-Identifier: Apache-2.0
/* arch/fake: one CPU, host memory, coroutines. See ../README.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;
struct task;

struct arch_regs {
    uint64_t ip, sp;
    int64_t result;
    int64_t nr; /* system call being served, or -1 */
};

struct arch_task {
    void *context; /* ucontext_t, owned */
    void (*fn)(void *arg);
    void *arg;
    uint64_t tls;
    struct arch_regs regs;
};

struct arch_aspace {
    uint64_t *root;   /* 512 entries in a page-table frame */
    uint64_t flushes; /* how often arch_flush was called: tests look */
};

struct arch_cpu {
    bool irq_on;
};

#define ARCH_HAS_LEGACY_CALLS 1
#define ARCH_SIGSTACK_MIN     2048 /* MINSIGSTKSZ */
#define ARCH_SEMID_PAD        1    /* a spare word after each time */
/* clone(2): which argument word is what. */
#define ARCH_CLONE_ARG_CTID 3
#define ARCH_CLONE_ARG_TLS  4
#define ARCH_BREAK_FIRST    0
#define ARCH_ICACHE_APART   0
#define ARCH_IRQ_CELLS      1
#define ARCH_MAP_32BIT      0x40u /* mmap(2): below 2 GiB */

extern uint64_t fake_physmap;    /* host address of paddr 0 */
extern uint64_t fake_kernel_end; /* paddr */
#define ARCH_PHYSMAP    fake_physmap
#define ARCH_KERNEL_END fake_kernel_end

struct cpu *arch_this_cpu(void);
struct task *arch_current(void);

static inline unsigned long arch_irq_save(void)
{
    return 0;
}

static inline void arch_irq_restore(unsigned long flags)
{
    (void)flags;
}

static inline void arch_irq_on(void)
{
}

static inline void arch_pause(void)
{
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

/* Entries: x86-like bits, so that the walker sees what it expects. */
#define FAKE_PTE_P  UINT64_C(1)
#define FAKE_PTE_W  UINT64_C(2)
#define FAKE_PTE_L  UINT64_C(0x80) /* leaf above level 0 */
#define FAKE_PTE_X  UINT64_C(0x100)
#define FAKE_PTE_A  UINT64_C(0x20)
#define FAKE_PTE_D  UINT64_C(0x40)
#define FAKE_PTE_PA UINT64_C(0x000ffffffffff000)

static inline uint64_t arch_pte_leaf(uint64_t pa, unsigned prot, unsigned level)
{
    return pa | FAKE_PTE_P | (prot & 1 ? FAKE_PTE_W : 0) |
           (prot & 2 ? FAKE_PTE_X : 0) | (level > 0 ? FAKE_PTE_L : 0);
}

static inline uint64_t arch_pte_table(uint64_t pa)
{
    return pa | FAKE_PTE_P | FAKE_PTE_W;
}

static inline uint64_t arch_pte_none(void)
{
    return 0;
}

static inline bool arch_pte_present(uint64_t e)
{
    return (e & FAKE_PTE_P) != 0;
}

static inline bool arch_pte_is_leaf(uint64_t e, unsigned level)
{
    return level == 0 || (e & FAKE_PTE_L) != 0;
}

static inline uint64_t arch_pte_pa(uint64_t e)
{
    return e & FAKE_PTE_PA;
}

static inline bool arch_pte_writable(uint64_t e)
{
    return (e & FAKE_PTE_W) != 0;
}

static inline bool arch_pte_dirty(uint64_t e)
{
    return (e & FAKE_PTE_D) != 0;
}

static inline bool arch_pte_accessed(uint64_t e)
{
    return (e & FAKE_PTE_A) != 0;
}
