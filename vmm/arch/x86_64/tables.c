// SPDX-License-Identifier: Apache-2.0
/*
 * Stacks and VIF pages of all CPUs, and boot page tables: 4 levels, 2 MiB
 * leaves. The root is the first of a pair of pages; the second (PVM's user
 * root) stays empty. Leaves are not global: the guest decides that when it owns
 * the tables.
 */
#include "abi/boot.h"
#include "boards/virt-x86_64/layout.h"

#include "base/auto.h"
#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/boot.h"
#include "vmm/lowmem.h"

#define PTE_P    (UINT64_C(1) << 0)
#define PTE_W    (UINT64_C(1) << 1)
#define PTE_U    (UINT64_C(1) << 2)
#define PTE_PWT  (UINT64_C(1) << 3)
#define PTE_PCD  (UINT64_C(1) << 4)
#define PTE_A    (UINT64_C(1) << 5)
#define PTE_D    (UINT64_C(1) << 6)
#define PTE_LEAF (UINT64_C(1) << 7)
#define PTE_NX   (UINT64_C(1) << 63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)

#define LEAF_SIZE (UINT64_C(2) << 20)
#define PAGE      UINT64_C(4096)
#define LEVELS    4

struct tables {
    struct lowmem *low;
    uint64_t root;  /* guest-physical */
    uint64_t extra; /* PTE_U on PVM, where user bits must be set everywhere */
};

/* The table below entry `i` of `table`, made when missing. */
static uint64_t *descend(const struct tables *t, uint64_t *table, unsigned i,
                         struct err *e)
{
    if ((table[i] & PTE_P) != 0)
        return gmem_at(t->low->mem, gpa(table[i] & PTE_ADDR), PAGE);
    gpa_t at;
    uint64_t *next = lowmem_take(t->low, PAGE, PAGE, "page tables", &at, e);
    if (next != NULL)
        table[i] = at.v | PTE_P | PTE_W | PTE_A | t->extra;
    return next;
}

static unsigned index_of(uint64_t va, unsigned level)
{
    return (unsigned)(va >> (12 + 9 * level)) & 511;
}

/* Map [pa, pa + size), multiples of 2 MiB, at va. */
static int map(const struct tables *t, uint64_t va, uint64_t pa, uint64_t size,
               uint64_t bits, struct err *e)
{
    while (size > 0) {
        uint64_t *table = gmem_at(t->low->mem, gpa(t->root), PAGE);
        for (unsigned level = LEVELS - 1; level > 1; level--) {
            table = descend(t, table, index_of(va, level), e);
            if (table == NULL)
                return e->code;
        }
        for (unsigned i = index_of(va, 1); i < 512 && size > 0; i++) {
            table[i] = pa | bits | PTE_P | PTE_A | PTE_LEAF | t->extra;
            va += LEAF_SIZE;
            pa += LEAF_SIZE;
            size -= LEAF_SIZE;
        }
    }
    return 0;
}

static int boot_tables(const struct arch_vm *vm, struct lowmem *low,
                       const struct arch_window *image, uint64_t *root,
                       struct err *e)
{
    const uint64_t data = PTE_W | PTE_D | PTE_NX;
    const uint64_t device = data | PTE_PWT | PTE_PCD;
    const struct gmem *m = low->mem;
    struct tables t = {.low = low, .extra = vm->user_kernel ? PTE_U : 0};
    gpa_t at;
    if (lowmem_take(low, 2 * PAGE, 2 * PAGE, "page tables", &at, e) == NULL)
        return e->code;
    t.root = *root = at.v;
    uint64_t text = m->range[0].size < (UINT64_C(1) << 30) ? m->range[0].size
                                                           : UINT64_C(1) << 30;
    const struct {
        uint64_t va, pa, size, bits;
    } maps[] = {
        {BOOT_KERNEL_X86, 0, text, PTE_W | PTE_D},
        {BOOT_PHYSMAP_X86, 0, m->range[0].size, data},
        {BOOT_PHYSMAP_X86 + BOARD_HIGH_RAM, BOARD_HIGH_RAM, m->range[1].size,
         data},
        {BOOT_PHYSMAP_X86 + BOARD_MMIO_BASE, BOARD_MMIO_BASE, BOARD_MMIO_SIZE,
         device},
        {BOOT_PHYSMAP_X86 + BOARD_APIC, BOARD_APIC,
         vm->user_kernel ? 0 : LEAF_SIZE, device},
        {BOOT_PHYSMAP_X86 + image->gpa, image->gpa, image->size, PTE_NX},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(maps); i++)
        if (map(&t, maps[i].va, maps[i].pa, maps[i].size, maps[i].bits, e) < 0)
            return e->code;
    return 0;
}

int arch_boot_cpus(const struct arch_vm *vm, struct lowmem *low,
                   const struct arch_window *image, struct arch_entry *entry,
                   struct err *e)
{
    const uint64_t n = vm->cpus;
    gpa_t at;
    *entry = (struct arch_entry){.info = BOOT_PHYSMAP_X86 + BOARD_BOOT_INFO};
    if (vm->user_kernel) {
        if (lowmem_take(low, n * BOOT_VIF_STRIDE, PAGE, "VIF pages", &at, e) ==
            NULL)
            return e->code;
        entry->vif = at.v;
    }
    if (lowmem_take(low, n * BOOT_STACK_STRIDE, PAGE, "boot stacks", &at, e) ==
        NULL)
        return e->code;
    entry->stack = BOOT_PHYSMAP_X86 + at.v + BOOT_STACK_SIZE;
    return boot_tables(vm, low, image, &entry->root, e);
}
