// SPDX-License-Identifier: Apache-2.0
/*
 * Messages on their way: small ones in one piece of the heap, others in blocks
 * of pages that are filled from the sender and read by the receiver in place.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/unix_impl.h"

#define PACKET_SMALL 2048u  /* largest piece of the heap below a page */
#define CHUNK_MAX    32768u /* order 3 */
#define OVERHEAD     512u   /* charged for each: bounds empty messages */

static uint32_t chunk_count(const struct unix_packet *p)
{
    return p->chunk_size == 0 ? 0
                              : (p->size + p->chunk_size - 1) / p->chunk_size;
}

static void packet_free(struct unix_packet *p)
{
    for (uint32_t i = 0; i < chunk_count(p); i++) {
        if (p->chunks[i] != NULL)
            page_put(page_phys(p->chunks[i]));
    }
    control_fini(&p->control);
    kfree(p);
}

static struct unix_packet *packet_new_small(uint32_t size)
{
    struct unix_packet *p = kmalloc(sizeof(*p) + size);
    if (p != NULL)
        *p = (struct unix_packet){.refs = 1, .size = size};
    return p;
}

static struct unix_packet *packet_new_chunks(uint32_t size, unsigned order)
{
    uint32_t chunk = (uint32_t)PAGE_SIZE << order;
    uint32_t count = (size + chunk - 1) / chunk;
    struct unix_packet *p = kzalloc(sizeof(*p) + count * sizeof(p->chunks[0]));
    if (p == NULL)
        return NULL;
    p->refs = 1;
    p->size = size;
    p->chunk_size = chunk;
    for (uint32_t i = 0; i < count; i++) {
        paddr_t pa = page_alloc(order, 0);
        if (pa == 0) {
            packet_free(p);
            return NULL;
        }
        p->chunks[i] = page_virt(pa);
    }
    p->charge = count * chunk;
    return p;
}

static struct unix_packet *packet_alloc(uint32_t size)
{
    struct unix_packet *p;
    if (size <= PACKET_SMALL - sizeof(*p)) {
        p = packet_new_small(size);
    } else {
        unsigned order = 0;
        while (PAGE_SIZE << order < MIN(size, CHUNK_MAX))
            order++;
        p = packet_new_chunks(size, order);
        if (p == NULL && order > 0) /* memory may be there in small pieces */
            p = packet_new_chunks(size, 0);
    }
    if (p != NULL)
        p->charge = OVERHEAD + MAX(p->charge, size);
    return p;
}

/* Where byte `off` is, and how many follow it there. */
static uint8_t *packet_at(const struct unix_packet *p, uint32_t off,
                          uint32_t *run)
{
    if (p->chunk_size == 0) {
        *run = p->size - off;
        return (uint8_t *)(uintptr_t)p->chunks + off;
    }
    uint32_t in = off % p->chunk_size;
    *run = MIN(p->chunk_size - in, p->size - off);
    return p->chunks[off / p->chunk_size] + in;
}

int unix_packet_new(struct uio *u, uint32_t size, struct unix_packet **out)
{
    struct unix_packet *p = packet_alloc(size);
    if (p == NULL)
        return -ENOBUFS;
    for (uint32_t off = 0; off < size;) {
        uint32_t run;
        uint8_t *to = packet_at(p, off, &run);
        if (uio_get(u, to, run) != (int64_t)run) {
            packet_free(p);
            return -EFAULT;
        }
        off += run;
    }
    *out = p;
    return 0;
}

int64_t unix_packet_read(const struct unix_packet *p, uint32_t off, uint32_t n,
                         struct uio *u)
{
    for (uint32_t end = off + n; off < end;) {
        uint32_t run;
        const uint8_t *from = packet_at(p, off, &run);
        run = MIN(run, end - off);
        if (uio_put(u, from, run) != (int64_t)run)
            return -EFAULT;
        off += run;
    }
    return n;
}

void unix_packet_push(struct unix_sock *to, struct unix_sock *from,
                      struct unix_packet *p)
{
    unix_get(from);
    p->from = from;
    from->sent += p->charge;
    list_add_tail(&to->queue, &p->node);
    to->queue_count++;
    to->queue_bytes += p->size;
    if (p->control.files != NULL)
        unix_inflight_add(p->control.files);
    waitq_wake(&to->s.in_wait, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND, 1);
}

void unix_packet_remove(struct unix_sock *u, struct unix_packet *p)
{
    list_remove(&p->node);
    u->queue_count--;
    u->queue_bytes -= p->size - p->off;
    if (p->control.files != NULL)
        unix_inflight_sub(p->control.files);
}

void unix_packet_put(struct unix_packet *p)
{
    spin_lock(&unix_lock);
    bool last = --p->refs == 0;
    struct unix_sock *from = p->from;
    if (last && from != NULL) {
        from->sent -= p->charge;
        if (unix_has_room(from))
            waitq_wake(&from->s.out_wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
                       1);
        unix_put(from);
    }
    spin_unlock(&unix_lock);
    if (last)
        packet_free(p);
}
