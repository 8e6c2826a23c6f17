// SPDX-License-Identifier: Apache-2.0
/* A disk: one fd, read and written in place by the device thread. */
#pragma once

#include "vmm/virtio/virtio.h"

struct err;

struct virtio_blk {
    struct virtio_dev vd; /* first member */
    int fd;               /* borrowed */
    bool readonly;
    uint64_t size; /* bytes, a multiple of 512 */
    char id[20];
};

/* `index` names the disk. -EINVAL if the file is not a multiple of 512. */
int virtio_blk_init(struct virtio_blk *b, int fd, bool readonly, unsigned index,
                    struct err *e);
