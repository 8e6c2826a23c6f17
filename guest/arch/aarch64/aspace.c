// SPDX-License-Identifier: Apache-2.0
/*
 * Roots of programs' page tables and their ASIDs. A root keeps its ASID for
 * ever: the pair is used again only when its translations were forgotten
 * everywhere and no CPU has it in TTBR0. Flushes are broadcast by the hardware
 * (TLBI ...IS, D8.14), so nobody keeps a list of CPUs.
 */
#include "abi/linux/errno.h"

#include "guest/arch/aarch64/arm.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/page.h"

#define USER_SLOTS 256 /* root entries below USER_END */
#define FLUSH_MAX  64  /* pages; above: the whole ASID */

static struct spinlock root_lock; /* irq-safe; leaf */
static paddr_t root_free;         /* linked by entry 0; entry 1: ASID << 1 */
static uint64_t asid_next = 1;    /* 0: the empty root */
static uint64_t asid_last; /* shared by all roots that come too late: it is
                            * forgotten whenever one of them is loaded */

void asid_init(void)
{
    bool wide = (ARM_READ("id_aa64mmfr0_el1") >> 4 & 0xf) == 2;

    asid_last = wide ? 0xffff : 0xff;
}

static bool root_loaded(paddr_t root)
{
    for (uint32_t i = 0; i < cpu_possible; i++)
        /* Acquire: that CPU's last use of it. */
        if (__atomic_load_n(&cpus[i].arch.root, __ATOMIC_ACQUIRE) == root)
            return true;
    return false;
}

/* A root that was used before, or 0. */
static paddr_t root_reuse(uint64_t *asid)
{
    unsigned long flags = spin_lock_irq(&root_lock);
    paddr_t prev = 0, root = root_free;

    while (root && root_loaded(root)) {
        const uint64_t *skip = PHYS(root);
        prev = root;
        root = skip[0];
    }
    if (root) {
        uint64_t *e = PHYS(root);
        if (prev)
            *(uint64_t *)PHYS(prev) = e[0];
        else
            root_free = e[0];
        *asid = e[1] >> 1;
        e[0] = 0;
        e[1] = 0;
    }
    spin_unlock_irq(&root_lock, flags);
    return root;
}

int arch_aspace_init(struct arch_aspace *as)
{
    uint64_t asid = 0;
    paddr_t root = root_reuse(&asid);

    if (!root) {
        root = page_table_alloc();
        if (!root)
            return -ENOMEM;
        unsigned long flags = spin_lock_irq(&root_lock);
        asid = asid_next < asid_last ? asid_next++ : asid_last;
        spin_unlock_irq(&root_lock, flags);
    }
    *as = (struct arch_aspace){.root = root, .asid = asid};
    return 0;
}

static void asid_forget(uint64_t asid)
{
    ARM_DSB("ishst");
    __asm__ volatile("tlbi aside1is, %0" ::"r"(asid << 48) : "memory");
    ARM_DSB("ish");
}

void arch_aspace_fini(struct arch_aspace *as)
{
    if (!as->root)
        return;
    uint64_t *e = PHYS(as->root);
    for (unsigned i = 0; i < USER_SLOTS; i++)
        e[i] = 0;
    asid_forget(as->asid);
    unsigned long flags = spin_lock_irq(&root_lock);
    e[0] = root_free;
    e[1] = as->asid << 1;
    root_free = as->root;
    spin_unlock_irq(&root_lock, flags);
    *as = (struct arch_aspace){0};
}

static void ttbr0_set(paddr_t root, uint64_t asid)
{
    ARM_WRITE("ttbr0_el1", root | asid << 48);
    ARM_ISB();
}

void arch_aspace_switch(struct arch_aspace *as)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();
    paddr_t root = as ? as->root : 0;

    if (root != c->arch.root) {
        if (!root) {
            ttbr0_set(VIRT(empty_root), 0);
        } else if (as->asid == asid_last) {
            ttbr0_set(VIRT(empty_root), 0);
            __asm__ volatile("tlbi aside1, %0" ::"r"(asid_last << 48)
                             : "memory");
            ARM_DSB("nsh");
        }
        if (root)
            ttbr0_set(root, as->asid);
        __atomic_store_n(&c->arch.root, root, __ATOMIC_RELEASE);
        /* Pairs with arch_barrier(): it sees us, or we see its stores. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    arch_irq_restore(flags);
}

uint64_t *arch_root(struct arch_aspace *as)
{
    return PHYS(as->root);
}

void arch_root_set(struct arch_aspace *as, unsigned index, uint64_t entry)
{
    uint64_t *root = PHYS(as->root);

    KASSERT(index < USER_SLOTS);
    __atomic_store_n(&root[index], entry, __ATOMIC_RELEASE);
}

void arch_flush(struct arch_aspace *as, uint64_t start, uint64_t end)
{
    uint64_t tag = as->asid << 48;

    if (start >= end)
        return;
    if (end - start > FLUSH_MAX * PAGE_SIZE) {
        asid_forget(as->asid);
        return;
    }
    ARM_DSB("ishst"); /* the entries changed before */
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        __asm__ volatile("tlbi vae1is, %0" ::"r"(tag | va >> PAGE_SHIFT)
                         : "memory");
    ARM_DSB("ish");
}
