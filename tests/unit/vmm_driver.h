// SPDX-License-Identifier: Apache-2.0
/* The driver side of one virtqueue in a small guest memory, for tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/virtio_ring.h"

#include "base/err.h"
#include "vmm/gmem.h"
#include "vmm/virtio/queue.h"

enum { DRIVER_QUEUE_SIZE = 8, DRIVER_DATA = 0x100000 };

struct driver {
    const struct gmem *mem;
    struct virtq_place place;
    uint16_t avail_idx;
};

/* Rings of queue number `i` at 64 KiB + i * 4 KiB. */
static inline void driver_init(struct driver *d, const struct gmem *m,
                               unsigned i)
{
    uint64_t at = 0x10000 + 0x1000 * (uint64_t)i;
    *d = (struct driver){.mem = m,
                         .place = {.desc = at,
                                   .avail = at + 0x200,
                                   .used = at + 0x400,
                                   .size = DRIVER_QUEUE_SIZE}};
    memset(gmem_at(m, gpa(at), 0x1000), 0, 0x1000);
}

static inline struct virtq_desc *driver_desc(const struct driver *d, unsigned i)
{
    struct virtq_desc *t =
        gmem_at(d->mem, gpa(d->place.desc), UINT64_C(16) * DRIVER_QUEUE_SIZE);
    return &t[i];
}

static inline struct virtq_avail *driver_avail(const struct driver *d)
{
    return gmem_at(d->mem, gpa(d->place.avail), 0x100);
}

static inline struct virtq_used *driver_used(const struct driver *d)
{
    return gmem_at(d->mem, gpa(d->place.used), 0x100);
}

/* Make the chain that starts at descriptor `head` available. */
static inline void driver_offer(struct driver *d, uint16_t head)
{
    struct virtq_avail *a = driver_avail(d);
    a->ring[d->avail_idx % DRIVER_QUEUE_SIZE] = head;
    d->avail_idx++;
    __atomic_store_n(&a->idx, d->avail_idx, __ATOMIC_RELEASE);
}

/* One descriptor as a whole chain. */
static inline void driver_put(struct driver *d, uint16_t head, uint64_t at,
                              uint32_t len, bool in)
{
    *driver_desc(d, head) =
        (struct virtq_desc){at, len, in ? VIRTQ_DESC_F_WRITE : 0, 0};
    driver_offer(d, head);
}
