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
 * last. The caller holds q->lock, and rings without it: a doorbell wakes the
 * monitor, and where CPUs are few that runs instead of us, while the other CPU
 * would spin for milliseconds. */
bool virtq_kick_due(struct virtq *q);
/* Unlock what spin_lock_irq(&q->lock) locked, then ring if that is due: the
 * doorbell of everybody who has a lock. */
void virtq_unlock_kick(struct virtq *q, unsigned long flags);
void virtq_doorbell(struct virtq *q); /* mmio.c: write QueueNotify */
