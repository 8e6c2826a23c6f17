// SPDX-License-Identifier: Apache-2.0
/* Internet sockets: families, names, binding. ip(7), ipv6(7). */
#include "guest/net/inet.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/net/inet_impl.h"
#include "guest/net/netif.h"
#include "guest/net/proto.h"

/* --- families --- */

static int create_dgram(uint16_t family, int protocol, struct socket **out)
{
    int ping = family == LX_AF_INET ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6;
    if (protocol == ping)
        return raw_create(family, LX_SOCK_DGRAM, protocol, out);
    if (protocol != 0 && protocol != LX_IPPROTO_UDP)
        return -EPROTONOSUPPORT;
    return udp_create(family, LX_IPPROTO_UDP, out);
}

static int create_raw(uint16_t family, int protocol, struct socket **out)
{
    if (protocol == 0)
        return -EPROTONOSUPPORT;
    if (!cred_capable(current()->proc, LX_CAP_NET_RAW))
        return -EPERM;
    return raw_create(family, LX_SOCK_RAW, protocol, out);
}

static int inet_create(uint16_t family, uint32_t type, int protocol,
                       struct socket **out)
{
    if (protocol < 0 || protocol >= LX_IPPROTO_MAX)
        return -EINVAL;
    int r = net_start();
    if (r < 0)
        return r;
    switch (type) {
    case LX_SOCK_STREAM:
        if (protocol != 0 && protocol != LX_IPPROTO_TCP)
            return -EPROTONOSUPPORT;
        return tcp_create(family, LX_IPPROTO_TCP, out);
    case LX_SOCK_DGRAM: return create_dgram(family, protocol, out);
    case LX_SOCK_RAW: return create_raw(family, protocol, out);
    default: return -ESOCKTNOSUPPORT;
    }
}

static int inet4_create(uint32_t type, int protocol, struct socket **out)
{
    return inet_create(LX_AF_INET, type, protocol, out);
}

static int inet6_create(uint32_t type, int protocol, struct socket **out)
{
    return inet_create(LX_AF_INET6, type, protocol, out);
}

static int inet_pair(struct socket *a, struct socket *b)
{
    (void)a;
    (void)b;
    return -EOPNOTSUPP;
}

const struct net_family inet_family = {
    .family = LX_AF_INET,
    .create = inet4_create,
    .pair = inet_pair,
};

const struct net_family inet6_family = {
    .family = LX_AF_INET6,
    .create = inet6_create,
    .pair = inet_pair,
};

/* --- life --- */

void inet_init(struct inet_sock *k, uint16_t family, uint16_t type,
               struct inet_table *t)
{
    const struct process *p = current()->proc;
    socket_init(&k->s, family, type);
    k->refs = 1;
    k->local = family == LX_AF_INET ? ip_any4 : ip_any6;
    k->remote = k->local;
    k->mcast_ttl = 1;
    k->mcast_hops = 1;
    k->mcast_loop = true;
    k->mcast_loop6 = true;
    k->mcast_all = true;
    k->recv_flags = INET_LOOP4 | INET_LOOP6 | INET_MCAST_ALL | INET_AUTOFLOW;
    k->pmtu_mode = LX_IP_PMTUDISC_WANT;
    k->pmtu_mode6 = LX_IP_PMTUDISC_WANT;
    k->mcast_src = k->local;
    k->uid = p != NULL ? p->cred.fsuid : 0;
    k->table = t;
    list_init(&k->bound_node);
    list_init(&k->hash_node);
    list_init(&k->groups);
}

void inet_get(struct inet_sock *k)
{
    __atomic_fetch_add(&k->refs, 1, __ATOMIC_RELAXED);
}

void inet_put(struct inet_sock *k)
{
    if (__atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) == 0)
        k->free(k);
}

/* --- names --- */

static int addr_get4(const struct inet_sock *k, const struct net_addr *a,
                     struct ip_addr *addr, uint16_t *port)
{
    struct lx_sockaddr_in in;
    if (a->size < sizeof(in))
        return -EINVAL;
    memcpy(&in, a->data, sizeof(in));
    if (in.family != LX_AF_INET && in.family != 0)
        return -EAFNOSUPPORT;
    if (k->s.family == LX_AF_INET6 && k->v6only)
        return -ENETUNREACH;
    *addr = ip_from4(in.addr);
    *port = be16(in.port);
    return 0;
}

int inet_addr_get(const struct inet_sock *k, const struct net_addr *a,
                  struct ip_addr *addr, uint16_t *port, uint32_t *scope)
{
    struct lx_sockaddr_in6 in = {.scope_id = 0};
    *scope = 0;
    if (a->size < sizeof(uint16_t))
        return -EINVAL;
    /* An IPv6 socket may be told an IPv4 destination as it is. */
    if (k->s.family == LX_AF_INET || a->family == LX_AF_INET)
        return addr_get4(k, a, addr, port);
    if (a->size < LX_SIN6_LEN_RFC2133)
        return -EINVAL;
    memcpy(&in, a->data, MIN(a->size, sizeof(in)));
    if (in.family != LX_AF_INET6)
        return -EAFNOSUPPORT;
    memcpy(addr->b, in.addr, sizeof(in.addr));
    *port = be16(in.port);
    if (ip_is4(addr))
        return k->v6only ? -ENETUNREACH : 0;
    if (ip_is_link_local(addr) || ip_is_multicast(addr))
        *scope = in.scope_id;
    return 0;
}

void inet_addr_put(const struct inet_sock *k, const struct ip_addr *addr,
                   uint16_t port, uint32_t scope, struct net_addr *out)
{
    if (k->s.family == LX_AF_INET) {
        struct lx_sockaddr_in in = {
            .family = LX_AF_INET, .port = be16(port), .addr = ip_to4(addr)};
        out->size = sizeof(in);
        memcpy(out->data, &in, sizeof(in));
        return;
    }
    struct lx_sockaddr_in6 in = {.family = LX_AF_INET6, .port = be16(port)};
    memcpy(in.addr, addr->b, sizeof(in.addr));
    if (ip_is_link_local(addr) && !ip_is4(addr))
        in.scope_id = scope;
    out->size = sizeof(in);
    memcpy(out->data, &in, sizeof(in));
}

int inet_name(struct socket *s, bool peer, struct net_addr *out)
{
    struct inet_sock *k = inet_of(s);
    int r = 0;
    spin_lock(&k->lock);
    if (peer && k->rport == 0)
        r = -ENOTCONN;
    else if (peer)
        inet_addr_put(k, &k->remote, k->rport, k->oif, out);
    else
        inet_addr_put(k, &k->local, k->lport, k->oif, out);
    spin_unlock(&k->lock);
    return r;
}

/* --- binding --- */

static bool is_bindable(const struct inet_sock *k, const struct ip_addr *a)
{
    return ip_is_any(a) || k->transparent || ip_is_multicast(a) ||
           ip_is_ours(a) ||
           (k->s.type != LX_SOCK_STREAM && ip_is_broadcast(a, NULL));
}

/* What bind(2) may be told, beyond inet_addr_get. */
static int bind_check(const struct inet_sock *k, const struct net_addr *a,
                      const struct ip_addr *addr, uint32_t *scope)
{
    if (a->family != k->s.family &&
        !(k->s.family == LX_AF_INET && a->family == 0 && ip_is_any(addr)))
        return -EAFNOSUPPORT;
    if (!ip_is4(addr) && ip_is_link_local(addr)) {
        *scope = *scope != 0 ? *scope : k->oif;
        if (*scope == 0)
            return -EINVAL;
        if (netif_find(*scope) == NULL)
            return -ENODEV;
    }
    return is_bindable(k, addr) ? 0 : -EADDRNOTAVAIL;
}

int inet_bind(struct socket *s, const struct net_addr *a)
{
    struct inet_sock *k = inet_of(s);
    struct ip_addr addr;
    uint16_t port;
    uint32_t scope;
    if (s->family == LX_AF_INET6 && a->size < LX_SIN6_LEN_RFC2133)
        return -EINVAL;
    int r = inet_addr_get(k, a, &addr, &port, &scope);
    if (r == -ENETUNREACH)
        r = -EINVAL; /* IPv4 at a socket for IPv6 only */
    if (r == 0)
        r = bind_check(k, a, &addr, &scope);
    if (r < 0)
        return r;
    if (port != 0 && port < inet_unprivileged_port &&
        !cred_capable(current()->proc, LX_CAP_NET_BIND_SERVICE))
        return -EACCES;
    return inet_table_bind(k, &addr, port, scope);
}

/* --- sending --- */

static const struct ip_addr loopback4 = {
    .b = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
static const struct ip_addr loopback6 = {.b = {[15] = 1}};

static void route_options(const struct inet_sock *k, bool group,
                          struct ip_send *how)
{
    uint8_t pmtu = k->pmtu_mode6;
    if (ip_is4(&how->dst)) {
        pmtu = k->pmtu_mode;
        how->ttl = group ? k->mcast_ttl : k->ttl;
        how->ttl_set = group;
        how->tos = k->tos;
        how->multicast_loop = group && k->mcast_loop;
    } else {
        how->ttl = group ? k->mcast_hops : k->hops;
        how->ttl_set = group || k->hops_set;
        how->tos = k->tclass;
        how->multicast_loop = group && k->mcast_loop6;
        how->dont_fragment = (k->recv_flags & INET_DONTFRAG6) != 0;
    }
    if (pmtu == LX_IP_PMTUDISC_DO || pmtu == LX_IP_PMTUDISC_PROBE)
        how->dont_fragment = true;
    how->mtu_probe = pmtu >= LX_IP_PMTUDISC_PROBE;
}

int inet_route(const struct inet_sock *k, const struct ip_addr *to,
               uint32_t oif, struct ip_route *r, struct ip_send *how)
{
    bool group = ip_is_multicast(to), four = ip_is4(to);
    const struct ip_addr *src = &k->local;
    *how = (struct ip_send){.dst = *to, .protocol = (uint8_t)k->s.protocol};
    route_options(k, group, how);
    if (ip_is_any(to))
        how->dst = four ? loopback4 : loopback6;
    if (oif == 0 && group)
        oif = four ? k->mcast_oif : k->mcast_oif6;
    if (oif == 0)
        oif = k->oif;
    if (group && ip_is_any(src) && !ip_is_any(&k->mcast_src))
        src = &k->mcast_src;
    if (ip_is4(src) && !four)
        return -EAFNOSUPPORT;
    int e = ip_route(r, &how->dst, ip_is4(src) == four ? src : NULL, oif);
    if (e < 0)
        return e;
    if (r->broadcast && !socket_option_on(&k->s, LX_SO_BROADCAST))
        return -EACCES;
    how->src = r->src;
    return 0;
}
