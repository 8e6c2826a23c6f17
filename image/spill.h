// SPDX-License-Identifier: Apache-2.0
/*
 * Memory for an image of any size: beyond a limit it lies in a file of the
 * store, and what was not used lately leaves our resident set for the page
 * cache, from where the kernel may take it. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "image/store.h"

struct err;

enum {
    SPILL_PLAIN_MAX = 16 << 20, /* of ordinary memory, before that */
    SPILL_STEPS = 256,          /* between two looks */
};

struct spill {
    struct store *store; /* borrowed; NULL: always ordinary memory */
    size_t plain_max;
    size_t plain;
    struct spill_piece *pieces; /* ordinary ones */
    struct store_temp file;
    uint8_t *map; /* all of what the file may become, or NULL */
    size_t used;
    size_t size; /* of the file: the blocks are there */
    struct {
        void *at;
        size_t size;
    } watched[128];
    unsigned watched_count;
    size_t watched_size;
    unsigned steps;
};

/* spill_fini() takes a zeroed one, too; all memory ends there. */
void spill_init(struct spill *p, struct store *store);
void spill_fini(struct spill *p);

/* Zeroed, aligned to 16; NULL and *e when out of memory or disk. */
void *spill_alloc(struct spill *p, size_t size, struct err *e);

/* A file mapped read-only that is walked alongside: its pages leave, too. The
 * first 128 are taken. */
void spill_watch(struct spill *p, void *map, size_t size);

/* Something was looked up, moved or written: some pages of this memory. */
void spill_breathe(struct spill *p);
static inline void spill_step(struct spill *p)
{
    if (++p->steps >= SPILL_STEPS)
        spill_breathe(p);
}
