// SPDX-License-Identifier: Apache-2.0
/* virtio-rng: fresh bytes for the kernel's generator. Virtio 1.2, 5.4. */
#include "abi/virtio_mmio.h"

#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/virtio/queue.h"

#define RNG_BYTES    64
#define RNG_INTERVAL (300 * NSEC_PER_SEC)
#define RNG_QUEUE    8

/* boot_info.seed is good for the start, so nothing is asked at boot. */
static struct {
    struct virtio_device *dev;
    nsec_t next; /* not before: atomic */
    char bytes[RNG_BYTES];
} rng;

static void rng_interrupt(struct virtq *q)
{
    uint32_t size = 0;
    unsigned long flags = spin_lock_irq(&q->lock);
    char *bytes = virtq_pop(q, &size);
    if (bytes != NULL) {
        krandom_seed(bytes, MIN(size, RNG_BYTES));
        memset(bytes, 0, RNG_BYTES);
    }
    (void)virtq_enable_irq(q);
    spin_unlock_irq(&q->lock, flags);
}

void virtio_rng_reseed(void)
{
    nsec_t now = clock_now();
    nsec_t next = __atomic_load_n(&rng.next, __ATOMIC_RELAXED);
    if (rng.dev == NULL || now < next ||
        !__atomic_compare_exchange_n(&rng.next, &next, now + RNG_INTERVAL,
                                     false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    struct virtq *q = &rng.dev->queues[0];
    struct virtq_buf b = {page_phys(rng.bytes), RNG_BYTES};
    unsigned long flags = spin_lock_irq(&q->lock);
    (void)virtq_add(q, &b, 0, 1, rng.bytes); /* busy: the last one will do */
    virtq_unlock_kick(q, flags);
}

void virtio_rng_init(struct virtio_device *d)
{
    if (rng.dev != NULL ||
        virtio_start(d, VIRTIO_F_EVENT_IDX, 1, RNG_QUEUE) < 0)
        return;
    d->queues[0].fn = rng_interrupt;
    rng.next = clock_now() + RNG_INTERVAL;
    rng.dev = d;
}
