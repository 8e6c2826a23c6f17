// SPDX-License-Identifier: Apache-2.0
/* The root image: a window of memory, or blocks of a disk kept in memory. */
#pragma once

#include "guest/core/lock.h"
#include "guest/fs/fs.h"
#include "guest/fs/pagetree.h"

struct image {
    const uint8_t *base; /* window, or NULL */
    paddr_t pa;          /* window: a multiple of PAGE_SIZE */
    uint64_t size;       /* bytes */
    unsigned disk;       /* without a window */
    struct mutex lock;   /* the rest */
    struct pagetree pages;
    uint64_t loaded, limit; /* pages in `pages` */
    uint64_t hand;          /* where the search for one to reuse goes on */
};

void image_init_window(struct image *img, paddr_t pa, uint64_t size);
void image_init_disk(struct image *img, unsigned disk, uint64_t size);
