// SPDX-License-Identifier: Apache-2.0
/* Virtio block device. Source: VIRTIO 1.2, section 5.2. */
#pragma once

#include "abi/abi.h"

#define VIRTIO_BLK_SECTOR 512 /* bytes; the unit of `sector` and `capacity` */

#define VIRTIO_BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_RO      (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_FLUSH   (UINT64_C(1) << 9)

/* 5.2.4, as far as our features make it meaningful. */
struct virtio_blk_config {
    uint64_t capacity; /* sectors */
    uint32_t size_max;
    uint32_t seg_max; /* data segments in one request */
};

/* 5.2.6: device-readable head; then data; then one status byte. */
struct virtio_blk_req {
    uint32_t type; /* enum virtio_blk_type */
    uint32_t reserved;
    uint64_t sector;
};

enum virtio_blk_type {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8, /* 20 bytes of name */
};

enum virtio_blk_status {
    VIRTIO_BLK_S_OK = 0,
    VIRTIO_BLK_S_IOERR = 1,
    VIRTIO_BLK_S_UNSUPP = 2,
};

#define VIRTIO_BLK_ID_SIZE 20

ABI_SIZE(struct virtio_blk_config, 16);
ABI_SIZE(struct virtio_blk_req, 16);
