// SPDX-License-Identifier: Apache-2.0
/* What rtnetlink(7) changes: interfaces, addresses, routes, neighbours. */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/netlink.h"
#include "guest/net/route.h"

/* --- attributes --- */

/* *out is untouched when the attribute is not there. */
static int find_addr(const struct nl_request *r, uint32_t head, uint16_t type,
                     uint8_t family, struct ip_addr *out)
{
    uint32_t n, size = family == LX_AF_INET ? 4 : 16;
    const void *at = nl_find(r, head, type, &n);
    if (at == NULL)
        return 0;
    if (n < size)
        return -EINVAL;
    *out = family == LX_AF_INET ? ip_any4 : ip_any6;
    memcpy(out->b + 16 - size, at, size);
    return 0;
}

static uint32_t find_u32(const struct nl_request *r, uint32_t head,
                         uint16_t type, uint32_t otherwise)
{
    uint32_t n, v = otherwise;
    const void *at = nl_find(r, head, type, &n);
    if (at != NULL && n >= sizeof(v))
        memcpy(&v, at, sizeof(v));
    return v;
}

static bool family_known(uint8_t family)
{
    return family == LX_AF_INET || family == LX_AF_INET6;
}

/* --- links --- */

static int link_set(const struct nl_request *r)
{
    struct lx_ifinfomsg m;
    char name[NETIF_NAME_SIZE] = "";
    uint32_t size;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    struct netif *n = netif_find((uint32_t)m.index);
    const void *at = nl_find(r, sizeof(m), LX_IFLA_IFNAME, &size);
    if (m.index <= 0 && at != NULL) {
        memcpy(name, at, MIN(size, NETIF_NAME_SIZE - 1u));
        n = netif_by_name(name);
    }
    if (n == NULL)
        return (r->h.flags & LX_NLM_F_CREATE) != 0 ? -EOPNOTSUPP : -ENODEV;
    uint32_t mtu = find_u32(r, sizeof(m), LX_IFLA_MTU, n->mtu);
    int e = netif_set_mtu(n, mtu);
    if (e < 0)
        return e;
    if (m.change != 0)
        netif_set_flags(n, (n->flags & ~m.change) | (m.flags & m.change));
    else if (m.flags != 0)
        netif_set_flags(n, m.flags);
    return 0;
}

/* --- addresses --- */

static int addr_set(const struct nl_request *r)
{
    struct lx_ifaddrmsg m;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    if (!family_known(m.family))
        return -EAFNOSUPPORT;
    struct netif *n = netif_find(m.index);
    struct netif_addr a = {.prefix = m.prefix, .scope = m.scope};
    struct ip_addr brd = ip_any4;
    int e = find_addr(r, sizeof(m), LX_IFA_ADDRESS, m.family, &a.addr);
    if (e == 0)
        e = find_addr(r, sizeof(m), LX_IFA_LOCAL, m.family, &a.addr);
    if (e == 0 && m.family == LX_AF_INET)
        e = find_addr(r, sizeof(m), LX_IFA_BROADCAST, m.family, &brd);
    if (e < 0)
        return e;
    if (n == NULL)
        return -ENODEV;
    a.broadcast = ip_to4(&brd);
    a.alone = (find_u32(r, sizeof(m), LX_IFA_FLAGS, m.flags) &
               LX_IFA_F_NOPREFIXROUTE) != 0;
    if (r->h.type == LX_RTM_DELADDR)
        return netif_addr_del(n, &a.addr);
    if (m.family == LX_AF_INET6)
        a.scope =
            ip_is_link_local(&a.addr) ? LX_RT_SCOPE_LINK : LX_RT_SCOPE_UNIVERSE;
    e = netif_addr_add(n, &a);
    return e == -EEXIST && (r->h.flags & LX_NLM_F_REPLACE) != 0 ? 0 : e;
}

/* --- routes --- */

static int route_read(const struct nl_request *r, const struct lx_rtmsg *m,
                      struct route *out)
{
    struct ip_addr any = m->family == LX_AF_INET ? ip_any4 : ip_any6;
    *out = (struct route){
        .dst = any,
        .gateway = any,
        .src = any,
        .bits = m->dst_bits,
        .protocol = m->protocol,
        .scope = m->scope,
        .type = m->type,
        .onlink = (m->flags & LX_RTNH_F_ONLINK) != 0,
        .oif = find_u32(r, sizeof(*m), LX_RTA_OIF, 0),
        .metric = find_u32(r, sizeof(*m), LX_RTA_PRIORITY, 0),
    };
    int e = find_addr(r, sizeof(*m), LX_RTA_DST, m->family, &out->dst);
    if (e == 0)
        e = find_addr(r, sizeof(*m), LX_RTA_GATEWAY, m->family, &out->gateway);
    if (e == 0)
        e = find_addr(r, sizeof(*m), LX_RTA_PREFSRC, m->family, &out->src);
    if (m->dst_bits > (m->family == LX_AF_INET ? 32 : 128))
        return -EINVAL;
    return e;
}

/* Any table but main would need rules; types other than unicast say "nowhere",
 * which nobody here configures. */
static int route_set(const struct nl_request *r)
{
    struct lx_rtmsg m;
    struct route rt;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    if (!family_known(m.family))
        return -EAFNOSUPPORT;
    int e = route_read(r, &m, &rt);
    if (e < 0)
        return e;
    uint32_t table = find_u32(r, sizeof(m), LX_RTA_TABLE, m.table);
    if (table != LX_RT_TABLE_MAIN && table != 0)
        return -EOPNOTSUPP;
    if (r->h.type == LX_RTM_DELROUTE)
        return route_del(&rt);
    if (rt.type != LX_RTN_UNICAST)
        return -EOPNOTSUPP;
    if (m.family == LX_AF_INET6 && rt.metric == 0)
        rt.metric = 1024; /* IP6_RT_PRIO_USER */
    if ((r->h.flags & LX_NLM_F_REPLACE) != 0)
        return route_replace(&rt);
    return route_add(&rt);
}

/* --- neighbours --- */

static int neigh_change(const struct nl_request *r)
{
    struct lx_ndmsg m;
    struct ip_addr a = ip_any4;
    uint32_t n;
    if (r->size < sizeof(m))
        return -EINVAL;
    memcpy(&m, r->body, sizeof(m));
    if (!family_known(m.family))
        return -EAFNOSUPPORT;
    struct netif *dev = netif_find((uint32_t)m.index);
    int e = find_addr(r, sizeof(m), LX_NDA_DST, m.family, &a);
    if (e < 0)
        return e;
    if (dev == NULL || !dev->ethernet)
        return -ENODEV;
    if (ip_is_any(&a))
        return -EINVAL;
    if (r->h.type == LX_RTM_DELNEIGH)
        return neigh_del(dev, &a);
    const void *mac = nl_find(r, sizeof(m), LX_NDA_LLADDR, &n);
    if (mac == NULL || n < 6)
        return -EINVAL;
    return neigh_set(dev, &a, mac);
}

int rtnl_set(const struct nl_request *r)
{
    if (r->size < 1)
        return 0; /* not even a family: nobody looks at it */
    if (r->h.type >= LX_RTM_NEWADDR && !family_known(r->body[0]))
        return -EOPNOTSUPP;
    switch (r->h.type) {
    case LX_RTM_NEWLINK:
    case LX_RTM_SETLINK: return link_set(r);
    case LX_RTM_NEWADDR:
    case LX_RTM_DELADDR: return addr_set(r);
    case LX_RTM_NEWROUTE:
    case LX_RTM_DELROUTE: return route_set(r);
    case LX_RTM_NEWNEIGH:
    case LX_RTM_DELNEIGH: return neigh_change(r);
    default: return -EOPNOTSUPP;
    }
}
