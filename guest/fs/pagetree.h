// SPDX-License-Identifier: Apache-2.0
/* Sparse array of 64-bit words by page index: a radix tree, 64 entries per
 * node; a single word at index 0 needs no node. The owner locks. */
#pragma once

#include "guest/core/types.h"

struct pagetree {
    uint64_t root; /* height 0: the entry of index 0, else a node's address */
    uint32_t height;
};

uint64_t pagetree_get(const struct pagetree *t, uint64_t index); /* 0: none */
int pagetree_set(struct pagetree *t, uint64_t index,
                 uint64_t value); /* 0, -ENOMEM */
/* First index >= `index` with an entry, into *value; UINT64_MAX: none. */
uint64_t pagetree_next(const struct pagetree *t, uint64_t index,
                       uint64_t *value);
void pagetree_fini(struct pagetree *t); /* the nodes; entries are the owner's */
