// SPDX-License-Identifier: Apache-2.0
/* Split virtqueues, private to guest/virtio. Virtio 1.2, 2.7. */
#pragma once

#include "guest/virtio/virtio.h"

/* A queue over zeroed rings; desc, avail and used are the caller's to set. */
void virtq_init(struct virtq *q, struct virtio_device *d, uint16_t index,
                uint16_t size);
/* The same queue and rings again, as new. */
void virtq_reset(struct virtq *q);
bool virtq_has_used(const struct virtq *q);
/* True: the device asked for a doorbell for what was added since this was asked
 * last. The caller holds q->lock and rings, best without it: a doorbell wakes
 * the monitor, which may take the CPU away from who holds the lock. */
bool virtq_kick_due(struct virtq *q);
void virtq_doorbell(struct virtq *q); /* mmio.c: write QueueNotify */
