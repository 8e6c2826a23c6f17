// SPDX-License-Identifier: Apache-2.0
/* Reads everything an image claims to have, within bounds: for damaged images
 * in the unit test and the fuzzer. */
#pragma once

#include "guest/core/page.h"
#include "guest/fs/erofs.h"

static inline void erofs_walk_data(const struct erofs *e,
                                   const struct erofs_inode *i)
{
    uint8_t buf[300];
    uint64_t pos = 0;
    for (unsigned n = 0; n < 300; n++) {
        int64_t r = erofs_pread(e, i, buf, sizeof(buf), pos);
        if (r <= 0)
            break;
        pos += (uint64_t)r;
    }
    (void)erofs_pread(e, i, buf, sizeof(buf), i->size - 1);
    for (uint64_t index = 0; index < 16; index++) {
        paddr_t pa;
        uint64_t run;
        if (erofs_page(e, i, index, &pa, &run) != 0)
            break;
        const volatile uint8_t *page = page_virt(pa);
        (void)page[0];
        (void)page[run * 4096 - 1];
    }
}

static inline void erofs_walk_xattrs(const struct erofs *e,
                                     const struct erofs_inode *i)
{
    struct erofs_xattr x;
    uint32_t pos = 0;
    while (erofs_xattr_next(e, i, &pos, &x) == 1) {
        uint8_t value[64];
        if (x.value_size <= sizeof(value))
            (void)erofs_copy(e, x.value, value, x.value_size);
    }
}

static inline void erofs_walk_all(struct image *img)
{
    struct erofs e;
    uint64_t nids[64];
    unsigned count = 1, done = 0;
    if (erofs_open(&e, img) < 0)
        return;
    nids[0] = e.root_nid;
    while (done < count) {
        struct erofs_inode i;
        struct erofs_dirent d, same;
        if (erofs_inode(&e, nids[done++], &i) < 0)
            continue;
        erofs_walk_xattrs(&e, &i);
        erofs_walk_data(&e, &i);
        uint64_t pos = 0;
        for (unsigned n = 0; n < 1000; n++) {
            if ((i.mode & 0170000) != 0040000 ||
                erofs_readdir(&e, &i, &pos, &d) != 1)
                break;
            (void)erofs_lookup(&e, &i, d.name, d.name_size, &same);
            if (count < ARRAY_COUNT(nids))
                nids[count++] = d.nid;
        }
    }
}
