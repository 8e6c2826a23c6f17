// SPDX-License-Identifier: Apache-2.0
/* Split virtqueues. Source: VIRTIO 1.2, section 2.7. */
#pragma once

#include "abi/abi.h"

/* 2.7.5: one buffer, or a link of a chain. */
struct virtq_desc {
    uint64_t addr;  /* guest-physical, bytes */
    uint32_t len;   /* bytes */
    uint16_t flags; /* VIRTQ_DESC_F_* */
    uint16_t next;  /* index of the next descriptor if F_NEXT */
};
#define VIRTQ_DESC_F_NEXT     (1U << 0)
#define VIRTQ_DESC_F_WRITE    (1U << 1) /* the device writes, not reads */
#define VIRTQ_DESC_F_INDIRECT (1U << 2)

/* 2.7.6: driver -> device; ring[size], then uint16_t used_event. */
struct virtq_avail {
    uint16_t flags; /* ignored with EVENT_IDX */
    uint16_t idx;   /* where the driver puts the next entry, modulo 2^16 */
    uint16_t ring[];
};

struct virtq_used_elem {
    uint32_t id;  /* head of the chain */
    uint32_t len; /* bytes the device wrote */
};

/* 2.7.8: device -> driver; ring[size], then uint16_t avail_event. */
struct virtq_used {
    uint16_t flags;
    uint16_t idx;
    struct virtq_used_elem ring[];
};

#define VIRTQ_DESC_SIZE(n)  (16 * (uint64_t)(n))
#define VIRTQ_AVAIL_SIZE(n) (6 + 2 * (uint64_t)(n)) /* with used_event */
#define VIRTQ_USED_SIZE(n)  (6 + 8 * (uint64_t)(n)) /* with avail_event */
#define VIRTQ_DESC_ALIGN    16
#define VIRTQ_AVAIL_ALIGN   2
#define VIRTQ_USED_ALIGN    4

ABI_SIZE(struct virtq_desc, 16);
ABI_SIZE(struct virtq_used_elem, 8);
ABI_AT(struct virtq_avail, ring, 4);
ABI_AT(struct virtq_used, ring, 4);

/* 2.7.7.2: does moving an index from `old` to `now` pass `event`? */
static inline bool virtq_need_event(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}
