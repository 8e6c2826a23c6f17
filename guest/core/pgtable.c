// SPDX-License-Identifier: Apache-2.0
/* Page tables of programs: walking, making, splitting, freeing. */
#include "guest/core/pgtable.h"

#include "abi/linux/errno.h"

#include "guest/core/frame.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/vma.h"

#define ENTRIES 512

static uint64_t level_size(unsigned level)
{
    return PAGE_SIZE << (9 * level);
}

static unsigned level_index(uint64_t va, unsigned level)
{
    return (unsigned)(va >> (PAGE_SHIFT + 9 * level)) & (ENTRIES - 1);
}

static uint64_t *entry_table(uint64_t e)
{
    return page_virt(arch_pte_pa(e));
}

uint64_t pte_leaf(paddr_t pa, uint32_t prot, bool writable, unsigned level)
{
    unsigned rights = 0;
    if (prot == 0)
        return pte_park(pa);
    if (writable && (prot & LX_PROT_WRITE) != 0)
        rights |= ARCH_PROT_WRITE;
    if ((prot & LX_PROT_EXEC) != 0)
        rights |= ARCH_PROT_EXEC;
    /* The image window is clean: nobody writes there. */
    if (ARCH_ICACHE_APART && (prot & LX_PROT_EXEC) != 0 && frame_at(pa) != NULL)
        arch_sync_icache(page_virt(pa), level_size(level));
    return arch_pte_leaf(pa, rights, level);
}

void pte_replace(struct aspace *as, uint64_t va, uint64_t *entry,
                 uint64_t value)
{
    if (ARCH_BREAK_FIRST && arch_pte_present(*entry)) {
        pte_set(entry, arch_pte_none());
        arch_flush(&as->arch, va, va + PAGE_SIZE);
        pte_set(entry, value);
        return;
    }
    pte_set(entry, value);
    arch_flush(&as->arch, va, va + PAGE_SIZE);
}

bool pt_next(struct aspace *as, uint64_t *at, uint64_t end, struct pt_span *s)
{
    while (*at < end) {
        uint64_t *table = arch_root(&as->arch);
        for (unsigned level = 3;; level--) {
            uint64_t *entry = &table[level_index(*at, level)];
            uint64_t after =
                ROUND_DOWN(*at, level_size(level)) + level_size(level);
            if (level == 0) {
                uint64_t stop =
                    MIN(end, ROUND_DOWN(*at, HUGE_SIZE) + HUGE_SIZE);
                *s = (struct pt_span){
                    .entry = entry,
                    .va = *at,
                    .count = (unsigned)((stop - *at) >> PAGE_SHIFT),
                };
                *at = stop;
                return true;
            }
            uint64_t e = *entry;
            bool leaf = level == 1 &&
                        (pte_parked(e) ||
                         (arch_pte_present(e) && arch_pte_is_leaf(e, level)));
            if (leaf) {
                *s = (struct pt_span){
                    .entry = entry,
                    .va = ROUND_DOWN(*at, HUGE_SIZE),
                    .count = 1,
                    .level = 1,
                };
                *at = after;
                return true;
            }
            if (!arch_pte_present(e)) {
                *at = after;
                break;
            }
            table = entry_table(e);
        }
    }
    return false;
}

uint64_t *pt_find(struct aspace *as, uint64_t va, unsigned *level)
{
    struct pt_span s;
    uint64_t at = ROUND_DOWN(va, PAGE_SIZE);
    if (!pt_next(as, &at, at + PAGE_SIZE, &s))
        return NULL;
    *level = s.level;
    return s.entry;
}

/* A table in entry `i` of `table` at `level`. */
static uint64_t *pt_grow(struct aspace *as, uint64_t *table, unsigned i,
                         unsigned level)
{
    paddr_t pa = page_table_alloc();
    if (pa == 0)
        return NULL;
    as->tables++;
    if (level == 3)
        arch_root_set(&as->arch, i, arch_pte_table(pa));
    else
        pte_set(&table[i], arch_pte_table(pa));
    return page_virt(pa);
}

/* A level-1 entry that leads to a table without any page: free it. */
static bool pt_drop_empty(struct aspace *as, uint64_t *entry, uint64_t va)
{
    const uint64_t *table = entry_table(*entry);
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table[i] != 0)
            return false;
    paddr_t pa = arch_pte_pa(*entry);
    va = ROUND_DOWN(va, HUGE_SIZE);
    pte_set(entry, arch_pte_none());
    arch_flush(&as->arch, va, va + HUGE_SIZE);
    page_table_free(pa);
    as->tables--;
    return true;
}

uint64_t *pt_make(struct aspace *as, uint64_t va, unsigned level)
{
    uint64_t *table = arch_root(&as->arch);
    for (unsigned at = 3;; at--) {
        unsigned i = level_index(va, at);
        uint64_t e = table[i];
        bool leaf = pte_parked(e) ||
                    (arch_pte_present(e) && at <= 1 && arch_pte_is_leaf(e, at));
        if (at == level) {
            if (level == 1 && arch_pte_present(e) && !leaf &&
                !pt_drop_empty(as, &table[i], va))
                return NULL;
            return &table[i];
        }
        if (leaf)
            return NULL;
        if (arch_pte_present(e))
            table = entry_table(e);
        else
            table = pt_grow(as, table, i, at);
        if (table == NULL)
            return NULL;
    }
}

int pt_split(struct aspace *as, const struct vma *v, uint64_t addr)
{
    unsigned level;
    uint64_t *entry = pt_find(as, addr, &level);
    if (entry == NULL || level == 0)
        return 0;
    uint64_t e = *entry;
    paddr_t pa = arch_pte_pa(e);
    bool writable = arch_pte_present(e) && arch_pte_writable(e);
    paddr_t table_pa = page_table_alloc();
    if (table_pa == 0)
        return -ENOMEM;
    as->tables++;
    uint64_t *table = page_virt(table_pa);
    for (unsigned i = 0; i < ENTRIES; i++)
        table[i] = pte_parked(e)
                       ? pte_park(pa + i * PAGE_SIZE)
                       : pte_leaf(pa + i * PAGE_SIZE, v->prot, writable, 0);
    /* Never two sizes of the same translation at once: none, flush, table. */
    addr = ROUND_DOWN(addr, HUGE_SIZE);
    pte_set(entry, arch_pte_none());
    arch_flush(&as->arch, addr, addr + HUGE_SIZE);
    page_split(pa);
    pte_set(entry, arch_pte_table(table_pa));
    return 0;
}

int pt_split_at(struct aspace *as, const struct vma *v, uint64_t addr)
{
    return (addr & (HUGE_SIZE - 1)) == 0 ? 0 : pt_split(as, v, addr);
}

/* The tables below entry `i` of the root. No recursion: the shape is fixed. */
static void pt_free_root_entry(struct aspace *as, unsigned i)
{
    uint64_t top = arch_root(&as->arch)[i];
    uint64_t *l2 = entry_table(top);
    for (unsigned j = 0; j < ENTRIES; j++) {
        if (!arch_pte_present(l2[j]))
            continue;
        uint64_t *l1 = entry_table(l2[j]);
        for (unsigned k = 0; k < ENTRIES; k++) {
            if (!arch_pte_present(l1[k]))
                continue;
            page_table_free(arch_pte_pa(l1[k]));
            l1[k] = 0;
        }
        page_table_free(arch_pte_pa(l2[j]));
        l2[j] = 0;
        sched_point();
    }
    arch_root_set(&as->arch, i, arch_pte_none());
    page_table_free(arch_pte_pa(top));
}

void pt_free(struct aspace *as)
{
    const uint64_t *root = arch_root(&as->arch);
    for (unsigned i = 0; i <= level_index(USER_END - 1, 3); i++)
        if (arch_pte_present(root[i]))
            pt_free_root_entry(as, i);
    as->tables = 0;
    arch_aspace_fini(&as->arch);
}
