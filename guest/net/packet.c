// SPDX-License-Identifier: Apache-2.0
/* Packets: headers in front, shared pages behind. */
#include "guest/net/packet.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"

#define PACKET_SMALL 128u /* bytes that are worth copying out of a page */

struct packet *packet_new(uint16_t room)
{
    struct packet *p = kmalloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    /* Neither frags nor head need to be cleared. */
    memset(p, 0, offsetof(struct packet, frags));
    list_init(&p->node);
    p->head_off = MIN(room, (uint16_t)PACKET_ROOM);
    return p;
}

void packet_free(struct packet *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->frag_count; i++)
        page_put(p->frags[i].page);
    kfree(p);
}

static uint8_t *frag_at(const struct packet_frag *f)
{
    return (uint8_t *)page_virt(f->page) + f->off;
}

/* `n` bytes off the first frag, which has as many. */
static void frag_eat(struct packet *p, uint32_t n)
{
    struct packet_frag *f = &p->frags[0];
    f->off += n;
    f->size -= n;
    if (f->size != 0)
        return;
    page_put(f->page);
    p->frag_count--;
    memmove(f, f + 1, p->frag_count * sizeof(*f));
}

void *packet_pull(struct packet *p, uint32_t n)
{
    if (n > p->size || n > PACKET_ROOM)
        return NULL;
    if (n > p->head_size && p->head_off + n > PACKET_ROOM) {
        memmove(p->head, p->head + p->head_off, p->head_size);
        p->csum_start = (uint16_t)(p->csum_start - p->head_off);
        p->head_off = 0;
        p->net_size = 0;
    }
    while (p->head_size < n) {
        uint32_t part = MIN(n - p->head_size, p->frags[0].size);
        memcpy(p->head + p->head_off + p->head_size, frag_at(&p->frags[0]),
               part);
        p->head_size = (uint16_t)(p->head_size + part);
        frag_eat(p, part);
    }
    return p->head + p->head_off;
}

void *packet_push(struct packet *p, uint16_t n)
{
    KASSERT(n <= p->head_off);
    p->head_off = (uint16_t)(p->head_off - n);
    p->head_size = (uint16_t)(p->head_size + n);
    p->size += n;
    return p->head + p->head_off;
}

void *packet_append(struct packet *p, uint16_t n)
{
    uint32_t end = (uint32_t)p->head_off + p->head_size;
    if (p->frag_count != 0 || end + n > PACKET_ROOM)
        return NULL;
    p->head_size = (uint16_t)(p->head_size + n);
    p->size += n;
    return p->head + end;
}

void packet_skip(struct packet *p, uint32_t n)
{
    KASSERT(n <= p->size);
    uint32_t part = MIN(n, (uint32_t)p->head_size);
    p->head_off = (uint16_t)(p->head_off + part);
    p->head_size = (uint16_t)(p->head_size - part);
    p->size -= n;
    for (n -= part; n > 0; n -= part) {
        part = MIN(n, p->frags[0].size);
        frag_eat(p, part);
    }
}

void packet_trim(struct packet *p, uint32_t size)
{
    if (size >= p->size)
        return;
    p->size = size;
    if (size <= p->head_size) {
        p->head_size = (uint16_t)size;
        size = 0;
    } else {
        size -= p->head_size;
    }
    unsigned keep = 0;
    while (size > 0) {
        struct packet_frag *f = &p->frags[keep++];
        f->size = MIN(f->size, size);
        size -= f->size;
    }
    while (p->frag_count > keep)
        page_put(p->frags[--p->frag_count].page);
}

int packet_add(struct packet *p, paddr_t page, uint32_t off, uint32_t size)
{
    if (size == 0)
        return 0;
    if (p->frag_count > 0) {
        struct packet_frag *f = &p->frags[p->frag_count - 1];
        if (f->page == page && f->off + f->size == off) {
            f->size += size;
            p->size += size;
            return 0;
        }
    }
    if (p->frag_count == PACKET_FRAGS)
        return -ENOSPC;
    page_get(page);
    p->frags[p->frag_count++] = (struct packet_frag){page, off, size};
    p->size += size;
    return 0;
}

void packet_copy_out(const struct packet *p, uint32_t off, void *to, uint32_t n)
{
    uint8_t *out = to;
    KASSERT(off <= p->size && n <= p->size - off);
    if (off < p->head_size) {
        uint32_t part = MIN(n, p->head_size - off);
        memcpy(out, p->head + p->head_off + off, part);
        out += part;
        n -= part;
        off = 0;
    } else {
        off -= p->head_size;
    }
    for (unsigned i = 0; n > 0; i++) {
        const struct packet_frag *f = &p->frags[i];
        if (off >= f->size) {
            off -= f->size;
            continue;
        }
        uint32_t part = MIN(n, f->size - off);
        memcpy(out, frag_at(f) + off, part);
        out += part;
        n -= part;
        off = 0;
    }
}

uint32_t packet_charge(const struct packet *p)
{
    uint32_t n = 768; /* its class of the heap */
    for (unsigned i = 0; i < p->frag_count; i++) {
        const struct packet_frag *f = &p->frags[i];
        uint32_t in = f->off % (uint32_t)PAGE_SIZE;
        n += ROUND_UP(in + f->size, (uint32_t)PAGE_SIZE);
    }
    return n;
}

struct packet *packet_clone(const struct packet *p)
{
    struct packet *c = kmalloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    memcpy(c, p, sizeof(*c));
    list_init(&c->node);
    for (unsigned i = 0; i < c->frag_count; i++)
        page_get(c->frags[i].page);
    return c;
}

int packet_slice(struct packet *p, const struct packet *from, uint32_t off,
                 uint32_t n)
{
    KASSERT(off <= from->size && n <= from->size - off);
    if (off < from->head_size && n > 0) {
        uint32_t part = MIN(n, from->head_size - off);
        void *to = packet_append(p, (uint16_t)part);
        if (to == NULL)
            return -ENOSPC;
        memcpy(to, from->head + from->head_off + off, part);
        off += part;
        n -= part;
    }
    off -= from->head_size;
    for (unsigned i = 0; n > 0; i++) {
        const struct packet_frag *f = &from->frags[i];
        if (off >= f->size) {
            off -= f->size;
            continue;
        }
        uint32_t part = MIN(n, f->size - off);
        int r = packet_add(p, f->page, f->off + off, part);
        if (r < 0)
            return r;
        n -= part;
        off = 0;
    }
    return 0;
}

void packet_compact(struct packet *p)
{
    if (p->frag_count != 0 && p->size <= PACKET_SMALL)
        (void)packet_pull(p, p->size);
}

/* --- checksums --- */

uint32_t packet_csum(const struct packet *p, uint32_t off, uint32_t n)
{
    uint32_t sum = 0;
    bool odd = false; /* bytes summed so far */
    KASSERT(off <= p->size && n <= p->size - off);
    for (unsigned i = 0; i <= p->frag_count && n > 0; i++) {
        const uint8_t *at =
            i == 0 ? p->head + p->head_off : frag_at(&p->frags[i - 1]);
        uint32_t size = i == 0 ? p->head_size : p->frags[i - 1].size;
        if (off >= size) {
            off -= size;
            continue;
        }
        uint32_t part = MIN(n, size - off);
        uint32_t s = csum_add(0, at + off, part);
        /* RFC 1071, 2 (B): swapped, as it stands at an odd offset. */
        sum += odd ? ((s & 0xff) << 8 | s >> 8) : s;
        odd ^= (part & 1) != 0;
        n -= part;
        off = 0;
    }
    return sum;
}

void packet_csum_start(struct packet *p, const struct ip_addr *src,
                       const struct ip_addr *dst, uint8_t protocol,
                       uint16_t field)
{
    uint16_t sum =
        (uint16_t)~csum_fold(csum_pseudo(src, dst, protocol, p->size));
    p->csum = PACKET_CSUM_PARTIAL;
    p->csum_start = p->head_off;
    p->csum_off = field;
    memcpy(p->head + p->head_off + field, &sum, sizeof(sum));
}

bool packet_csum_good(struct packet *p, uint8_t protocol)
{
    if (p->csum != PACKET_CSUM_UNKNOWN)
        return true; /* PARTIAL: it came over lo, or from a device that says
                        that nothing could have damaged it */
    uint32_t sum = csum_pseudo(&p->src, &p->dst, protocol, p->size) +
                   packet_csum(p, 0, p->size);
    if (csum_fold(sum) != 0)
        return false;
    p->csum = PACKET_CSUM_GOOD;
    return true;
}

void packet_csum_finish(struct packet *p)
{
    if (p->csum != PACKET_CSUM_PARTIAL)
        return;
    uint32_t start = (uint32_t)p->csum_start - p->head_off;
    uint16_t sum = csum_fold(packet_csum(p, start, p->size - start));
    if (sum == 0)
        sum = 0xffff; /* RFC 768: 0 would mean none; the same elsewhere */
    memcpy(p->head + p->csum_start + p->csum_off, &sum, sizeof(sum));
    p->csum = PACKET_CSUM_GOOD;
}
