// SPDX-License-Identifier: Apache-2.0
/*
 * Physical pages. Frames of RAM have a reference count; paddrs outside RAM
 * (the image window) are valid arguments of page_get and page_put and are
 * ignored, so mappings need not know which they hold.
 * One 2 MiB block is filled before the next is opened (machine.md); a frame
 * never used since boot is known to be zero and is not cleared again.
 */
#pragma once

#include "guest/core/types.h"

struct boot_info;

enum page_flags {
    PAGE_ZERO = 1 << 0,   /* contents are zero */
    PAGE_KERNEL = 1 << 1, /* may use the reserve kept for the kernel */
};

void page_init(const struct boot_info *bi);

/* 2^order pages, aligned to their size, count 1; order 0..9. 0: none left
 * (the caller decides: -ENOMEM, or core/oom.h). Any context. */
paddr_t page_alloc(unsigned order, unsigned flags);
void page_get(paddr_t pa);
void page_put(paddr_t pa); /* frees at 0, with the order it was allocated */
uint32_t page_refs(paddr_t pa);
/* Turn a block into single frames, each with the block's count. */
void page_split(paddr_t pa);

/* Kernel address of a paddr (RAM, window or device) and back. */
void *page_virt(paddr_t pa);
paddr_t page_phys(const void *va);

/* Kernel memory not counted by pages above: page tables. Such frames never
 * return to the general pool (machine.md). Zeroed. 0 when none. */
paddr_t page_table_alloc(void);
paddr_t page_table_alloc_pair(void); /* two, 8 KiB-aligned: PVM roots */
void page_table_free(paddr_t pa);
void page_table_free_pair(paddr_t pa);

struct page_stats {
    uint64_t total; /* pages the pool manages */
    uint64_t free;
    uint64_t cached; /* page contents of files (tmpfs) */
    uint64_t high;   /* most ever used */
};
void page_stats(struct page_stats *out);
void page_count_cached(int64_t delta);
