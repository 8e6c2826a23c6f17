// SPDX-License-Identifier: Apache-2.0
/* What rtnetlink(7) tells: interfaces, addresses, routes, neighbours. */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/netlink.h"
#include "guest/net/route.h"

static uint8_t family_of(const struct ip_addr *a)
{
    return ip_is4(a) ? LX_AF_INET : LX_AF_INET6;
}

static void attr_addr(struct nl_out *o, uint16_t type, const struct ip_addr *a)
{
    unsigned off = ip_is4(a) ? 12 : 0;
    nl_attr(o, type, a->b + off, 16 - off);
}

static void attr_u8(struct nl_out *o, uint16_t type, uint8_t v)
{
    nl_attr(o, type, &v, 1);
}

static void attr_text(struct nl_out *o, uint16_t type, const char *s)
{
    nl_attr(o, type, s, (uint32_t)strlen(s) + 1);
}

/* --- links --- */

static void link_stats(struct nl_out *o, const struct netif *n)
{
    /* struct rtnl_link_stats64 up to collisions, and zeros. */
    uint64_t s[24] = {
        n->stats.rx_packets, n->stats.tx_packets, n->stats.rx_bytes,
        n->stats.tx_bytes,   n->stats.rx_errors,  n->stats.tx_errors,
        n->stats.rx_dropped, n->stats.tx_dropped, n->stats.multicast};
    nl_attr(o, LX_IFLA_STATS64, s, sizeof(s));
}

static void link_put(struct nl_out *o, const struct netif *n)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t nobody[6];
    bool lo = (n->flags & LX_IFF_LOOPBACK) != 0;
    bool up = (n->flags & LX_IFF_UP) != 0;
    struct lx_ifinfomsg m = {.type = lo ? LX_ARPHRD_LOOPBACK : LX_ARPHRD_ETHER,
                             .index = (int32_t)n->index,
                             .flags = n->flags};
    if (!up)
        m.flags &= ~LX_IFF_RUNNING;
    if ((m.flags & LX_IFF_RUNNING) != 0)
        m.flags |= LX_IFF_LOWER_UP;
    nl_begin(o, LX_RTM_NEWLINK, &m, sizeof(m));
    attr_text(o, LX_IFLA_IFNAME, n->name);
    nl_attr_u32(o, LX_IFLA_TXQLEN, 1000);
    /* IF_OPER_*, RFC 2863: UNKNOWN for lo, as Linux has it */
    attr_u8(o, LX_IFLA_OPERSTATE, lo ? 0 : up ? 6 : 2);
    attr_u8(o, LX_IFLA_LINKMODE, 0);
    nl_attr_u32(o, LX_IFLA_MTU, n->mtu);
    nl_attr_u32(o, LX_IFLA_GROUP, 0);
    attr_u8(o, LX_IFLA_CARRIER, 1);
    attr_text(o, LX_IFLA_QDISC, "noqueue");
    nl_attr(o, LX_IFLA_ADDRESS, n->mac, sizeof(n->mac));
    nl_attr(o, LX_IFLA_BROADCAST, lo ? nobody : everybody, 6);
    link_stats(o, n);
    nl_end(o);
}

static int link_get(struct nl_out *o, const struct nl_request *r)
{
    struct lx_ifinfomsg m;
    char name[NETIF_NAME_SIZE] = "";
    uint32_t size;
    const struct netif *n = NULL;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    const void *at = nl_find(r, sizeof(m), LX_IFLA_IFNAME, &size);
    if (m.index > 0) {
        n = netif_find((uint32_t)m.index);
    } else if (at != NULL) {
        memcpy(name, at, MIN(size, NETIF_NAME_SIZE - 1u));
        n = netif_by_name(name);
    } else {
        return -EINVAL;
    }
    if (n == NULL)
        return -ENODEV;
    link_put(o, n);
    return 0;
}

/* --- addresses --- */

static void addr_put(struct nl_out *o, const struct netif *n,
                     const struct netif_addr *a)
{
    const uint32_t forever[4] = {UINT32_MAX, UINT32_MAX, 0, 0};
    uint32_t flags =
        LX_IFA_F_PERMANENT | (a->alone ? LX_IFA_F_NOPREFIXROUTE : 0);
    struct lx_ifaddrmsg m = {.family = family_of(&a->addr),
                             .prefix = a->prefix,
                             .flags = (uint8_t)flags,
                             .scope = a->scope,
                             .index = n->index};
    nl_begin(o, LX_RTM_NEWADDR, &m, sizeof(m));
    attr_addr(o, LX_IFA_ADDRESS, &a->addr);
    if (ip_is4(&a->addr)) {
        attr_addr(o, LX_IFA_LOCAL, &a->addr);
        if (a->broadcast != 0)
            nl_attr(o, LX_IFA_BROADCAST, &a->broadcast, 4);
        attr_text(o, LX_IFA_LABEL, n->name);
    }
    nl_attr_u32(o, LX_IFA_FLAGS, flags);
    nl_attr(o, LX_IFA_CACHEINFO, forever, sizeof(forever));
    nl_end(o);
}

static void addr_dump(struct nl_out *o, uint8_t family)
{
    struct netif_addr a;
    struct netif *n;
    for (unsigned k = 0; (n = netif_next(&k)) != NULL;) {
        for (unsigned i = 0; netif_addr_at(n, i, &a); i++) {
            if (family_of(&a.addr) == family)
                addr_put(o, n, &a);
        }
    }
}

/* --- routes --- */

static void route_put(struct nl_out *o, const struct route *r, uint8_t bits)
{
    struct lx_rtmsg m = {.family = family_of(&r->dst),
                         .dst_bits = bits,
                         .table = LX_RT_TABLE_MAIN,
                         .protocol = r->protocol,
                         .scope = r->scope,
                         .type = r->type,
                         .flags = r->onlink ? LX_RTNH_F_ONLINK : 0};
    nl_begin(o, LX_RTM_NEWROUTE, &m, sizeof(m));
    nl_attr_u32(o, LX_RTA_TABLE, LX_RT_TABLE_MAIN);
    if (bits != 0)
        attr_addr(o, LX_RTA_DST, &r->dst);
    if (r->metric != 0)
        nl_attr_u32(o, LX_RTA_PRIORITY, r->metric);
    if (!ip_is_any(&r->src))
        attr_addr(o, LX_RTA_PREFSRC, &r->src);
    if (!ip_is_any(&r->gateway))
        attr_addr(o, LX_RTA_GATEWAY, &r->gateway);
    nl_attr_u32(o, LX_RTA_OIF, r->oif);
    nl_end(o);
}

static void route_dump(struct nl_out *o, uint8_t family)
{
    struct route r;
    for (unsigned i = 0; route_at(i, &r); i++) {
        if (family_of(&r.dst) == family)
            route_put(o, &r, r.bits);
    }
}

/* ip route get: where would a packet go? */
static int route_get(struct nl_out *o, const struct nl_request *r)
{
    struct lx_rtmsg m;
    struct ip_route found;
    struct ip_addr dst = ip_any4;
    uint32_t n, oif = 0;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    uint32_t size = m.family == LX_AF_INET ? 4 : 16;
    const void *at = nl_find(r, sizeof(m), LX_RTA_DST, &n);
    if (at == NULL || n != size)
        return -EINVAL;
    memcpy(dst.b + 16 - size, at, size);
    at = nl_find(r, sizeof(m), LX_RTA_OIF, &n);
    if (at != NULL && n == sizeof(oif))
        memcpy(&oif, at, sizeof(oif));
    int e = ip_route(&found, &dst, NULL, oif);
    if (e < 0)
        return e;
    struct route out = {.dst = dst,
                        .src = found.src,
                        .oif = found.netif->index,
                        .protocol = 0,
                        .type = found.local ? LX_RTN_LOCAL : LX_RTN_UNICAST};
    if (!ip_equal(&found.hop, &dst))
        out.gateway = found.hop;
    route_put(o, &out, (uint8_t)(size * 8));
    return 0;
}

/* --- neighbours --- */

static uint16_t nud_of(enum neigh_state s)
{
    switch (s) {
    case NEIGH_INCOMPLETE: return LX_NUD_INCOMPLETE;
    case NEIGH_REACHABLE: return LX_NUD_REACHABLE;
    case NEIGH_STALE: return LX_NUD_STALE;
    case NEIGH_DELAY: return LX_NUD_DELAY;
    case NEIGH_PROBE: return LX_NUD_PROBE;
    case NEIGH_PERMANENT: return LX_NUD_PERMANENT;
    case NEIGH_FAILED:
    default: return LX_NUD_FAILED;
    }
}

static void neigh_dump(struct nl_out *o, uint8_t family)
{
    struct neigh_info e;
    for (unsigned i = 0; neigh_at(i, &e); i++) {
        struct lx_ndmsg m = {.family = family_of(&e.addr),
                             .index = (int32_t)e.netif,
                             .state = nud_of(e.state),
                             .type = LX_RTN_UNICAST};
        if (m.family != family)
            continue;
        nl_begin(o, LX_RTM_NEWNEIGH, &m, sizeof(m));
        attr_addr(o, LX_NDA_DST, &e.addr);
        if (e.state != NEIGH_INCOMPLETE && e.state != NEIGH_FAILED)
            nl_attr(o, LX_NDA_LLADDR, e.mac, sizeof(e.mac));
        nl_end(o);
    }
}

/* --- the entrances --- */

static void dump_family(struct nl_out *o, uint16_t type, uint8_t family)
{
    if (type == LX_RTM_GETADDR)
        addr_dump(o, family);
    else if (type == LX_RTM_GETROUTE)
        route_dump(o, family);
    else
        neigh_dump(o, family);
}

int rtnl_dump(struct nl_out *o, const struct nl_request *r)
{
    const struct netif *n;
    uint8_t family = r->size > 0 ? r->body[0] : 0;
    switch (r->h.type) {
    case LX_RTM_GETLINK:
        for (unsigned i = 0; (n = netif_next(&i)) != NULL;)
            link_put(o, n);
        return 0;
    case LX_RTM_GETADDR:
    case LX_RTM_GETROUTE:
    case LX_RTM_GETNEIGH:
        if (family == 0 || family == LX_AF_INET)
            dump_family(o, r->h.type, LX_AF_INET);
        if (family == 0 || family == LX_AF_INET6)
            dump_family(o, r->h.type, LX_AF_INET6);
        return 0;
    default: return -EOPNOTSUPP;
    }
}

int rtnl_get(struct nl_out *o, const struct nl_request *r)
{
    switch (r->h.type) {
    case LX_RTM_GETLINK: return link_get(o, r);
    case LX_RTM_GETROUTE: return route_get(o, r);
    default: return -EOPNOTSUPP;
    }
}
