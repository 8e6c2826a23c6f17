// SPDX-License-Identifier: Apache-2.0
/*
 * Fragments become packets again. RFC 791 3.2, RFC 8200 4.5. What overlaps is
 * dropped whole (RFC 5722, and as wisely for IPv4: RFC 1858); memory, time and
 * the number of packets under way are bounded.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/net/icmp.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"

#define QUEUES_MAX 64u
#define MEMORY_MAX (1u << 20)          /* bytes charged for all fragments */
#define PIECES_MAX 128u                /* of one packet */
#define TIMEOUT4   (30 * NSEC_PER_SEC) /* net.ipv4.ipfrag_time */
#define TIMEOUT6   (60 * NSEC_PER_SEC) /* RFC 8200, 4.5 */
#define PACKET_MAX 65535u

struct pieces {       /* of one packet */
    struct list node; /* oldest first */
    struct ip_addr src, dst;
    uint32_t id;
    const struct netif *netif;
    uint8_t protocol;
    struct list parts; /* struct packet, by offset, which is in `csum_start` */
    uint32_t count, have; /* parts; bytes in them */
    uint32_t total;       /* bytes, once the last is here; else 0 */
    uint32_t charge;
    nsec_t until;
};

static struct {
    struct spinlock lock;
    struct list queues;
    uint32_t count, charge;
    bool ready, armed;
    struct net_timer timer;
} table;

static void reassembly_tick(struct net_work *w);

/* Received fragments have no use for these. */
static void part_set(struct packet *p, uint32_t off)
{
    p->csum_start = (uint16_t)off;
}

static uint32_t part_off(const struct packet *p)
{
    return p->csum_start;
}

static struct packet *part_of(struct list *l)
{
    return LIST_ENTRY(l, struct packet, node);
}

/* --- lock held --- */

static void pieces_free(struct pieces *q)
{
    LIST_FOR_SAFE(it, next, &q->parts)
    packet_free(part_of(it));
    list_remove(&q->node);
    table.count--;
    table.charge -= q->charge;
    kfree(q);
}

static void pieces_fail(struct pieces *q)
{
    netif_count_stat(&ip_counters.reasm_fail, 1);
    pieces_free(q);
}

static bool pieces_match(const struct pieces *q, const struct packet *p,
                         uint32_t id)
{
    return q->id == id && q->netif == p->netif &&
           (q->protocol == p->protocol || !ip_is4(&p->dst)) &&
           ip_equal(&q->src, &p->src) && ip_equal(&q->dst, &p->dst);
}

static struct pieces *pieces_find(const struct packet *p, uint32_t id)
{
    LIST_FOR(it, &table.queues)
    {
        struct pieces *q = LIST_ENTRY(it, struct pieces, node);
        if (pieces_match(q, p, id))
            return q;
    }
    return NULL;
}

static void table_arm(void)
{
    if (table.armed || list_empty(&table.queues))
        return;
    table.armed = true;
    net_timer_start(&table.timer,
                    LIST_ENTRY(table.queues.next, struct pieces, node)->until);
}

static struct pieces *pieces_new(const struct packet *p, uint32_t id)
{
    if (!table.ready) {
        list_init(&table.queues);
        net_timer_init(&table.timer, reassembly_tick);
        table.ready = true;
    }
    struct pieces *q = kzalloc(sizeof(*q));
    if (q == NULL)
        return NULL;
    if (table.count == QUEUES_MAX)
        pieces_fail(LIST_ENTRY(table.queues.next, struct pieces, node));
    q->src = p->src;
    q->dst = p->dst;
    q->id = id;
    q->netif = p->netif;
    q->protocol = p->protocol;
    q->until = clock_now() + (ip_is4(&p->dst) ? TIMEOUT4 : TIMEOUT6);
    list_init(&q->parts);
    list_add_tail(&table.queues, &q->node);
    table.count++;
    table_arm();
    return q;
}

/* Where `p` belongs. 0: *at is who follows; -EEXIST: we have it; -EINVAL: it
 * overlaps, or lies beyond the end. */
static int pieces_place(const struct pieces *q, const struct packet *p,
                        uint32_t off, bool more, struct list **at)
{
    uint32_t end = off + p->size;
    const struct packet *before = NULL;
    if (q->total != 0 ? end > q->total || (!more && end != q->total)
                      : !more && !list_empty(&q->parts) &&
                            end < part_off(part_of(q->parts.prev)) +
                                      part_of(q->parts.prev)->size)
        return -EINVAL;
    struct list *it = q->parts.next;
    for (; it != &q->parts && part_off(part_of(it)) < off; it = it->next)
        before = part_of(it);
    *at = it;
    const struct packet *after = it != &q->parts ? part_of(it) : NULL;
    if (after != NULL && part_off(after) == off && after->size == p->size)
        return -EEXIST;
    if (before != NULL && part_off(before) + before->size > off)
        return -EINVAL;
    return after != NULL && part_off(after) < end ? -EINVAL : 0;
}

/* Takes p. 0, or -errno and all of it is gone. */
static int pieces_add(struct pieces *q, struct packet *p, uint32_t off,
                      bool more)
{
    struct list *at;
    int r = pieces_place(q, p, off, more, &at);
    if (r == 0 && q->count == PIECES_MAX)
        r = -ENOSPC;
    if (r < 0) {
        packet_free(p);
        if (r != -EEXIST)
            pieces_fail(q);
        return r;
    }
    packet_compact(p);
    part_set(p, off);
    list_add_tail(at, &p->node);
    uint32_t charge = packet_charge(p);
    q->count++;
    q->have += p->size;
    q->charge += charge;
    table.charge += charge;
    if (!more)
        q->total = off + p->size;
    /* The oldest make room, this one too if it must be. */
    bool self = false;
    while (table.charge > MEMORY_MAX && !self) {
        struct pieces *old = LIST_ENTRY(table.queues.next, struct pieces, node);
        self = old == q;
        pieces_fail(old);
    }
    return self ? -ENOSPC : 0;
}

/* --- whole again --- */

/* The bytes of all parts in fresh pages: there may be more parts than a packet
 * has frags. */
static int copy_parts(struct packet *out, const struct pieces *q)
{
    paddr_t pa = 0;
    uint32_t room = 0, used = 0;
    int r = 0;
    LIST_FOR(it, &q->parts)
    {
        const struct packet *p = part_of(it);
        for (uint32_t off = 0; off < p->size && r == 0;) {
            if (used == room) {
                if (pa != 0)
                    page_put(pa);
                pa = page_alloc(0, 0);
                room = pa != 0 ? (uint32_t)PAGE_SIZE : 0;
                used = 0;
            }
            uint32_t n = MIN(p->size - off, room - used);
            if (pa == 0)
                return -ENOMEM;
            packet_copy_out(p, off, (uint8_t *)page_virt(pa) + used, n);
            r = packet_add(out, pa, used, n);
            off += n;
            used += n;
        }
    }
    if (pa != 0)
        page_put(pa);
    return r;
}

/* The first part lends its headers. NULL: memory, or RFC 8200's limit. */
static struct packet *pieces_join(const struct pieces *q)
{
    const struct packet *first = part_of(q->parts.next);
    struct packet *out = packet_new(0);
    if (out == NULL)
        return NULL;
    uint16_t head = first->net_size;
    uint16_t room = MIN(head, (uint16_t)(PACKET_ROOM / 2));
    memcpy(out->head, first->head + first->net_off, room);
    out->head_off = room;
    out->net_size = room == head ? head : 0;
    out->netif = first->netif;
    out->protocol = first->protocol;
    out->ttl = first->ttl;
    out->tos = first->tos;
    out->src = first->src;
    out->dst = first->dst;
    out->multicast = first->multicast;
    out->broadcast = first->broadcast;
    if (copy_parts(out, q) < 0) {
        packet_free(out);
        return NULL;
    }
    return out;
}

static struct packet *take_in(struct packet *p, uint32_t id, uint32_t off,
                              bool more)
{
    struct packet *whole = NULL;
    struct pieces *q = table.ready ? pieces_find(p, id) : NULL;
    if (q == NULL)
        q = pieces_new(p, id);
    if (q == NULL) {
        packet_free(p);
        return NULL;
    }
    if (pieces_add(q, p, off, more) < 0 || q->total == 0 || q->have != q->total)
        return NULL;
    whole = pieces_join(q);
    netif_count_stat(
        whole != NULL ? &ip_counters.reasm_ok : &ip_counters.reasm_fail, 1);
    pieces_free(q);
    return whole;
}

struct packet *reassemble(struct packet *p, uint32_t id, uint32_t off,
                          bool more)
{
    bool four = ip_is4(&p->dst);
    /* All but the last are multiples of 8; nothing ends beyond 64 KiB. */
    if (p->size == 0 || off + p->size > PACKET_MAX - (four ? p->net_size : 0) ||
        (more && p->size % 8 != 0)) {
        netif_count_stat(&ip_counters.reasm_fail, 1);
        if (!four && more && p->size % 8 != 0)
            icmp6_parameter_problem(p, 0, 4); /* payload length */
        else
            packet_free(p);
        return NULL;
    }
    spin_lock(&table.lock);
    struct packet *whole = take_in(p, id, off, more);
    spin_unlock(&table.lock);
    return whole;
}

/* --- time --- */

/* One whose time is over: its first fragment, if it came, for the error that
 * RFC 792 and RFC 8200 4.5 want. */
static bool expire_one(struct packet **first, nsec_t now)
{
    *first = NULL;
    if (list_empty(&table.queues))
        return false;
    struct pieces *q = LIST_ENTRY(table.queues.next, struct pieces, node);
    if (q->until > now)
        return false;
    if (!list_empty(&q->parts) && part_off(part_of(q->parts.next)) == 0) {
        *first = part_of(q->parts.next);
        list_remove(&(*first)->node);
    }
    pieces_fail(q);
    return true;
}

static void reassembly_tick(struct net_work *w)
{
    nsec_t now = clock_now();
    (void)w;
    for (bool more = true; more;) {
        struct packet *first;
        spin_lock(&table.lock);
        more = expire_one(&first, now);
        if (!more) {
            table.armed = false;
            table_arm();
        }
        spin_unlock(&table.lock);
        if (first != NULL)
            icmp_reassembly_timeout(first);
    }
}

uint32_t reassembly_charge(void)
{
    return table.charge;
}
