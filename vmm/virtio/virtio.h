// SPDX-License-Identifier: Apache-2.0
/* What a virtio device is, whatever transport carries it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/queue.h"

struct virtio_dev;

enum { VIRTIO_QUEUES_MAX = 8, VIRTIO_CONFIG_MAX = 64 };

/*
 * A device type. Facts that never change are data, behaviour is a function;
 * every function is called on the device thread and must not block.
 */
struct virtio_ops {
    const char *name; /* for messages */
    uint32_t type;    /* enum virtio_id */
    uint16_t queue_count;
    uint16_t queue_size; /* descriptors per queue, a power of two */

    /* The driver set DRIVER_OK: queues and features are final. */
    void (*start)(struct virtio_dev *vd);
    /* The driver rang queue `qi`, or there may be work on it. */
    void (*notify)(struct virtio_dev *vd, uint16_t qi);
    /* Forget everything since start(). Idempotent. */
    void (*stop)(struct virtio_dev *vd);
};

/* Embedded as the first member, named `vd`, in each device's struct. */
struct virtio_dev {
    const struct virtio_ops *ops;
    uint64_t features;    /* offered, set by the constructor */
    uint64_t acked;       /* accepted, a subset; set by the transport */
    bool preset;          /* handed over in DRIVER_OK, set by the transport */
    uint32_t config_size; /* bytes of `config` in use */
    uint8_t config[VIRTIO_CONFIG_MAX]; /* read-only to the driver */
    struct virtq queue[VIRTIO_QUEUES_MAX];
    struct virtio_mmio *transport; /* set by virtio_mmio_init() */
};

/* Transport services, device thread. */

/* Interrupt for queue `qi` if the driver wants one for what was pushed. */
void virtio_signal(struct virtio_dev *vd, uint16_t qi);
/* The driver broke the rules on queue `qi`: device needs reset. */
void virtio_fail(struct virtio_dev *vd, uint16_t qi);
/* `config` changed. */
void virtio_config_changed(struct virtio_dev *vd);
/* Call notify(qi) again from the event loop. */
void virtio_kick(struct virtio_dev *vd, uint16_t qi);
