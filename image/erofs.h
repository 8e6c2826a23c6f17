// SPDX-License-Identifier: Apache-2.0
/* The merged tree -> EROFS metadata, byte for byte reproducible. */
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

/*
 * Lay out and write all of the metadata to `fd`, an empty file, read-write;
 * *size: its bytes, whole blocks. The concatenation is that file, extended
 * to 2 MiB, then the data files. Marks inodes of `t`: one call per tree.
 * -EBADMSG when an inode points outside its layer's data, -EFBIG when block
 * numbers do not fit.
 */
int erofs_write(struct tree *t, const struct erofs_spec *spec, int fd,
                uint64_t *size, struct err *e);
