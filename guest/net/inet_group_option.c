// SPDX-License-Identifier: Apache-2.0
/* Multicast options of sockets. ip(7), ipv6(7), RFC 3678 (any source). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/usercopy.h"
#include "guest/net/group.h"
#include "guest/net/inet_impl.h"

/* The interface with this address; 0: none. */
static uint32_t index_of(uint32_t addr)
{
    struct ip_addr a = ip_from4(addr);
    const struct netif *n = ip_owner(&a);
    return n != NULL ? n->index : 0;
}

/* struct ip_mreqn, or its beginnings. */
static int mreq_get(const struct socket_option *o, struct lx_ip_mreqn *m,
                    uint32_t least)
{
    *m = (struct lx_ip_mreqn){.group = 0};
    if (o->size < least)
        return -EINVAL;
    uint32_t n = o->size >= sizeof(*m) ? (uint32_t)sizeof(*m)
                 : o->size >= 8        ? 8
                                       : 4;
    return copy_from_user(m, o->value, n);
}

static int set_if4(struct inet_sock *k, const struct socket_option *o)
{
    struct lx_ip_mreqn m;
    uint32_t oif;
    if (k->s.type == LX_SOCK_STREAM)
        return -EINVAL;
    int r = mreq_get(o, &m, 4);
    if (r < 0)
        return r;
    if (o->size == 4) /* struct in_addr */
        m.addr = m.group;
    oif = (uint32_t)m.ifindex;
    if (oif == 0 && m.addr != 0) {
        oif = index_of(m.addr);
        if (oif == 0)
            return -EADDRNOTAVAIL;
    } else if (oif != 0 && netif_find(oif) == NULL) {
        return -EADDRNOTAVAIL;
    }
    spin_lock(&k->lock);
    k->mcast_oif = oif;
    k->mcast_src = m.addr != 0 ? ip_from4(m.addr) : ip_any4;
    spin_unlock(&k->lock);
    return 0;
}

static int get_if4(const struct inet_sock *k, struct socket_option *o)
{
    uint32_t a = ip_is4(&k->mcast_src) ? ip_to4(&k->mcast_src) : 0;
    return socket_option_put(o, &a, sizeof(a));
}

static int set_if6(struct inet_sock *k, const struct socket_option *o)
{
    int32_t v;
    if (k->s.type == LX_SOCK_STREAM)
        return -ENOPROTOOPT;
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    if (v != 0 && netif_find((uint32_t)v) == NULL)
        return -ENODEV;
    k->mcast_oif6 = (uint32_t)v;
    return 0;
}

static int member_change(struct inet_sock *k, const struct ip_addr *group,
                         uint32_t oif, bool join)
{
    return join ? group_join(k, group, oif) : group_leave(k, group, oif);
}

static int member4(struct inet_sock *k, const struct socket_option *o,
                   bool join)
{
    struct lx_ip_mreqn m;
    if (k->s.type == LX_SOCK_STREAM)
        return -EPROTO;
    int r = mreq_get(o, &m, 8);
    if (r < 0)
        return r;
    struct ip_addr group = ip_from4(m.group);
    uint32_t oif = (uint32_t)m.ifindex;
    if (!ip_is_multicast(&group))
        return join ? -EINVAL : -EADDRNOTAVAIL;
    if (oif == 0 && m.addr != 0) {
        oif = index_of(m.addr);
        if (oif == 0)
            return -ENODEV;
    }
    return member_change(k, &group, oif, join);
}

static int member6(struct inet_sock *k, const struct socket_option *o,
                   bool join)
{
    struct lx_ipv6_mreq m;
    struct ip_addr group;
    if (k->s.type == LX_SOCK_STREAM)
        return -EPROTO;
    int code = socket_option_get(o, &m, sizeof(m));
    if (code < 0)
        return code;
    memcpy(group.b, m.group, sizeof(m.group));
    if (ip_is4(&group) || !ip_is_multicast(&group))
        return join ? -EINVAL : -EADDRNOTAVAIL;
    uint32_t oif = (uint32_t)m.ifindex;
    return member_change(k, &group, oif, join);
}

/* MCAST_JOIN_GROUP of either level: the group is a socket address. */
static int member_any(struct inet_sock *k, const struct socket_option *o,
                      bool join)
{
    struct lx_group_req g;
    struct net_addr a = {.size = sizeof(struct lx_sockaddr_in6)};
    struct lx_sockaddr_in in;
    struct lx_sockaddr_in6 in6;
    if (k->s.type == LX_SOCK_STREAM)
        return -EPROTO;
    int code = socket_option_get(o, &g, sizeof(g));
    if (code < 0)
        return code;
    memcpy(a.data, g.group, a.size);
    memcpy(&in, g.group, sizeof(in));
    memcpy(&in6, g.group, sizeof(in6));
    struct ip_addr group = ip_from4(in.addr);
    if (o->level == LX_IPPROTO_IPV6)
        memcpy(group.b, in6.addr, sizeof(in6.addr));
    uint16_t family = o->level == LX_IPPROTO_IP ? LX_AF_INET : LX_AF_INET6;
    if (a.family != family || !ip_is_multicast(&group))
        return join ? -EINVAL : -EADDRNOTAVAIL;
    return member_change(k, &group, g.interface, join);
}

static int option4(struct inet_sock *k, struct socket_option *o)
{
    switch (o->name) {
    case LX_IP_MULTICAST_IF: return o->set ? set_if4(k, o) : get_if4(k, o);
    case LX_IP_ADD_MEMBERSHIP:
        return o->set ? member4(k, o, true) : -ENOPROTOOPT;
    case LX_IP_DROP_MEMBERSHIP:
        return o->set ? member4(k, o, false) : -ENOPROTOOPT;
    default: return -ENOPROTOOPT;
    }
}

static int option6(struct inet_sock *k, struct socket_option *o)
{
    switch (o->name) {
    case LX_IPV6_MULTICAST_IF: return o->set ? set_if6(k, o) : -ENOPROTOOPT;
    case LX_IPV6_JOIN_GROUP: return o->set ? member6(k, o, true) : -ENOPROTOOPT;
    case LX_IPV6_LEAVE_GROUP:
        return o->set ? member6(k, o, false) : -ENOPROTOOPT;
    default: return -ENOPROTOOPT;
    }
}

int inet_group_option(struct inet_sock *k, struct socket_option *o)
{
    if (o->set &&
        (o->name == LX_MCAST_JOIN_GROUP || o->name == LX_MCAST_LEAVE_GROUP))
        return member_any(k, o, o->name == LX_MCAST_JOIN_GROUP);
    return o->level == LX_IPPROTO_IP ? option4(k, o) : option6(k, o);
}
