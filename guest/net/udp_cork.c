// SPDX-License-Identifier: Apache-2.0
/*
 * UDP_CORK and MSG_MORE: a datagram in pieces. udp(7), send(2). The first piece
 * says where to, how and by which route; the others only add bytes. Made at the
 * first use, as few sockets do this.
 */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/uio.h"
#include "guest/net/dgram.h"
#include "guest/net/udp.h"

#define CORK_ORDER_MAX 4 /* 64 KiB */

struct udp_cork {
    struct mutex lock; /* what follows; no user memory is touched under it */
    bool on;           /* atomic: UDP_CORK */
    bool pending;      /* atomic: there is a datagram, maybe an empty one */
    struct dgram_send to;
    uint32_t oif; /* of to.route, which may be gone when it leaves */
    uint32_t limit;
    uint32_t size;
    unsigned order;
    paddr_t pages; /* 2^order; 0: none yet */
};

static struct udp_cork *cork_of(const struct dgram_sock *d)
{
    return __atomic_load_n(&d->cork, __ATOMIC_ACQUIRE);
}

/* NULL: memory. */
static struct udp_cork *cork_need(struct dgram_sock *d)
{
    struct udp_cork *c = cork_of(d);
    if (c != NULL)
        return c;
    struct udp_cork *fresh = kzalloc(sizeof(*fresh));
    if (fresh == NULL)
        return NULL;
    mutex_init(&fresh->lock);
    if (__atomic_compare_exchange_n(&d->cork, &c, fresh, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    kfree(fresh);
    return c;
}

static void cork_drop(struct udp_cork *c)
{
    if (c->pages != 0)
        page_put(c->pages);
    c->pages = 0;
    c->size = 0;
    __atomic_store_n(&c->pending, false, __ATOMIC_RELEASE);
}

void udp_cork_free(struct dgram_sock *d)
{
    struct udp_cork *c = d->cork;
    if (c == NULL)
        return;
    cork_drop(c);
    kfree(c);
}

bool udp_corked(const struct dgram_sock *d)
{
    const struct udp_cork *c = cork_of(d);
    return c != NULL && __atomic_load_n(&c->on, __ATOMIC_ACQUIRE);
}

bool udp_cork_takes(const struct dgram_sock *d, const struct message *m)
{
    const struct udp_cork *c = cork_of(d);
    return (m->flags & LX_MSG_MORE) != 0 ||
           (c != NULL && (__atomic_load_n(&c->on, __ATOMIC_ACQUIRE) ||
                          __atomic_load_n(&c->pending, __ATOMIC_ACQUIRE)));
}

/* --- bytes; c->lock is held --- */

static int cork_grow(struct udp_cork *c, uint32_t size)
{
    unsigned order = 0;
    while (order < CORK_ORDER_MAX && PAGE_SIZE << order < size)
        order++;
    if (c->pages != 0 && order <= c->order)
        return 0;
    paddr_t pages = page_alloc(order, 0);
    if (pages == 0)
        return -ENOBUFS;
    if (c->pages != 0) {
        memcpy(page_virt(pages), page_virt(c->pages), c->size);
        page_put(c->pages);
    }
    c->pages = pages;
    c->order = order;
    return 0;
}

static int cork_append(struct udp_cork *c, const void *data, uint32_t n)
{
    if (n > c->limit - c->size)
        return -EMSGSIZE;
    int r = cork_grow(c, c->size + n);
    if (r == 0 && n > 0)
        memcpy((uint8_t *)page_virt(c->pages) + c->size, data, n);
    if (r == 0)
        c->size += n;
    return r;
}

/* How much fits: a datagram, or the path's MTU if it must not be cut. */
static uint32_t cork_limit(const struct dgram_send *to)
{
    uint32_t head = ip_is4(&to->how.dst) ? 28 : 48;
    uint32_t most = head == 28 ? UINT16_MAX - 28u : UINT16_MAX - 8u;
    uint32_t mtu = to->how.mtu_probe ? to->route.netif->mtu : to->route.mtu;
    if (!to->how.dont_fragment)
        return most;
    return MIN(most, mtu > head ? mtu - head : 0);
}

static int cork_begin(struct dgram_sock *d, struct udp_cork *c,
                      const struct message *m)
{
    int r = udp_send_begin(d, m, &c->to);
    if (r < 0)
        return r;
    c->oif = c->to.route.local ? 0 : c->to.route.netif->index;
    c->limit = cork_limit(&c->to);
    __atomic_store_n(&c->pending, true, __ATOMIC_RELEASE);
    return 0;
}

/* Of a piece that is not the first: its own address does not count, but an IPv6
 * socket looks at it. */
static int cork_check(struct dgram_sock *d, const struct udp_cork *c,
                      const struct message *m)
{
    struct ip_addr to;
    uint16_t port;
    uint32_t scope;
    if (ip_is4(&c->to.how.dst))
        return (m->flags & LX_MSG_OOB) != 0 ? -EOPNOTSUPP : 0;
    if (m->addr == NULL)
        return 0;
    int r = inet_addr_get(&d->k, m->addr, &to, &port, &scope);
    return r == 0 && ip_is4(&to) ? -EINVAL : r;
}

/* --- out --- */

/* What is there becomes a packet, and nothing is there. Lock held. */
static int cork_take(struct udp_cork *c, struct dgram_send *to,
                     struct packet **out)
{
    struct packet *p = packet_new(UDP_ROOM);
    int r = p != NULL ? 0 : -ENOBUFS;
    *to = c->to;
    if (r == 0)
        r = ip_route(&to->route, &to->how.dst, &to->how.src, c->oif);
    if (r == 0 && c->size > 0)
        r = packet_add(p, c->pages, 0, c->size);
    if (r == 0)
        r = udp_check_segments(to, c->size);
    cork_drop(c);
    if (r < 0) {
        packet_free(p);
        return r;
    }
    *out = p;
    return 0;
}

/* NULL: it cannot be read. Lock held. */
static int cork_put(struct dgram_sock *d, struct udp_cork *c,
                    const struct message *m, const void *data, uint32_t n)
{
    int r = c->pending ? cork_check(d, c, m) : cork_begin(d, c, m);
    if (r < 0)
        return r;
    r = data != NULL ? cork_append(c, data, n) : -EFAULT;
    if (r < 0)
        cork_drop(c); /* all of it, as Linux does */
    return r;
}

/* `n` bytes, side by side; NULL: memory. *r: -EFAULT. */
static void *cork_read(struct uio *u, uint64_t n, int *r)
{
    void *data = kmalloc(n + 1); /* + 1: nothing is a piece, too */
    *r = data == NULL || n == 0 || uio_get(u, data, n) == (int64_t)n ? 0
                                                                     : -EFAULT;
    return data;
}

/* Longer than any datagram: Linux looks at once (IPv4), or when it appends. */
static int cork_refuse(struct udp_cork *c)
{
    if (c == NULL)
        return -EMSGSIZE;
    mutex_lock(&c->lock);
    if (c->pending && !ip_is4(&c->to.how.dst))
        cork_drop(c);
    mutex_unlock(&c->lock);
    return -EMSGSIZE;
}

int64_t udp_cork_send(struct dgram_sock *d, struct message *m)
{
    uint64_t n = m->u->left;
    struct packet *p = NULL;
    struct dgram_send to;
    int read;
    struct udp_cork *c = cork_need(d);
    if (n > UINT16_MAX)
        return cork_refuse(c);
    void *data = c != NULL ? cork_read(m->u, n, &read) : NULL;
    if (data == NULL)
        return -ENOBUFS;
    mutex_lock(&c->lock);
    int r = cork_put(d, c, m, read == 0 ? data : NULL, (uint32_t)n);
    if (r == 0 && (m->flags & LX_MSG_MORE) == 0 && !c->on)
        r = cork_take(c, &to, &p);
    mutex_unlock(&c->lock);
    kfree(data);
    if (p != NULL)
        r = udp_send_packet(d, &to, p);
    return r < 0 ? r : (int64_t)n;
}

int udp_cork_set(struct dgram_sock *d, bool on)
{
    struct packet *p = NULL;
    struct dgram_send to;
    struct udp_cork *c = on ? cork_need(d) : cork_of(d);
    if (c == NULL)
        return on ? -ENOMEM : 0;
    mutex_lock(&c->lock);
    __atomic_store_n(&c->on, on, __ATOMIC_RELEASE);
    if (!on && c->pending)
        (void)cork_take(c, &to, &p);
    mutex_unlock(&c->lock);
    if (p != NULL)
        (void)udp_send_packet(d, &to, p); /* lost, as on the way */
    return 0;
}
