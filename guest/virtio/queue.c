// SPDX-License-Identifier: Apache-2.0
#include "guest/virtio/queue.h"

#include "abi/linux/errno.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_ring.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"

#define AVAIL_NO_INTERRUPT 1u /* avail.flags, used.flags without EVENT_IDX */
#define USED_NO_NOTIFY     1u

void virtq_init(struct virtq *q, struct virtio_device *d, uint16_t index,
                uint16_t size)
{
    *q = (struct virtq){.dev = d,
                        .index = index,
                        .size = size,
                        .free_head = size,
                        .free_count = size};
}

void virtq_reset(struct virtq *q)
{
    q->free_head = q->free_count = q->size;
    q->fresh = q->avail_idx = q->used_seen = q->signalled = 0;
    memset(q->desc, 0, VIRTQ_DESC_SIZE(q->size));
    memset(q->avail, 0, VIRTQ_AVAIL_SIZE(q->size));
    memset(q->used, 0, VIRTQ_USED_SIZE(q->size));
}

static bool has_event_idx(const struct virtq *q)
{
    return (q->dev->features & VIRTIO_F_EVENT_IDX) != 0;
}

/* 2.7.10: the driver tells here when it wants an interrupt. */
static uint16_t *used_event(const struct virtq *q)
{
    struct virtq_avail *a = q->avail;
    return &a->ring[q->size];
}

/* 2.7.10: and the device, when it wants the doorbell. */
static const uint16_t *avail_event(const struct virtq *q)
{
    const struct virtq_used *u = q->used;
    return (const uint16_t *)(const void *)&u->ring[q->size];
}

static uint16_t desc_take(struct virtq *q)
{
    struct virtq_desc *desc = q->desc;
    q->free_count--;
    if (q->free_head == q->size)
        return q->fresh++;
    uint16_t i = q->free_head;
    q->free_head = desc[i].next;
    return i;
}

int virtq_add(struct virtq *q, const struct virtq_buf *bufs, unsigned out,
              unsigned in, void *cookie)
{
    unsigned count = out + in;
    if (q->cookies == NULL) {
        q->cookies = kzalloc(q->size * sizeof(*q->cookies));
        if (q->cookies == NULL)
            return -ENOMEM;
    }
    if (count == 0 || count > q->free_count)
        return -EAGAIN;
    struct virtq_desc *desc = q->desc;
    uint16_t head = 0, prev = 0;
    for (unsigned i = 0; i < count; i++) {
        uint16_t d = desc_take(q);
        desc[d] = (struct virtq_desc){
            .addr = bufs[i].pa,
            .len = bufs[i].size,
            .flags = i < out ? 0 : VIRTQ_DESC_F_WRITE,
        };
        if (i == 0) {
            head = d;
        } else {
            desc[prev].flags |= VIRTQ_DESC_F_NEXT;
            desc[prev].next = d;
        }
        prev = d;
    }
    q->cookies[head] = cookie;
    struct virtq_avail *a = q->avail;
    a->ring[q->avail_idx & (q->size - 1)] = head;
    /* The device reads idx, then the ring entry: 2.7.13.3. */
    __atomic_store_n(&a->idx, ++q->avail_idx, __ATOMIC_RELEASE);
    return 0;
}

bool virtq_kick_due(struct virtq *q)
{
    uint16_t before = q->signalled, now = q->avail_idx;
    if (before == now)
        return false;
    q->signalled = now;
    /* idx must be visible before we read what the device asks for (its side:
     * it writes avail_event, then reads idx once more). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (has_event_idx(q)) {
        uint16_t event = __atomic_load_n(avail_event(q), __ATOMIC_RELAXED);
        return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
    }
    const struct virtq_used *u = q->used;
    return (__atomic_load_n(&u->flags, __ATOMIC_RELAXED) & USED_NO_NOTIFY) == 0;
}

void virtq_kick(struct virtq *q)
{
    if (virtq_kick_due(q))
        virtq_doorbell(q);
}

void virtq_unlock_kick(struct virtq *q, unsigned long flags)
{
    bool due = virtq_kick_due(q);
    spin_unlock_irq(&q->lock, flags);
    if (due)
        virtq_doorbell(q);
}

bool virtq_has_used(const struct virtq *q)
{
    const struct virtq_used *u = q->used;
    /* Pairs with the device's release of idx after the element. */
    return __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) != q->used_seen;
}

void *virtq_pop(struct virtq *q, uint32_t *written)
{
    if (!virtq_has_used(q))
        return NULL;
    const struct virtq_used *u = q->used;
    struct virtq_desc *desc = q->desc;
    struct virtq_used_elem e = u->ring[q->used_seen & (q->size - 1)];
    q->used_seen++;
    if (e.id >= q->size || q->cookies == NULL)
        return NULL;
    uint16_t last = (uint16_t)e.id;
    q->free_count++;
    for (unsigned n = 1;
         (desc[last].flags & VIRTQ_DESC_F_NEXT) != 0 && n < q->size; n++) {
        last = desc[last].next;
        q->free_count++;
    }
    desc[last].next = q->free_head;
    q->free_head = (uint16_t)e.id;
    if (written != NULL)
        *written = e.len;
    void *cookie = q->cookies[e.id];
    q->cookies[e.id] = NULL;
    return cookie;
}

void *virtq_take_back(struct virtq *q)
{
    for (uint16_t i = 0; q->cookies != NULL && i < q->size; i++) {
        void *cookie = q->cookies[i];
        q->cookies[i] = NULL;
        if (cookie != NULL)
            return cookie;
    }
    return NULL;
}

bool virtq_enable_irq(struct virtq *q)
{
    struct virtq_avail *a = q->avail;
    if (has_event_idx(q))
        __atomic_store_n(used_event(q), q->used_seen, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&a->flags, 0, __ATOMIC_RELAXED);
    /* The device writes used.idx, then reads used_event: 2.7.7.2. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !virtq_has_used(q);
}

void virtq_disable_irq(struct virtq *q)
{
    struct virtq_avail *a = q->avail;
    if (has_event_idx(q)) /* as far away as it can be */
        __atomic_store_n(used_event(q), (uint16_t)(q->used_seen - 1),
                         __ATOMIC_RELAXED);
    else
        __atomic_store_n(&a->flags, AVAIL_NO_INTERRUPT, __ATOMIC_RELAXED);
}
