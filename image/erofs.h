// SPDX-License-Identifier: Apache-2.0
/* The merged tree -> EROFS metadata, byte for byte reproducible. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct tree;

struct erofs_spec {
    /* Per layer number: where its data file starts behind the metadata, in
     * blocks, and how many blocks of it are used. */
    const struct erofs_layer {
        uint64_t at;
        uint64_t used;
    } * layers;
    size_t layer_count;
    uint64_t data_blocks; /* of all data files, as extended */
    uint64_t build_time;  /* seconds */
    uint8_t uuid[16];
};

struct erofs_image {
    uint8_t *data; /* owned */
    size_t size;   /* bytes, whole blocks */
};

/*
 * Lay out and write all of the metadata. The concatenation is `out`, extended
 * to 2 MiB, then the data files. Marks inodes of `t`: one call per tree.
 * -EBADMSG when an inode points outside its layer's data, -EFBIG when block
 * numbers do not fit. The caller erofs_finis *out.
 */
int erofs_build(struct tree *t, const struct erofs_spec *spec,
                struct erofs_image *out, struct err *e);

void erofs_fini(struct erofs_image *image);
