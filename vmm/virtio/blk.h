// SPDX-License-Identifier: Apache-2.0
/* A disk: one file, or several one after another; read and written in place by
 * the device thread. */
#pragma once

#include "vmm/virtio/virtio.h"

struct err;

struct virtio_blk_part {
    int fd; /* borrowed */
    uint64_t size;
};

struct virtio_blk {
    struct virtio_dev vd;       /* first member */
    struct virtio_blk_part one; /* what `part` is for a disk of one file */
    const struct virtio_blk_part *part;
    unsigned part_count;
    bool readonly;
    uint64_t size; /* bytes, a multiple of 512 */
    char id[20];
};

/* `index` names the disk. -EINVAL if the file is not a multiple of 512. */
int virtio_blk_init(struct virtio_blk *b, int fd, bool readonly, unsigned index,
                    struct err *e);

/* A read-only disk named "limpet-image" of `count` files, each a multiple of
 * 512 bytes. `part` is borrowed. */
void virtio_blk_init_image(struct virtio_blk *b,
                           const struct virtio_blk_part *part, unsigned count);
