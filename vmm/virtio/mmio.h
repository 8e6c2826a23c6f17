// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-mmio transport, register layout 2 (virtio 1.2, 4.2), and preset
 * devices (docs/boot.md). Device thread only.
 */
#pragma once

#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"
#include "vmm/virtio/virtio.h"

struct err;
struct gmem;

struct virtio_bell {
    struct loop_source source; /* first member: the ioeventfd */
    struct virtio_mmio *owner;
    uint16_t queue;
};

struct virtio_mmio {
    struct bus_window window; /* first member */
    struct virtio_dev *dev;   /* borrowed */
    const struct gmem *mem;
    struct loop *loop;
    const struct irq_lines *irqs;
    unsigned line; /* configuration changes; queue i has line + 1 + i, or the
                    * same where lines are shared */
    struct virtio_bell bell[VIRTIO_QUEUES_MAX];  /* fds owned */
    struct virtq_place place[VIRTIO_QUEUES_MAX]; /* as the driver wrote it */
    bool place_ready[VIRTIO_QUEUES_MAX];
    uint32_t status;
    uint32_t interrupt;
    uint32_t generation;
    uint32_t queue_sel;
    uint32_t device_features_sel;
    uint32_t driver_features_sel;
};

/* Take lines and doorbells for `dev` and watch them. */
int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev,
                     const struct gmem *m, struct loop *l,
                     struct irq_lines *irqs, struct err *e);
void virtio_mmio_fini(struct virtio_mmio *t);

/* `dev`, of as many queues as the one before, takes its place, reset: lines and
 * doorbells stay. */
void virtio_mmio_replace(struct virtio_mmio *t, struct virtio_dev *dev);

/*
 * Hand the device over in DRIVER_OK with all its features and its queues at
 * `place[ops->queue_count]` (ours, zeroed). -EINVAL if a queue is not in RAM.
 */
int virtio_mmio_preset(struct virtio_mmio *t, const struct virtq_place *place,
                       struct err *e);

/* Guest-physical address of the doorbell register. */
uint64_t virtio_mmio_bell(const struct virtio_mmio *t);
