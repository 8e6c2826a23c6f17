// SPDX-License-Identifier: Apache-2.0
/*
 * Virtio over MMIO, register layout version 2, and what all devices share.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, sections 2.1, 4.2.2, 5, 6.
 */
#pragma once

#include "abi/abi.h"

#define VIRTIO_MMIO_MAGIC   UINT32_C(0x74726976) /* "virt" */
#define VIRTIO_MMIO_VERSION UINT32_C(2)
#define VIRTIO_VENDOR_ID    UINT32_C(0x504d494c) /* "LIMP" */

/* Register offsets in bytes; all are 32 bits wide. 4.2.2. */
enum virtio_mmio_reg {
    VIRTIO_MMIO_REG_MAGIC_VALUE = 0x000,         /* R */
    VIRTIO_MMIO_REG_VERSION = 0x004,             /* R */
    VIRTIO_MMIO_REG_DEVICE_ID = 0x008,           /* R */
    VIRTIO_MMIO_REG_VENDOR_ID = 0x00c,           /* R */
    VIRTIO_MMIO_REG_DEVICE_FEATURES = 0x010,     /* R */
    VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL = 0x014, /* W */
    VIRTIO_MMIO_REG_DRIVER_FEATURES = 0x020,     /* W */
    VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL = 0x024, /* W */
    VIRTIO_MMIO_REG_QUEUE_SEL = 0x030,           /* W */
    VIRTIO_MMIO_REG_QUEUE_NUM_MAX = 0x034,       /* R */
    VIRTIO_MMIO_REG_QUEUE_NUM = 0x038,           /* W */
    VIRTIO_MMIO_REG_QUEUE_READY = 0x044,         /* RW */
    VIRTIO_MMIO_REG_QUEUE_NOTIFY = 0x050,        /* W */
    VIRTIO_MMIO_REG_INTERRUPT_STATUS = 0x060,    /* R */
    VIRTIO_MMIO_REG_INTERRUPT_ACK = 0x064,       /* W */
    VIRTIO_MMIO_REG_STATUS = 0x070,              /* RW */
    VIRTIO_MMIO_REG_QUEUE_DESC_LOW = 0x080,      /* W */
    VIRTIO_MMIO_REG_QUEUE_DESC_HIGH = 0x084,     /* W */
    VIRTIO_MMIO_REG_QUEUE_DRIVER_LOW = 0x090,    /* W */
    VIRTIO_MMIO_REG_QUEUE_DRIVER_HIGH = 0x094,   /* W */
    VIRTIO_MMIO_REG_QUEUE_DEVICE_LOW = 0x0a0,    /* W */
    VIRTIO_MMIO_REG_QUEUE_DEVICE_HIGH = 0x0a4,   /* W */
    VIRTIO_MMIO_REG_CONFIG_GENERATION = 0x0fc,   /* R */
    VIRTIO_MMIO_REG_CONFIG = 0x100,              /* RW */
};

/* INTERRUPT_STATUS and INTERRUPT_ACK. */
#define VIRTIO_MMIO_INT_USED   (UINT32_C(1) << 0)
#define VIRTIO_MMIO_INT_CONFIG (UINT32_C(1) << 1)

/* Device status, 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE UINT32_C(1)
#define VIRTIO_STATUS_DRIVER      UINT32_C(2)
#define VIRTIO_STATUS_DRIVER_OK   UINT32_C(4)
#define VIRTIO_STATUS_FEATURES_OK UINT32_C(8)
#define VIRTIO_STATUS_NEEDS_RESET UINT32_C(64)
#define VIRTIO_STATUS_FAILED      UINT32_C(128)

/* Device types, 5. */
enum virtio_id {
    VIRTIO_ID_NONE = 0,
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
};

/* Feature bits that do not belong to one device, 6. */
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)
