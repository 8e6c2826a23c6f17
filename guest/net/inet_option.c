// SPDX-License-Identifier: Apache-2.0
/* Options of Internet sockets but for multicast. ip(7), ipv6(7), socket(7). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/net/inet_impl.h"
#include "guest/net/route.h"

#define DEFAULT_TTL 64

/* --- on or off --- */

static const struct bool_option {
    int level, name;
    uint64_t bit;
    bool strict; /* 0 or 1 only */
} bools[] = {
    {LX_IPPROTO_IP, LX_IP_PKTINFO, INET_PKTINFO4, false},
    {LX_IPPROTO_IP, LX_IP_RECVTTL, INET_RECVTTL, false},
    {LX_IPPROTO_IP, LX_IP_RECVTOS, INET_RECVTOS, false},
    {LX_IPPROTO_IP, LX_IP_RECVOPTS, INET_RECVOPTS, false},
    {LX_IPPROTO_IP, LX_IP_RECVORIGDSTADDR, INET_ORIGDST, false},
    {LX_IPPROTO_IP, LX_IP_RECVERR, INET_RECVERR4, false},
    {LX_IPPROTO_IP, LX_IP_FREEBIND, INET_FREEBIND, false},
    {LX_IPPROTO_IP, LX_IP_TRANSPARENT, INET_TRANSPARENT, false},
    {LX_IPPROTO_IP, LX_IP_BIND_ADDRESS_NO_PORT, INET_NO_PORT, false},
    {LX_IPPROTO_IP, LX_IP_RECVFRAGSIZE, INET_FRAGSIZE, false},
    {LX_IPPROTO_IP, LX_IP_RECVERR_RFC4884, INET_RFC4884, false},
    {LX_IPPROTO_IP, LX_IP_MULTICAST_LOOP, INET_LOOP4, false},
    {LX_IPPROTO_IP, LX_IP_MULTICAST_ALL, INET_MCAST_ALL, true},
    {LX_IPPROTO_IPV6, LX_IPV6_RECVPKTINFO, INET_PKTINFO6, false},
    {LX_IPPROTO_IPV6, LX_IPV6_RECVHOPLIMIT, INET_HOPLIMIT6, false},
    {LX_IPPROTO_IPV6, LX_IPV6_2292HOPLIMIT, INET_HOPLIMIT2292, false},
    {LX_IPPROTO_IPV6, LX_IPV6_RECVTCLASS, INET_TCLASS6, false},
    {LX_IPPROTO_IPV6, LX_IPV6_RECVERR, INET_RECVERR6, false},
    {LX_IPPROTO_IPV6, LX_IPV6_FREEBIND, INET_FREEBIND, false},
    {LX_IPPROTO_IPV6, LX_IPV6_AUTOFLOWLABEL, INET_AUTOFLOW, false},
    {LX_IPPROTO_IPV6, LX_IPV6_DONTFRAG, INET_DONTFRAG6, false},
    {LX_IPPROTO_IPV6, LX_IPV6_MULTICAST_LOOP, INET_LOOP6, true},
};

static const struct bool_option *bool_find(int level, int name)
{
    for (unsigned i = 0; i < ARRAY_COUNT(bools); i++) {
        if (bools[i].level == level && bools[i].name == name)
            return &bools[i];
    }
    return NULL;
}

static int bool_set(struct inet_sock *k, const struct bool_option *b, int32_t v)
{
    const struct process *p = current()->proc;
    if (b->strict && v != 0 && v != 1)
        return -EINVAL;
    if (b->bit == INET_TRANSPARENT && v != 0 &&
        !cred_capable(p, LX_CAP_NET_RAW) && !cred_capable(p, LX_CAP_NET_ADMIN))
        return -EPERM;
    spin_lock(&k->lock);
    if (v != 0)
        k->recv_flags |= b->bit;
    else
        k->recv_flags &= ~b->bit;
    uint64_t f = k->recv_flags;
    k->recv_error = (f & (INET_RECVERR4 | INET_RECVERR6)) != 0;
    k->transparent = (f & (INET_FREEBIND | INET_TRANSPARENT)) != 0;
    k->mcast_loop = (f & INET_LOOP4) != 0;
    k->mcast_loop6 = (f & INET_LOOP6) != 0;
    k->mcast_all = (f & INET_MCAST_ALL) != 0;
    spin_unlock(&k->lock);
    return 0;
}

/* --- numbers --- */

static bool in_range(int32_t v, int32_t least, int32_t most)
{
    return v >= least && v <= most;
}

static int set_tos(const struct inet_sock *k, int32_t v, uint8_t *tos)
{
    /* The ECN bits of a stream are TCP's: RFC 3168, 6.1. */
    if (k->s.type == LX_SOCK_STREAM)
        v = (v & ~3) | (*tos & 3);
    *tos = (uint8_t)v;
    return 0;
}

static int set_ip4(struct inet_sock *k, int name, int32_t v)
{
    switch (name) {
    case LX_IP_TOS: return set_tos(k, v, &k->tos);
    case LX_IP_TTL:
        if (v != -1 && !in_range(v, 1, 255))
            return -EINVAL;
        k->ttl = v == -1 ? 0 : (uint8_t)v;
        return 0;
    case LX_IP_MTU_DISCOVER:
        if (!in_range(v, 0, 5))
            return -EINVAL;
        k->pmtu_mode = (uint8_t)v;
        return 0;
    case LX_IP_MULTICAST_TTL:
        if (k->s.type == LX_SOCK_STREAM || !in_range(v, -1, 255))
            return -EINVAL;
        k->mcast_ttl = v == -1 ? 1 : (uint8_t)v;
        return 0;
    case LX_IP_MINTTL:
        if (!in_range(v, 0, 255))
            return -EINVAL;
        k->min_ttl = (uint8_t)v;
        return 0;
    default: return -ENOPROTOOPT;
    }
}

static int set_v6only(struct inet_sock *k, int32_t v)
{
    if (k->lport != 0)
        return -EINVAL;
    k->v6only = v != 0;
    return 0;
}

static int set_ip6(struct inet_sock *k, int name, int32_t v)
{
    switch (name) {
    case LX_IPV6_V6ONLY: return set_v6only(k, v);
    case LX_IPV6_UNICAST_HOPS:
        if (!in_range(v, -1, 255))
            return -EINVAL;
        k->hops = v == -1 ? 0 : (uint8_t)v;
        k->hops_set = v != -1;
        return 0;
    case LX_IPV6_MULTICAST_HOPS:
        if (k->s.type == LX_SOCK_STREAM)
            return -ENOPROTOOPT;
        if (!in_range(v, -1, 255))
            return -EINVAL;
        k->mcast_hops = v == -1 ? 1 : (uint8_t)v;
        return 0;
    case LX_IPV6_TCLASS:
        if (!in_range(v, -1, 255))
            return -EINVAL;
        return set_tos(k, MAX(v, 0), &k->tclass);
    case LX_IPV6_MTU_DISCOVER:
        if (!in_range(v, 0, 5))
            return -EINVAL;
        k->pmtu_mode6 = (uint8_t)v;
        return 0;
    default: return -ENOPROTOOPT;
    }
}

static int get_mtu(struct inet_sock *k, int32_t *v)
{
    struct ip_route r;
    if (!k->connected)
        return -ENOTCONN;
    int e = ip_route(&r, &k->remote, &k->local, k->oif);
    if (e < 0)
        return -ENOTCONN;
    *v = (int32_t)r.mtu;
    return 0;
}

static int get_ip4(struct inet_sock *k, int name, int32_t *v)
{
    switch (name) {
    case LX_IP_TOS: *v = k->tos; return 0;
    case LX_IP_TTL: *v = k->ttl != 0 ? k->ttl : DEFAULT_TTL; return 0;
    case LX_IP_MTU_DISCOVER: *v = k->pmtu_mode; return 0;
    case LX_IP_MTU: return get_mtu(k, v);
    case LX_IP_MULTICAST_TTL: *v = k->mcast_ttl; return 0;
    case LX_IP_MINTTL: *v = k->min_ttl; return 0;
    case LX_IP_HDRINCL: *v = k->hdr_included; return 0;
    default: return -ENOPROTOOPT;
    }
}

static int get_ip6(struct inet_sock *k, int name, int32_t *v)
{
    switch (name) {
    case LX_IPV6_V6ONLY: *v = k->v6only; return 0;
    case LX_IPV6_UNICAST_HOPS:
        *v = k->hops_set ? k->hops : DEFAULT_TTL;
        return 0;
    case LX_IPV6_MULTICAST_HOPS: *v = k->mcast_hops; return 0;
    case LX_IPV6_MULTICAST_IF: *v = (int32_t)k->mcast_oif6; return 0;
    case LX_IPV6_TCLASS: *v = k->tclass; return 0;
    case LX_IPV6_MTU_DISCOVER: *v = k->pmtu_mode6; return 0;
    case LX_IPV6_MTU: return get_mtu(k, v);
    default: return -ENOPROTOOPT;
    }
}

/* --- values --- */

/* Options of IPv4 that take no bytes for 0. */
static bool empty_is_zero(int name)
{
    return name != LX_IP_TTL && name != LX_IP_MULTICAST_TTL &&
           name != LX_IP_MULTICAST_LOOP && name != LX_IP_MULTICAST_ALL &&
           name != LX_IP_MINTTL && name != LX_IP_FREEBIND &&
           name != LX_IP_TRANSPARENT;
}

/* An int, or for the level of IPv4 one byte; ip(7). */
static int value_get(const struct socket_option *o, int32_t *v)
{
    uint8_t byte;
    *v = 0;
    if (o->size >= sizeof(*v))
        return copy_from_user(v, o->value, sizeof(*v));
    if (o->level != LX_IPPROTO_IP)
        return -EINVAL;
    if (o->size == 0)
        return empty_is_zero(o->name) ? 0 : -EINVAL;
    if (copy_from_user(&byte, o->value, 1) < 0)
        return -EFAULT;
    *v = byte;
    return 0;
}

static int value_put(struct socket_option *o, int32_t v)
{
    uint8_t byte = (uint8_t)v;
    if (o->level == LX_IPPROTO_IP && o->size > 0 && o->size < sizeof(v) &&
        v >= 0 && v <= 255)
        return socket_option_put(o, &byte, 1);
    return socket_option_put(o, &v, sizeof(v));
}

static int level_set(struct inet_sock *k, const struct socket_option *o)
{
    const struct bool_option *b = bool_find(o->level, o->name);
    int32_t v;
    int r = value_get(o, &v);
    if (r < 0)
        return r;
    if (b != NULL)
        return bool_set(k, b, v);
    return o->level == LX_IPPROTO_IP ? set_ip4(k, o->name, v)
                                     : set_ip6(k, o->name, v);
}

static int level_get(struct inet_sock *k, struct socket_option *o)
{
    const struct bool_option *b = bool_find(o->level, o->name);
    int32_t v = 0;
    int r = 0;
    if (o->level == LX_IPPROTO_IP && o->name == LX_IP_OPTIONS) {
        o->size = 0; /* there are none */
        return 0;
    }
    if (b != NULL)
        v = (k->recv_flags & b->bit) != 0;
    else
        r = o->level == LX_IPPROTO_IP ? get_ip4(k, o->name, &v)
                                      : get_ip6(k, o->name, &v);
    return r < 0 ? r : value_put(o, v);
}

/* --- SOL_SOCKET --- */

static int option_reuseport(struct socket *s, struct socket_option *o)
{
    int32_t v = socket_option_on(s, LX_SO_REUSEPORT);
    uint64_t bit = UINT64_C(1) << LX_SO_REUSEPORT;
    if (!o->set)
        return socket_option_put(o, &v, sizeof(v));
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    if (v != 0)
        __atomic_fetch_or(&s->options, bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&s->options, ~bit, __ATOMIC_RELAXED);
    return 0;
}

static int bind_index(struct inet_sock *k, uint32_t index)
{
    if (k->oif != 0 && !cred_capable(current()->proc, LX_CAP_NET_RAW))
        return -EPERM;
    spin_lock(&k->lock);
    k->oif = index;
    spin_unlock(&k->lock);
    return 0;
}

static int option_device(struct inet_sock *k, struct socket_option *o)
{
    char name[NETIF_NAME_SIZE] = "";
    const struct netif *n = netif_find(k->oif);
    if (!o->set) {
        if (n == NULL) {
            o->size = 0;
            return 0;
        }
        if (o->size < NETIF_NAME_SIZE)
            return -EINVAL;
        return socket_option_put(o, n->name, (uint32_t)strlen(n->name) + 1);
    }
    if (copy_from_user(name, o->value, MIN(o->size, NETIF_NAME_SIZE - 1u)) < 0)
        return -EFAULT;
    n = name[0] != '\0' ? netif_by_name(name) : NULL;
    if (name[0] != '\0' && n == NULL)
        return -ENODEV;
    return bind_index(k, n != NULL ? n->index : 0);
}

static int option_ifindex(struct inet_sock *k, struct socket_option *o)
{
    int32_t v = (int32_t)k->oif;
    if (!o->set)
        return socket_option_put(o, &v, sizeof(v));
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    return v < 0 ? -EINVAL : bind_index(k, (uint32_t)v);
}

int inet_option(struct socket *s, struct socket_option *o)
{
    struct inet_sock *k = inet_of(s);
    if (o->level == LX_SOL_SOCKET) {
        switch (o->name) {
        case LX_SO_REUSEPORT: return option_reuseport(s, o);
        case LX_SO_BINDTODEVICE: return option_device(k, o);
        case LX_SO_BINDTOIFINDEX: return option_ifindex(k, o);
        default: return -ENOPROTOOPT;
        }
    }
    if (o->level != LX_IPPROTO_IP &&
        (o->level != LX_IPPROTO_IPV6 || s->family != LX_AF_INET6))
        return o->set ? -ENOPROTOOPT : -EOPNOTSUPP;
    int r = inet_group_option(k, o);
    if (r != -ENOPROTOOPT)
        return r;
    return o->set ? level_set(k, o) : level_get(k, o);
}
