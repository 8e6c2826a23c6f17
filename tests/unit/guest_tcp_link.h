// SPDX-License-Identifier: Apache-2.0
/*
 * Two ends of TCP, 10.0.0.1 and 10.0.0.2 (or fd00::1 and fd00::2), in one
 * kernel over arch/fake, and a link between them in virtual time:
 *
 *     ip_output --(rate, queue)--> delay, loss, order, copies --> tcp_input
 *
 * ip_output, ip_route, ip_is_ours and tcp_secret are taken over by the linker
 * (--wrap). Everything is decided by one seed.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/proto.h"
#include "guest/net/tcp_parts.h"

#define SECOND NSEC_PER_SEC
#define MS     UINT64_C(1000000)

struct flight { /* a packet on its way */
    struct list node;
    struct packet *p;
    nsec_t at;
};

static struct {
    nsec_t delay;                    /* one way */
    unsigned loss, disorder, copies; /* of 1000 */
    uint64_t rate;                   /* bytes a second; 0: no limit */
    unsigned queue;                  /* bytes that may wait for it */
    uint32_t mtu, tso;
    bool (*filter)(const struct packet *p); /* true: drop it */
    nsec_t free_at[2];                      /* of each direction */
    struct list flights;
    uint64_t seed, sent, dropped;
    bool isn_set;
    uint32_t isn;
} net_link;

static struct netif link_netif;

static uint32_t link_random(uint32_t n)
{
    net_link.seed = net_link.seed * UINT64_C(6364136223846793005) + 1442695041;
    return (uint32_t)(net_link.seed >> 33) % n;
}

/* Of cmocka, for the whole group. */
static int link_setup(void **state)
{
    (void)state;
    fake_init(256 << 20);
    return 0;
}

static void link_reset(void)
{
    while (net_link.flights.next != NULL && !list_empty(&net_link.flights)) {
        struct flight *f =
            LIST_ENTRY(net_link.flights.next, struct flight, node);
        list_remove(&f->node);
        packet_free(f->p);
        free(f);
    }
    memset(&net_link, 0, sizeof(net_link));
    net_link.delay = 10 * MS;
    net_link.mtu = 1500;
    net_link.seed = 42;
    list_init(&net_link.flights);
}

static struct ip_addr link_addr(int family, unsigned host)
{
    struct ip_addr a = ip_from4(be32(0x0a000000 + host));
    if (family == LX_AF_INET6)
        a = (struct ip_addr){.b = {[0] = 0xfd, [15] = (uint8_t)host}};
    return a;
}

/* --- in place of IP --- */

int __wrap_ip_route(struct ip_route *r, const struct ip_addr *dst,
                    const struct ip_addr *src, uint32_t oif);
int __wrap_ip_output(struct packet *p, const struct ip_route *r,
                     const struct ip_send *how);
bool __wrap_ip_is_ours(const struct ip_addr *a);
void __wrap_tcp_secret(const struct inet_sock *k, uint32_t *isn,
                       uint32_t *ts_off);

int __wrap_ip_route(struct ip_route *r, const struct ip_addr *dst,
                    const struct ip_addr *src, uint32_t oif)
{
    (void)oif;
    link_netif.index = 2;
    link_netif.tso4_max = net_link.tso;
    link_netif.tso6_max = net_link.tso;
    *r = (struct ip_route){.netif = &link_netif, .mtu = net_link.mtu};
    r->hop = *dst;
    if (src != NULL && !ip_is_any(src))
        r->src = *src;
    else
        r->src = link_addr(ip_is4(dst) ? LX_AF_INET : LX_AF_INET6, 1);
    return 0;
}

bool __wrap_ip_is_ours(const struct ip_addr *a)
{
    (void)a;
    return true;
}

void __wrap_tcp_secret(const struct inet_sock *k, uint32_t *isn,
                       uint32_t *ts_off)
{
    (void)k;
    *isn = net_link.isn_set ? net_link.isn : link_random(UINT32_MAX);
    *ts_off = 0xfffff000; /* wraps soon */
}

static void link_send(struct packet *p, nsec_t extra)
{
    struct flight *f = malloc(sizeof(*f));
    nsec_t now = clock_now(), *free_at = &net_link.free_at[p->src.b[15] & 1];
    nsec_t start = MAX(*free_at, now);
    if (net_link.rate != 0) {
        uint64_t waiting = (start - now) * net_link.rate / SECOND;
        if (net_link.queue != 0 && waiting > net_link.queue) {
            net_link.dropped++;
            packet_free(p);
            free(f);
            return;
        }
        start += (p->size + 40u) * SECOND / net_link.rate;
        *free_at = start;
    }
    f->p = p;
    f->at = start + net_link.delay + extra;
    struct list *at = net_link.flights.prev;
    while (at != &net_link.flights &&
           LIST_ENTRY(at, struct flight, node)->at > f->at)
        at = at->prev;
    list_add_head(at, &f->node);
}

int __wrap_ip_output(struct packet *p, const struct ip_route *r,
                     const struct ip_send *how)
{
    (void)r;
    p->src = how->src;
    p->dst = how->dst;
    p->netif = &link_netif;
    p->csum = PACKET_CSUM_GOOD;
    p->protocol = LX_IPPROTO_TCP;
    net_link.sent++;
    if ((net_link.filter != NULL && net_link.filter(p)) ||
        link_random(1000) < net_link.loss) {
        net_link.dropped++;
        packet_free(p);
        return 0;
    }
    if (link_random(1000) < net_link.copies) {
        struct packet *c = packet_clone(p);
        if (c != NULL)
            link_send(c, link_random(5000) * 1000);
    }
    bool late = link_random(1000) < net_link.disorder;
    link_send(p, late ? link_random(8000) * 1000 : 0);
    return 0;
}

/* --- time --- */

static void link_deliver(void)
{
    while (!list_empty(&net_link.flights)) {
        struct flight *f =
            LIST_ENTRY(net_link.flights.next, struct flight, node);
        if (f->at > clock_now())
            return;
        list_remove(&f->node);
        tcp_input(f->p);
        free(f);
    }
}

/* One step: what is due arrives, timers fire. At most `max` passes. */
static void link_step(nsec_t max)
{
    nsec_t now = clock_now(), next = max;
    if (!list_empty(&net_link.flights)) {
        nsec_t at = LIST_ENTRY(net_link.flights.next, struct flight, node)->at;
        next = at > now ? MIN(at - now, max) : 0;
    }
    fake_clock_add(MIN(next, MS));
    sched_yield();
    link_deliver();
}

static void link_run(nsec_t time)
{
    nsec_t end = clock_now() + time;
    while (clock_now() < end)
        link_step(end - clock_now());
}

/* --- sockets --- */

static struct tcp_sock *sock_new(int family)
{
    struct socket *s;
    assert_int_equal(socket_create(family, LX_SOCK_STREAM, 0, &s), 0);
    return tcp_of(s);
}

static struct net_addr sock_addr(int family, unsigned host, uint16_t port)
{
    struct net_addr a = {.size = 0};
    struct ip_addr ip = link_addr(family, host);
    struct inet_sock k = {.s.family = (uint16_t)family};
    inet_addr_put(&k, &ip, port, 0, &a);
    return a;
}

static void sock_bind(struct tcp_sock *t, unsigned host, uint16_t port)
{
    struct net_addr a = sock_addr(t->k.s.family, host, port);
    assert_int_equal(inet_bind(&t->k.s, &a), 0);
}

static int sock_connect(struct tcp_sock *t, unsigned host, uint16_t port)
{
    struct net_addr a = sock_addr(t->k.s.family, host, port);
    return tcp_connect(&t->k.s, &a, true);
}

static int64_t sock_send(struct tcp_sock *t, const void *data, uint64_t n,
                         uint32_t flags)
{
    struct uio u;
    struct uio_seg seg;
    struct message m = {.u = &u,
                        .flags = flags | LX_MSG_DONTWAIT | LX_MSG_NOSIGNAL};
    uio_kernel(&u, &seg, (void *)(uintptr_t)data, n);
    return tcp_send(&t->k.s, &m);
}

static int64_t sock_recv(struct tcp_sock *t, void *data, uint64_t n,
                         uint32_t flags)
{
    struct uio u;
    struct uio_seg seg;
    struct message m = {.u = &u, .flags = flags | LX_MSG_DONTWAIT};
    uio_kernel(&u, &seg, data, n);
    return tcp_recv(&t->k.s, &m);
}

static void sock_close(struct tcp_sock *t)
{
    tcp_release(&t->k.s);
}

struct pair {
    struct tcp_sock *a, *b, *l;
};

static uint16_t pair_port = 1000;

static struct pair pair_new(int family)
{
    struct pair p = {.l = sock_new(family), .a = sock_new(family)};
    struct socket *s = NULL;
    pair_port++;
    sock_bind(p.l, 2, pair_port);
    assert_int_equal(tcp_listen(&p.l->k.s, 5), 0);
    assert_int_equal(sock_connect(p.a, 2, pair_port), -EINPROGRESS);
    for (int i = 0; i < 100000 && s == NULL; i++) {
        link_step(MS);
        (void)tcp_accept(&p.l->k.s, true, &s);
    }
    assert_non_null(s);
    p.b = tcp_of(s);
    for (int i = 0; i < 100000 && p.a->state != TCP_ESTABLISHED; i++)
        link_step(MS);
    return p;
}

static void pair_free(struct pair *p)
{
    sock_close(p->a);
    sock_close(p->b);
    sock_close(p->l);
    net_link.filter = NULL;
    net_link.loss = 0;
    link_run(200 * SECOND);
}

/* --- what a peer did not send --- */

/* `p`, from the TCP header on, arrives for `t` as from its peer. */
static inline void link_from_peer(const struct tcp_sock *t, struct packet *p)
{
    p->src = t->k.remote;
    p->dst = t->k.local;
    p->netif = &link_netif;
    p->csum = PACKET_CSUM_GOOD;
    tcp_input(p);
}

/* A segment: `what` without ports, sizes and window, and `size` bytes. */
static inline void link_inject(const struct tcp_sock *t,
                               const struct lx_tcphdr *what, unsigned size)
{
    struct packet *p = packet_new(PACKET_ROOM);
    struct lx_tcphdr h = *what;
    assert_non_null(p);
    h.source = be16(t->k.rport);
    h.dest = be16(t->k.lport);
    h.off = 5 << 4;
    h.window = be16(1000);
    memset(packet_push(p, (uint16_t)size), 'i', size);
    memcpy(packet_push(p, sizeof(h)), &h, sizeof(h));
    link_from_peer(t, p);
}

/* --- a stream whose bytes are known --- */

static uint8_t stream_byte(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 7 + (at >> 16));
}

/* From `from` to `to` until all has come; virtual time it took, or 0. */
static inline nsec_t stream_pump(struct tcp_sock *from, struct tcp_sock *to,
                                 uint64_t size, nsec_t limit)
{
    static uint8_t out[65536], in[65536];
    uint64_t sent = 0, got = 0;
    nsec_t start = clock_now();
    while (got < size && clock_now() - start < limit) {
        while (sent < size) {
            uint64_t n = MIN(size - sent, sizeof(out));
            for (uint64_t i = 0; i < n; i++)
                out[i] = stream_byte(sent + i);
            int64_t r = sock_send(from, out, n, 0);
            if (r <= 0)
                break;
            sent += (uint64_t)r;
        }
        int64_t r;
        while ((r = sock_recv(to, in, sizeof(in), 0)) > 0) {
            for (int64_t i = 0; i < r; i++) {
                if (in[i] != stream_byte(got + (uint64_t)i))
                    fail_msg("byte %llu differs",
                             (unsigned long long)got + (unsigned long long)i);
            }
            got += (uint64_t)r;
        }
        link_step(MS);
    }
    return got == size ? clock_now() - start : 0;
}
