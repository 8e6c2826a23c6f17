// SPDX-License-Identifier: Apache-2.0
/* Control messages of IP and UDP. ip(7), ipv6(7), udp(7), RFC 3542. */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/net/dgram.h"
#include "guest/net/inet_impl.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"

/* --- with what is sent --- */

struct parse {
    const struct inet_sock *k;
    struct dgram_send *out;
    uint32_t oif;
    struct ip_addr src; /* all zero: not said */
};

static int get_int(const uint8_t *data, uint64_t n, int32_t *v)
{
    if (n != sizeof(*v))
        return -EINVAL;
    memcpy(v, data, sizeof(*v));
    return 0;
}

/* An int in [-1, 255]; -1: the default. */
static int get_byte(const uint8_t *data, uint64_t n, int32_t least, uint8_t *to)
{
    int32_t v;
    int r = get_int(data, n, &v);
    if (r < 0 || v < least || v > 255)
        return -EINVAL;
    if (v >= 0)
        *to = (uint8_t)v;
    return 0;
}

static int parse_pktinfo4(struct parse *s, const uint8_t *data, uint64_t n)
{
    struct lx_in_pktinfo i;
    if (n != sizeof(i))
        return -EINVAL;
    memcpy(&i, data, sizeof(i));
    if (i.ifindex != 0)
        s->oif = (uint32_t)i.ifindex;
    if (i.spec_dst != 0)
        s->src = ip_from4(i.spec_dst);
    return 0;
}

static int parse_pktinfo6(struct parse *s, const uint8_t *data, uint64_t n)
{
    struct lx_in6_pktinfo i;
    if (n < sizeof(i))
        return -EINVAL;
    memcpy(&i, data, sizeof(i));
    if (i.ifindex != 0)
        s->oif = (uint32_t)i.ifindex;
    memcpy(s->src.b, i.addr, sizeof(i.addr));
    if (ip_is_any(&s->src))
        return 0;
    return ip_is4(&s->src) == ip_is4(&s->out->how.dst) ? 0 : -EINVAL;
}

static int parse_ip4(struct parse *s, const struct lx_cmsghdr *h,
                     const uint8_t *data, uint64_t n)
{
    switch (h->type) {
    case LX_IP_PKTINFO: return parse_pktinfo4(s, data, n);
    case LX_IP_TTL: return get_byte(data, n, 1, &s->out->how.ttl);
    case LX_IP_TOS:
        if (n == 1) {
            s->out->how.tos = *data;
            return 0;
        }
        return get_byte(data, n, 0, &s->out->how.tos);
    default: return -EINVAL;
    }
}

static int parse_hops(struct parse *s, const uint8_t *data, uint64_t n)
{
    int32_t v;
    int r = get_byte(data, n, -1, &s->out->how.ttl);
    if (r == 0 && get_int(data, n, &v) == 0 && v >= 0)
        s->out->how.ttl_set = true;
    return r;
}

static int parse_ip6(struct parse *s, const struct lx_cmsghdr *h,
                     const uint8_t *data, uint64_t n)
{
    int32_t v;
    switch (h->type) {
    case LX_IPV6_PKTINFO: return parse_pktinfo6(s, data, n);
    case LX_IPV6_HOPLIMIT: return parse_hops(s, data, n);
    case LX_IPV6_TCLASS: return get_byte(data, n, -1, &s->out->how.tos);
    case LX_IPV6_DONTFRAG:
        if (get_int(data, n, &v) < 0 || v < 0 || v > 1)
            return -EINVAL;
        s->out->how.dont_fragment = v != 0;
        return 0;
    default: return -EINVAL;
    }
}

static int parse_one(struct parse *s, const struct lx_cmsghdr *h,
                     const uint8_t *data)
{
    uint64_t n = h->size - sizeof(*h);
    if (h->level == LX_IPPROTO_UDP && s->k->s.protocol == LX_IPPROTO_UDP) {
        if (h->type != LX_UDP_SEGMENT || n != sizeof(uint16_t))
            return -EINVAL;
        memcpy(&s->out->segment, data, sizeof(uint16_t));
        return 0;
    }
    if (h->level == LX_IPPROTO_IP && ip_is4(&s->out->how.dst))
        return parse_ip4(s, h, data, n);
    if (h->level == LX_IPPROTO_IPV6 && s->k->s.family == LX_AF_INET6)
        return parse_ip6(s, h, data, n);
    return 0; /* for another level: Linux takes no notice */
}

int inet_control_parse(const struct inet_sock *k, const struct message *m,
                       struct dgram_send *out, uint32_t *oif,
                       struct ip_addr *src)
{
    struct parse s = {.k = k, .out = out};
    const uint8_t *data = m->control.raw;
    uint32_t size = m->control.raw_size;
    /* control_get() checked the chain. */
    for (uint32_t at = 0; size - at >= sizeof(struct lx_cmsghdr);) {
        struct lx_cmsghdr h;
        memcpy(&h, data + at, sizeof(h));
        int r = parse_one(&s, &h, data + at + sizeof(h));
        if (r < 0)
            return r;
        if (LX_CMSG_ALIGN(h.size) >= size - at)
            break;
        at += (uint32_t)LX_CMSG_ALIGN(h.size);
    }
    *oif = s.oif;
    *src = s.src;
    if (!ip_is_any(&s.src) && !k->transparent && !ip_is_ours(&s.src))
        return -EINVAL;
    return 0;
}

/* --- with what came --- */

static void give_stamp(const struct inet_sock *k, const struct packet *p,
                       struct message *m)
{
    uint64_t sec = p->stamp / NSEC_PER_SEC, ns = p->stamp % NSEC_PER_SEC;
    uint64_t nano[2] = {sec, ns};
    uint64_t micro[2] = {sec, ns / 1000};
    if (socket_option_on(&k->s, LX_SO_TIMESTAMPNS))
        control_add(&m->control, LX_SOL_SOCKET, LX_SO_TIMESTAMPNS, nano,
                    sizeof(nano));
    else if (socket_option_on(&k->s, LX_SO_TIMESTAMP))
        control_add(&m->control, LX_SOL_SOCKET, LX_SO_TIMESTAMP, micro,
                    sizeof(micro));
}

static void give_pktinfo4(const struct packet *p, struct message *m)
{
    struct ip_addr local = p->dst;
    if (p->multicast || p->broadcast)
        (void)route_source(p->netif, &p->src, &local);
    struct lx_in_pktinfo i = {.ifindex = (int32_t)p->netif->index,
                              .spec_dst = ip_to4(&local),
                              .addr = ip_to4(&p->dst)};
    control_add(&m->control, LX_IPPROTO_IP, LX_IP_PKTINFO, &i, sizeof(i));
}

static void give_ip4(const struct inet_sock *k, const struct packet *p,
                     struct message *m)
{
    int32_t ttl = p->ttl;
    if ((k->recv_flags & INET_PKTINFO4) != 0)
        give_pktinfo4(p, m);
    if ((k->recv_flags & INET_RECVTTL) != 0)
        control_add(&m->control, LX_IPPROTO_IP, LX_IP_TTL, &ttl, sizeof(ttl));
    if ((k->recv_flags & INET_RECVTOS) != 0)
        control_add(&m->control, LX_IPPROTO_IP, LX_IP_TOS, &p->tos, 1);
    if ((k->recv_flags & INET_ORIGDST) != 0) {
        struct lx_sockaddr_in a = {.family = LX_AF_INET,
                                   .port = be16(k->lport),
                                   .addr = ip_to4(&p->dst)};
        control_add(&m->control, LX_IPPROTO_IP, LX_IP_RECVORIGDSTADDR, &a,
                    sizeof(a));
    }
}

static void give_ip6(const struct inet_sock *k, const struct packet *p,
                     struct message *m)
{
    int32_t hops = p->ttl, tclass = p->tos;
    if ((k->recv_flags & INET_HOPLIMIT6) != 0)
        control_add(&m->control, LX_IPPROTO_IPV6, LX_IPV6_HOPLIMIT, &hops,
                    sizeof(hops));
    if ((k->recv_flags & INET_HOPLIMIT2292) != 0)
        control_add(&m->control, LX_IPPROTO_IPV6, LX_IPV6_2292HOPLIMIT, &hops,
                    sizeof(hops));
    if ((k->recv_flags & INET_TCLASS6) != 0)
        control_add(&m->control, LX_IPPROTO_IPV6, LX_IPV6_TCLASS, &tclass,
                    sizeof(tclass));
}

void inet_control_give(const struct inet_sock *k, const struct packet *p,
                       struct message *m)
{
    give_stamp(k, p, m);
    if (p->gso_size != 0 && k->s.protocol == LX_IPPROTO_UDP) {
        int32_t size = p->gso_size;
        control_add(&m->control, LX_IPPROTO_UDP, LX_UDP_GRO, &size,
                    sizeof(size));
    }
    if (k->s.family == LX_AF_INET6 && (k->recv_flags & INET_PKTINFO6) != 0) {
        struct lx_in6_pktinfo i = {.ifindex = (int32_t)p->netif->index};
        memcpy(i.addr, p->dst.b, sizeof(i.addr));
        control_add(&m->control, LX_IPPROTO_IPV6, LX_IPV6_PKTINFO, &i,
                    sizeof(i));
    }
    if (ip_is4(&p->dst))
        give_ip4(k, p, m);
    else
        give_ip6(k, p, m);
}
