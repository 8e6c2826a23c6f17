// SPDX-License-Identifier: Apache-2.0
/* The frame table: one entry per page of RAM. For page.c and kmem.c, and for
 * code that walks page tables. */
#pragma once

#include "guest/arch/arch.h"
#include "guest/core/types.h"

/* Valid when all zero (never used, or not ours to give), and not touched
 * before its page is. */
struct frame {
    uint32_t refs; /* atomic; 0: free. Heap page: 1 + objects in use */
    uint8_t order; /* of the block that starts here. Heap page: class */
    uint8_t flags; /* FRAME_* */
    uint16_t slab; /* heap page: offset of the first free object */
    uint32_t next; /* index of a frame in the same list, 0: end */
    uint32_t prev;
};

#define FRAME_FREE (1u << 0) /* first frame of a block on a free list */
#define FRAME_ZERO (1u << 1) /* with FREE: the block was never used */
#define FRAME_ANON (1u << 2) /* private page of programs (core/fault.c) */
#define FRAME_HEAP (1u << 3) /* kmem.c */

/* NULL when `pa` is not RAM. */
struct frame *frame_at(paddr_t pa);
struct frame *frame_by_index(uint32_t index);
uint32_t frame_index(const struct frame *f);
paddr_t frame_paddr(const struct frame *f);

/* A private page of a program, as opposed to a page of a file. */
static inline bool page_is_anon(paddr_t pa)
{
    const struct frame *f = frame_at(pa);
    return f != NULL && (f->flags & FRAME_ANON) != 0;
}

/* Right after page_alloc, before the page is mapped. */
void page_set_anon(paddr_t pa);

/*
 * A block of order 9 may be mapped by one huge leaf in several address spaces.
 * When one of them maps its pages one by one (part of it unmapped, or copied
 * on write) page_split() makes 512 pages of it, each with the count the block
 * had; the others put and get it through these, which look which it is.
 */
void page_split(paddr_t pa);
void page_get_huge(paddr_t pa);
void page_put_huge(paddr_t pa);
bool page_huge_shared(paddr_t pa); /* more than one reference anywhere */

/* The shared page of zeros; 0: no memory. Its count keeps it for ever. */
paddr_t page_zero(void);
bool page_is_zero(paddr_t pa);

/* Free pages, as page_stats() has it but without the lock. */
uint64_t page_free_count(void);
uint64_t page_total_count(void);

void kmem_init(void); /* page_init: forget everything */
