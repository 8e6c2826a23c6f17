// SPDX-License-Identifier: Apache-2.0
/* Device side of a split virtqueue. */
#include "vmm/virtio/queue.h"

#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "vmm/gmem.h"

/* A ring at `at`, or NULL if it is not all RAM or not aligned. */
static void *ring_at(const struct gmem *m, uint64_t at, uint64_t size,
                     uint64_t align)
{
    return at % align != 0 ? NULL : gmem_at(m, gpa(at), size);
}

int virtq_start(struct virtq *q, const struct gmem *m, bool event_idx)
{
    const struct virtq_place *p = &q->place;
    if (p->size == 0 || p->size > VIRTQ_SIZE_MAX ||
        (p->size & (p->size - 1)) != 0)
        return -EINVAL;
    q->mem = m;
    q->desc = ring_at(m, p->desc, VIRTQ_DESC_SIZE(p->size), VIRTQ_DESC_ALIGN);
    q->avail =
        ring_at(m, p->avail, VIRTQ_AVAIL_SIZE(p->size), VIRTQ_AVAIL_ALIGN);
    q->used = ring_at(m, p->used, VIRTQ_USED_SIZE(p->size), VIRTQ_USED_ALIGN);
    if (q->desc == NULL || q->avail == NULL || q->used == NULL)
        return -EINVAL;
    q->event_idx = event_idx;
    q->broken = false;
    q->last_avail = q->used_idx = q->signalled = 0;
    q->ready = true;
    return 0;
}

void virtq_stop(struct virtq *q)
{
    *q = (struct virtq){0};
}

/* Append one descriptor to the chain; false if it breaks a rule. */
static bool chain_add(struct virtq *q, struct virtq_chain *c,
                      const struct virtq_desc *d)
{
    if ((d->flags & VIRTQ_DESC_F_INDIRECT) != 0) /* not offered */
        return false;
    unsigned n = (unsigned)c->out + c->in;
    void *p = gmem_at(q->mem, gpa(d->addr), d->len);
    if (p == NULL || n == ARRAY_COUNT(c->iov))
        return false;
    c->iov[n] = (struct iovec){p, d->len};
    if ((d->flags & VIRTQ_DESC_F_WRITE) != 0) {
        c->in++;
        c->in_size += d->len;
        return true;
    }
    c->out++;
    c->out_size += d->len;
    return c->in == 0; /* 2.7.4.2: readable ones come first */
}

static bool chain_collect(struct virtq *q, struct virtq_chain *c)
{
    uint16_t i = c->head;
    /* A chain cannot be longer than the table: a longer one is a loop. */
    for (unsigned n = 0; n < q->place.size; n++) {
        if (i >= q->place.size)
            return false;
        struct virtq_desc d;
        memcpy(&d, &q->desc[i], sizeof(d)); /* once; then checked */
        if (!chain_add(q, c, &d))
            return false;
        if ((d.flags & VIRTQ_DESC_F_NEXT) == 0)
            return true;
        i = d.next;
    }
    return false;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
    if (!q->ready || q->broken)
        return 0;
    /* Pairs with the driver's release of avail->idx after ring and table. */
    uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
    uint16_t waiting = (uint16_t)(idx - q->last_avail);
    if (waiting == 0)
        return 0;
    c->out = c->in = 0;
    c->out_size = c->in_size = 0;
    uint16_t slot = q->last_avail & (uint16_t)(q->place.size - 1);
    c->head = __atomic_load_n(&q->avail->ring[slot], __ATOMIC_RELAXED);
    if (waiting > q->place.size || !chain_collect(q, c)) {
        q->broken = true;
        return -EPROTO;
    }
    q->last_avail++;
    return 1;
}

uint16_t virtq_waiting(const struct virtq *q)
{
    if (!q->ready || q->broken)
        return 0;
    uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
    return (uint16_t)(idx - q->last_avail);
}

void virtq_stage(struct virtq *q, uint16_t head, uint32_t written)
{
    if (!q->ready)
        return;
    uint16_t slot = q->used_idx & (uint16_t)(q->place.size - 1);
    struct virtq_used_elem el = {head, written};
    memcpy(&q->used->ring[slot], &el, sizeof(el));
    q->used_idx++;
}

void virtq_push(struct virtq *q, const struct virtq_chain *c, uint32_t written)
{
    virtq_stage(q, c->head, written);
    virtq_publish(q);
}

void virtq_publish(struct virtq *q)
{
    if (!q->ready)
        return;
    /* Pairs with the driver's acquire of used->idx. */
    __atomic_store_n(&q->used->idx, q->used_idx, __ATOMIC_RELEASE);
}

/* The u16 after avail->ring and after used->ring, 2.7.6 and 2.7.8. */
static uint16_t *used_event(const struct virtq *q)
{
    return &q->avail->ring[q->place.size];
}

static void set_avail_event(struct virtq *q, uint16_t v)
{
    uint8_t *p = (uint8_t *)q->used + VIRTQ_USED_SIZE(q->place.size) - 2;
    /* used is 4-aligned and its size less two is even. */
    __atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_RELAXED);
}

bool virtq_arm(struct virtq *q)
{
    if (!q->ready || q->broken)
        return false;
    if (q->event_idx)
        set_avail_event(q, q->last_avail);
    /* Our event before their index; the driver orders the other way round. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE) != q->last_avail;
}

bool virtq_should_signal(struct virtq *q)
{
    if (!q->ready || q->signalled == q->used_idx)
        return false;
    uint16_t old = q->signalled;
    q->signalled = q->used_idx;
    /* used->idx before the driver's event or flag. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->event_idx)
        return virtq_need_event(
            __atomic_load_n(used_event(q), __ATOMIC_RELAXED), q->used_idx, old);
    uint16_t flags = __atomic_load_n(&q->avail->flags, __ATOMIC_RELAXED);
    return (flags & 1) == 0; /* VIRTQ_AVAIL_F_NO_INTERRUPT */
}

unsigned virtq_slice(const struct iovec *iov, unsigned count, uint64_t off,
                     uint64_t len, struct iovec *out, unsigned max)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count && len > 0 && n < max; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        uint64_t take = iov[i].iov_len - off;
        if (take > len)
            take = len;
        out[n++] = (struct iovec){(uint8_t *)iov[i].iov_base + off, take};
        len -= take;
        off = 0;
    }
    return n;
}

size_t virtq_copy_out(const struct virtq_chain *c, uint64_t off, void *buf,
                      size_t len)
{
    struct iovec part[VIRTQ_IOV_MAX];
    unsigned n = virtq_slice(c->iov, c->out, off, len, part, VIRTQ_IOV_MAX);
    size_t done = 0;
    for (unsigned i = 0; i < n; i++) {
        memcpy((uint8_t *)buf + done, part[i].iov_base, part[i].iov_len);
        done += part[i].iov_len;
    }
    return done;
}

size_t virtq_copy_in(const struct virtq_chain *c, uint64_t off, const void *buf,
                     size_t len)
{
    struct iovec part[VIRTQ_IOV_MAX];
    unsigned n =
        virtq_slice(c->iov + c->out, c->in, off, len, part, VIRTQ_IOV_MAX);
    size_t done = 0;
    for (unsigned i = 0; i < n; i++) {
        memcpy(part[i].iov_base, (const uint8_t *)buf + done, part[i].iov_len);
        done += part[i].iov_len;
    }
    return done;
}
