// SPDX-License-Identifier: Apache-2.0
/* Shared by the files that change ranges of an address space; lock held. */
#pragma once

#include "guest/core/aspace.h"

/* Cut regions (and huge leaves) so that [start, end) has edges of its own. 0
 * or -ENOMEM. */
int aspace_cut(struct aspace *as, uint64_t start, uint64_t end);
/* Regions taken out are added to *dead: vma_free_list() them, unlocked. */
int aspace_unmap_locked(struct aspace *as, uint64_t start, uint64_t end,
                        struct vma **dead);
/* Raised whenever pages of a mapped file are about to be dropped: a page that
 * get_page gave before must not be mapped after. Atomic. */
extern uint64_t aspace_drops;
/* Page-aligned start, not empty, inside the user half. */
bool aspace_range_ok(uint64_t addr, uint64_t size);
/* RLIMIT_AS and RLIMIT_DATA allow `more` bytes. */
bool aspace_limit(const struct aspace *as, uint64_t more, bool data);
