// SPDX-License-Identifier: Apache-2.0
/*
 * Page tables of programs. aspace.lock guards them. A page that is there but
 * must not be touched (PROT_NONE) is parked: its entry is not present for the
 * processor and keeps the address.
 */
#pragma once

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"

struct vma;

/* Bit 0 is "present" on both architectures; this one is ignored without it. */
#define PTE_PARKED UINT64_C(2)

static inline bool pte_parked(uint64_t e)
{
    return !arch_pte_present(e) && (e & PTE_PARKED) != 0;
}

static inline bool pte_none(uint64_t e)
{
    return !arch_pte_present(e) && !pte_parked(e);
}

static inline uint64_t pte_park(paddr_t pa)
{
    return pa | PTE_PARKED;
}

static inline void pte_set(uint64_t *entry, uint64_t value)
{
    /* The page's contents before the entry that shows them. */
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Entry for `pa` in a region with `prot` (LX_PROT_*). */
uint64_t pte_leaf(paddr_t pa, uint32_t prot, bool writable, unsigned level);

/* *entry, of `va`, shall name another page: when this returns no CPU uses the
 * old one. */
void pte_replace(struct aspace *as, uint64_t va, uint64_t *entry,
                 uint64_t value);

/* Neighbouring entries of one table. */
struct pt_span {
    uint64_t *entry;
    uint64_t va;    /* of entry[0] */
    unsigned count; /* level 0: entries in range; level 1: 1 */
    unsigned level; /* 0, or 1: a huge leaf (va is its start) */
};

/* Next span at or above *at and below `end` for which tables exist; moves *at
 * behind it. */
bool pt_next(struct aspace *as, uint64_t *at, uint64_t end, struct pt_span *s);

/* Entry of `va` at level 0, or the huge leaf over it (*level 1), or NULL when
 * there is no table. */
uint64_t *pt_find(struct aspace *as, uint64_t va, unsigned *level);
/* Makes the tables. NULL: memory, or (level 0) a huge leaf is there, or
 * (level 1) a table that is in use is there. */
uint64_t *pt_make(struct aspace *as, uint64_t va, unsigned level);
/* Replace the huge leaf over `addr`, if any and if addr is not its start, by a
 * table. `v` covers it. 0 or -ENOMEM. */
int pt_split_at(struct aspace *as, const struct vma *v, uint64_t addr);
int pt_split(struct aspace *as, const struct vma *v, uint64_t addr);
/* All tables; no leaf is left. Also the root (arch_aspace_fini). */
void pt_free(struct aspace *as);

/*
 * Pages taken out of page tables, put once no CPU can use them any more. One
 * flush for many.
 */
#define PT_BATCH_SMALL 16
#define PT_BATCH_BIG   512
struct pt_batch {
    struct aspace *as;
    uint64_t start, end; /* to flush */
    bool alone;          /* no other CPU runs this aspace: put at once */
    unsigned count;
    paddr_t small[PT_BATCH_SMALL]; /* bit 0: huge */
    paddr_t *big;
};
/* flush false: nobody uses the aspace any more. */
void pt_batch_init(struct pt_batch *b, struct aspace *as, bool flush);
void pt_batch_range(struct pt_batch *b, uint64_t va, uint64_t size);
void pt_batch_add(struct pt_batch *b, uint64_t va, paddr_t pa, bool huge);
void pt_batch_done(struct pt_batch *b); /* flushes */

/* Operations on [start, end); huge leaves do not cross its ends. */
void pt_zap(struct aspace *as, uint64_t start, uint64_t end,
            struct pt_batch *b);
/* Give every entry the rights of `v`->prot (already changed). */
void pt_protect(struct aspace *as, const struct vma *v, uint64_t start,
                uint64_t end, struct pt_batch *b);
/* fork: private pages of `v` into `child`, both read-only. Parent flush range
 * in *b. 0 or -ENOMEM. */
int pt_share(struct aspace *child, struct aspace *parent, const struct vma *v,
             struct pt_batch *b);
/* mremap: entries of [from, from + size) to `to`. 0 or -ENOMEM (then some
 * were moved back). */
int pt_move(struct aspace *as, const struct vma *v, uint64_t from, uint64_t to,
            uint64_t size, struct pt_batch *b);
/* Pages present (or parked) in [start, end). */
uint64_t pt_count(struct aspace *as, uint64_t start, uint64_t end);
