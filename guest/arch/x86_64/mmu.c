// SPDX-License-Identifier: Apache-2.0
/*
 * Roots and translation caches. A CPU that goes idle keeps its last root but
 * hears no more of flushes; arch_aspace.gen tells it on return whether it
 * missed one.
 */
#include "abi/linux/errno.h"

#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/page.h"

#define USER_SLOTS 256 /* root entries below the kernel half */

static const uint64_t *boot_root;
static uint64_t aspace_ids; /* atomic */

/* Roots stay roots for ever, their kernel half intact: an idle CPU may still
 * have one loaded. Free ones are linked through entry 0 (not present). */
static struct spinlock root_lock; /* irq-safe; leaf */
static paddr_t root_free;

void mmu_init(const struct boot_info *bi)
{
    boot_root = PHYS(bi->root_gpa);
}

static paddr_t root_new(void)
{
    unsigned long flags = spin_lock_irq(&root_lock);
    paddr_t root = root_free;
    if (root) {
        uint64_t *e = PHYS(root);
        root_free = e[0];
        e[0] = 0;
    }
    spin_unlock_irq(&root_lock, flags);
    if (root)
        return root;

    root = arch_ring0 ? page_table_alloc() : page_table_alloc_pair();
    if (!root)
        return 0;
    uint64_t *to = PHYS(root);
    for (unsigned i = USER_SLOTS; i < 512; i++)
        if (boot_root[i])
            to[i] = boot_root[i];
    return root;
}

static void root_put(paddr_t root)
{
    uint64_t *e = PHYS(root);

    for (unsigned i = 0; i < USER_SLOTS; i++) {
        if (!e[i])
            continue;
        e[i] = 0;
        if (!arch_ring0)
            e[512 + i] = 0;
    }
    unsigned long flags = spin_lock_irq(&root_lock);
    e[0] = root_free;
    root_free = root;
    spin_unlock_irq(&root_lock, flags);
}

int arch_aspace_init(struct arch_aspace *as)
{
    paddr_t root = root_new();

    if (!root)
        return -ENOMEM;
    *as = (struct arch_aspace){
        .root = root,
        .id = __atomic_add_fetch(&aspace_ids, 1, __ATOMIC_RELAXED),
    };
    return 0;
}

/* Take `as` from CPUs that still count as its users: they run kernel tasks or
 * halt. One that is just leaving clears its bit itself, as its last access. */
static void aspace_evict(struct arch_aspace *as)
{
    for (;;) {
        uint64_t mask = __atomic_load_n(&as->cpus, __ATOMIC_ACQUIRE);
        if (!mask)
            return;
        uint32_t i = (uint32_t)__builtin_ctzll(mask);
        struct arch_aspace *expect = as;
        if (__atomic_compare_exchange_n(&cpus[i].arch.aspace, &expect, NULL,
                                        false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            __atomic_and_fetch(&as->cpus, ~(UINT64_C(1) << i),
                               __ATOMIC_RELEASE);
        else
            arch_pause();
    }
}

void arch_aspace_fini(struct arch_aspace *as)
{
    if (!as->root)
        return;
    aspace_evict(as);
    root_put(as->root);
    *as = (struct arch_aspace){0};
}

/* Aspaces that are no longer this CPU's business: no flushes for it. */
static void aspace_leave(struct cpu *c)
{
    struct arch_aspace *old =
        __atomic_exchange_n(&c->arch.aspace, NULL, __ATOMIC_ACQ_REL);

    if (old)
        __atomic_and_fetch(&old->cpus, ~(UINT64_C(1) << c->id),
                           __ATOMIC_RELEASE);
}

void arch_aspace_switch(struct arch_aspace *as)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();

    if (as != c->arch.aspace) {
        aspace_leave(c);
        if (as) {
            c->arch.aspace = as;
            /* Before gen is read: a flush after this sees our bit, one
             * before it is seen in gen. Pairs with arch_flush. */
            __atomic_or_fetch(&as->cpus, UINT64_C(1) << c->id,
                              __ATOMIC_SEQ_CST);
            uint64_t gen = __atomic_load_n(&as->gen, __ATOMIC_SEQ_CST);
            if (c->arch.aspace_id != as->id || c->arch.aspace_gen != gen)
                platform->root_load(as->root);
            c->arch.aspace_id = as->id;
            c->arch.aspace_gen = gen;
        }
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
    if (!arch_ring0) /* the user root, which has no kernel half */
        __atomic_store_n(&root[512 + index], entry, __ATOMIC_RELEASE);
}

void arch_flush(struct arch_aspace *as, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    /* Orders the caller's entry changes before the look at `cpus`. */
    uint64_t gen = __atomic_add_fetch(&as->gen, 1, __ATOMIC_SEQ_CST);
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();
    /* Only when no other flush slipped in between may we skip a reload. */
    if (c->arch.aspace == as && c->arch.aspace_gen + 1 == gen)
        c->arch.aspace_gen = gen;
    platform->flush(as, start, end);
    arch_irq_restore(flags);
}

/* The interrupt that asks for a flush is a barrier too. */
void arch_barrier(struct arch_aspace *as)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    arch_flush(as, 0, PAGE_SIZE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void arch_sync_icache(void *page, size_t size)
{
    (void)page; /* the processor does it */
    (void)size;
}
