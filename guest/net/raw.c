// SPDX-License-Identifier: Apache-2.0
/* Ping sockets (icmp(7)) and raw ones (raw(7), ipv6(7)). */
#include "guest/net/raw.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/net/dgram.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/inet_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/proto.h"

#define PING_BITS 4
#define RAW_ROOM  88
#define ICMP_SIZE ((uint32_t)sizeof(struct icmp_header))

struct inet_table ping_table;

static struct {
    struct spinlock lock;
    struct list socks; /* dgram_sock.raw_node */
    uint32_t count;    /* atomic */
} raw = {.socks = LIST_INIT(raw.socks)};

/* --- ping: in --- */

void ping_input(struct packet *p)
{
    struct icmp_header h;
    const void *at = packet_pull(p, ICMP_SIZE);
    struct inet_sock *k = NULL;
    if (at != NULL) {
        memcpy(&h, at, sizeof(h));
        k = inet_find(&ping_table, p, 0, be16(h.id));
    }
    if (k == NULL) {
        packet_free(p);
        return;
    }
    dgram_push(CONTAINER_OF(k, struct dgram_sock, k), p);
    inet_put(k);
}

bool ping_error(const struct ip_addr *src, const struct ip_addr *dst,
                const uint8_t *head, uint32_t size, int error, bool hard,
                uint32_t info)
{
    struct icmp_header h;
    (void)info;
    if (size < sizeof(h))
        return false;
    memcpy(&h, head, sizeof(h));
    if (h.type == ICMP6_ECHO_REPLY && !ip_is4(src))
        return true; /* no socket's, but only we can make it fit */
    struct inet_sock *k = inet_find_four(&ping_table, src, dst, be16(h.id), 0);
    if (k == NULL) {
        k = inet_find_local(&ping_table, src, be16(h.id));
        if (k != NULL)
            inet_put(k);
        return k != NULL;
    }
    if (hard || k->recv_error)
        dgram_error(CONTAINER_OF(k, struct dgram_sock, k), error);
    inet_put(k);
    return true;
}

void ping_report(const struct packet *p, const struct ip_report *r)
{
    struct icmp_header h;
    if (p->size < sizeof(h))
        return;
    packet_copy_out(p, 0, &h, sizeof(h));
    struct inet_sock *k =
        inet_find_four(&ping_table, &r->src, &r->dst, be16(h.id), 0);
    if (k == NULL)
        k = inet_find_local(&ping_table, &r->src, be16(h.id));
    if (k == NULL)
        return;
    struct dgram_sock *d = CONTAINER_OF(k, struct dgram_sock, k);
    if (k->recv_error) {
        dgram_report(d, p, 0, 0, r);
        if (!k->connected)
            dgram_error(d, r->error);
    }
    inet_put(k);
}

/* --- ping: out --- */

static int64_t ping_send(struct socket *s, struct message *m)
{
    struct dgram_sock *d = dgram_of(s);
    struct dgram_send out;
    struct packet *p;
    struct icmp_header h;
    int64_t n = (int64_t)m->u->left;
    if (m->u->left > UINT16_MAX)
        return -EMSGSIZE;
    if (m->u->left < ICMP_SIZE)
        return -EINVAL;
    int r = inet_autobind(&d->k);
    if (r == 0)
        r = dgram_send_begin(d, m, &out);
    if (r == 0)
        r = dgram_packet(m->u, RAW_ROOM, &p);
    if (r < 0)
        return r;
    uint8_t *at = packet_pull(p, ICMP_SIZE);
    memcpy(&h, at, sizeof(h));
    uint8_t echo = s->family == LX_AF_INET ? ICMP_ECHO : ICMP6_ECHO;
    if (h.type != echo || h.code != 0) {
        packet_free(p);
        return -EINVAL;
    }
    h.id = be16(d->k.lport);
    memcpy(at, &h, sizeof(h));
    r = icmp_output(p, &out.route, &out.how);
    net_flush();
    return r < 0 ? r : n;
}

/* --- raw: in --- */

static bool raw_matches(const struct dgram_sock *d, const struct packet *p)
{
    const struct inet_sock *k = &d->k;
    bool four = ip_is4(&p->dst);
    if (k->s.protocol != p->protocol || (k->s.family == LX_AF_INET) != four ||
        (k->oif != 0 && k->oif != p->netif->index))
        return false;
    return (ip_is_any(&k->local) || ip_equal(&k->local, &p->dst)) &&
           (!k->connected || ip_equal(&k->remote, &p->src));
}

/* ICMP_FILTER: a bit per type that is not wanted; raw(7). */
static bool raw_filtered(const struct dgram_sock *d, const struct packet *p)
{
    if (p->head_size == 0)
        return false;
    uint8_t type = p->head[p->head_off];
    if (p->protocol == LX_IPPROTO_ICMP)
        return type < 32 && (d->icmp_filter[0] >> type & 1) != 0;
    if (p->protocol == LX_IPPROTO_ICMPV6)
        return (d->icmp_filter[type / 32] >> type % 32 & 1) != 0;
    return false;
}

/* With its IP header in front, for IPv4. */
static void raw_give(struct dgram_sock *d, const struct packet *p)
{
    struct packet *c = packet_clone(p);
    if (c == NULL)
        return;
    if (ip_is4(&p->dst)) {
        if (p->net_size == 0 || p->net_off + p->net_size != p->head_off) {
            packet_free(c);
            return;
        }
        (void)packet_push(c, p->net_size);
    }
    c->gso_size = 0;
    dgram_push(d, c);
}

bool raw_input(struct packet *p)
{
    bool any = false;
    if (__atomic_load_n(&raw.count, __ATOMIC_RELAXED) == 0)
        return false;
    (void)packet_pull(p, MIN(p->size, ICMP_SIZE));
    if (p->protocol == LX_IPPROTO_ICMPV6 &&
        !packet_csum_good(p, LX_IPPROTO_ICMPV6))
        return false;
    spin_lock(&raw.lock);
    LIST_FOR(it, &raw.socks)
    {
        struct dgram_sock *d = LIST_ENTRY(it, struct dgram_sock, raw_node);
        if (!raw_matches(d, p))
            continue;
        any = true;
        if (!raw_filtered(d, p))
            raw_give(d, p);
    }
    spin_unlock(&raw.lock);
    return any;
}

/* --- raw: out --- */

bool raw_sends(uint8_t protocol, const struct ip_addr *src,
               const struct ip_addr *dst)
{
    bool any = false;
    if (__atomic_load_n(&raw.count, __ATOMIC_RELAXED) == 0)
        return false;
    spin_lock(&raw.lock);
    LIST_FOR(it, &raw.socks)
    {
        const struct inet_sock *k =
            &LIST_ENTRY(it, struct dgram_sock, raw_node)->k;
        any = any || (k->s.protocol == protocol &&
                      (k->s.family == LX_AF_INET) == ip_is4(src) &&
                      (ip_is_any(&k->local) || ip_equal(&k->local, src)) &&
                      (!k->connected || ip_equal(&k->remote, dst)));
    }
    spin_unlock(&raw.lock);
    return any;
}

/* The program made the IP header; raw(7) says what we complete. */
static int raw_send_headed(struct dgram_sock *d, struct packet *p,
                           struct dgram_send *out)
{
    struct ip4_header h;
    uint8_t *at = packet_pull(p, sizeof(h));
    uint32_t head = at != NULL ? (at[0] & 0xfu) * 4u : 0;
    at = head >= sizeof(h) ? packet_pull(p, head) : NULL;
    (void)d;
    if (at == NULL || at[0] >> 4 != 4 || p->size > out->route.netif->mtu) {
        int r = at != NULL && at[0] >> 4 == 4 ? -EMSGSIZE : -EINVAL;
        packet_free(p);
        return r;
    }
    memcpy(&h, at, sizeof(h));
    h.size = be16((uint16_t)p->size);
    if (h.src == 0)
        h.src = ip_to4(&out->how.src);
    if (h.id == 0)
        h.id = (uint16_t)krandom_u64();
    h.csum = 0;
    memcpy(at, &h, sizeof(h));
    h.csum = csum_fold(csum_add(0, at, head));
    memcpy(at, &h, sizeof(h));
    ip_output_headed(p, &out->route, &out->how);
    return 0;
}

/* RFC 3542, 3.1: ICMPv6 always has its checksum from us. */
static int raw_output(struct dgram_sock *d, struct packet *p,
                      struct dgram_send *out)
{
    if (d->k.hdr_included && ip_is4(&out->how.dst))
        return raw_send_headed(d, p, out);
    if (d->k.s.protocol == LX_IPPROTO_ICMPV6 && p->size >= ICMP_SIZE)
        return icmp_output(p, &out->route, &out->how);
    return ip_output(p, &out->route, &out->how);
}

static int64_t raw_send(struct socket *s, struct message *m)
{
    struct dgram_sock *d = dgram_of(s);
    struct dgram_send out;
    struct packet *p;
    int64_t n = (int64_t)m->u->left;
    if (m->u->left > UINT16_MAX)
        return -EMSGSIZE;
    int r = dgram_send_begin(d, m, &out);
    if (r == 0)
        r = dgram_packet(m->u, RAW_ROOM, &p);
    if (r == 0)
        r = raw_output(d, p, &out);
    net_flush();
    return r < 0 ? r : n;
}

static void raw_release(struct socket *s)
{
    struct dgram_sock *d = dgram_of(s);
    spin_lock(&raw.lock);
    list_remove(&d->raw_node);
    spin_unlock(&raw.lock);
    __atomic_fetch_sub(&raw.count, 1, __ATOMIC_RELAXED);
    dgram_release(s);
}

static int raw_bind(struct socket *s, const struct net_addr *a)
{
    struct inet_sock *k = inet_of(s);
    struct ip_addr addr;
    uint16_t port;
    uint32_t scope;
    int r = inet_addr_get(k, a, &addr, &port, &scope);
    if (r < 0)
        return r;
    if (!ip_is_any(&addr) && !ip_is_multicast(&addr) && !ip_is_ours(&addr) &&
        !k->transparent)
        return -EADDRNOTAVAIL;
    spin_lock(&k->lock);
    k->local = addr;
    k->addr_locked = !ip_is_any(&addr);
    if (scope != 0)
        k->oif = scope;
    spin_unlock(&k->lock);
    return 0;
}

/* --- options --- */

#define RAW_LEVEL   255 /* SOL_RAW */
#define FILTER_NAME 1   /* ICMP_FILTER, ICMP6_FILTER */

static int option_filter(struct dgram_sock *d, struct socket_option *o)
{
    uint32_t size = o->level == RAW_LEVEL ? 4 : sizeof(d->icmp_filter);
    if (!o->set)
        return socket_option_put(o, d->icmp_filter, size);
    return copy_from_user(d->icmp_filter, o->value, MIN(o->size, size));
}

static int option_int(struct socket_option *o, bool *flag)
{
    int32_t v = *flag;
    if (!o->set)
        return socket_option_put(o, &v, sizeof(v));
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    *flag = v != 0;
    return 0;
}

static int raw_option(struct socket *s, struct socket_option *o)
{
    struct dgram_sock *d = dgram_of(s);
    if ((o->level == RAW_LEVEL && s->protocol == LX_IPPROTO_ICMP) ||
        (o->level == LX_IPPROTO_ICMPV6 && s->protocol == LX_IPPROTO_ICMPV6))
        return o->name == FILTER_NAME ? option_filter(d, o) : -ENOPROTOOPT;
    if (o->level == LX_IPPROTO_IP && o->name == LX_IP_HDRINCL)
        return option_int(o, &d->k.hdr_included);
    if (o->name == LX_IPV6_CHECKSUM &&
        (o->level == LX_IPPROTO_IPV6 || o->level == RAW_LEVEL)) {
        /* For ICMPv6 it is always on. */
        bool on = true;
        return s->protocol == LX_IPPROTO_ICMPV6 ? option_int(o, &on)
                                                : -ENOPROTOOPT;
    }
    return inet_option(s, o);
}

/* --- sockets --- */

static const struct socket_io_ops ping_io_ops = {
    .send = ping_send,
    .recv = dgram_recv,
    .poll = dgram_poll,
    .ioctl = dgram_ioctl,
    .option = inet_option,
    .release = dgram_release,
};

static const struct socket_ops raw_ops = {
    .bind = raw_bind,
    .connect = dgram_connect,
    .listen = dgram_listen,
    .accept = dgram_accept,
    .name = inet_name,
    .shutdown = dgram_shutdown,
};

static const struct socket_io_ops raw_io_ops = {
    .send = raw_send,
    .recv = dgram_recv,
    .poll = dgram_poll,
    .ioctl = dgram_ioctl,
    .option = raw_option,
    .release = raw_release,
};

static void raw_add(struct dgram_sock *d)
{
    d->k.s.ops = &raw_ops;
    d->k.s.io = &raw_io_ops;
    d->k.hdr_included = d->k.s.protocol == LX_IPPROTO_RAW;
    spin_lock(&raw.lock);
    list_add_tail(&raw.socks, &d->raw_node);
    spin_unlock(&raw.lock);
    __atomic_fetch_add(&raw.count, 1, __ATOMIC_RELAXED);
}

int raw_create(uint16_t family, int type, int protocol, struct socket **out)
{
    struct dgram_sock *d;
    bool ping = type == LX_SOCK_DGRAM;
    int r = dgram_new(family, (uint16_t)type, ping ? &ping_table : NULL, &d);
    if (r < 0)
        return r;
    d->k.s.protocol = (uint16_t)protocol;
    if (ping) {
        d->k.s.ops = &dgram_ops;
        d->k.s.io = &ping_io_ops;
    } else {
        raw_add(d);
    }
    *out = &d->k.s;
    return 0;
}

int raw_init(void)
{
    return inet_table_init(&ping_table, PING_BITS);
}
