// SPDX-License-Identifier: Apache-2.0
/* All routes of an interface, for a guest that takes its place. */
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/link.h"
#include "net/nl.h"
#include "net/plan.h"

enum { METRIC_KERNEL6 = 256 }; /* IP6_RT_PRIO_ADDRCONF */

struct own_reader {
    struct nl_reader r; /* first */
    struct net_iface *out;
    int index;
    bool onlink[NET_ADDRS_MAX]; /* the address makes its own route */
    int code;
    struct err *e;
};

/* What a message says. */
struct own_route {
    struct rtmsg h;
    struct net_route r;
    int oif;
    uint32_t table;
    bool odd; /* a guest cannot have it */
};

static bool own_addr(const struct own_route *t, const struct nl_attr *a,
                     struct net_addr *out)
{
    bool v6 = t->h.rtm_family == AF_INET6;
    if (a->size != (v6 ? 16U : 4U))
        return false;
    out->v6 = v6;
    out->prefix = v6 ? 128 : 32;
    memcpy(out->b, a->data, a->size);
    return true;
}

static void own_attr(struct own_route *t, const struct nl_attr *a)
{
    if (a->type == RTA_OIF)
        t->oif = (int)nl_attr_u32(a);
    else if (a->type == RTA_TABLE)
        t->table = nl_attr_u32(a);
    else if (a->type == RTA_PRIORITY)
        t->r.metric = nl_attr_u32(a);
    else if (a->type == RTA_DST)
        (void)own_addr(t, a, &t->r.to);
    else if (a->type == RTA_GATEWAY)
        t->r.has_via = own_addr(t, a, &t->r.via);
    else if (a->type == RTA_PREFSRC)
        t->r.has_src = own_addr(t, a, &t->r.src);
    else if (a->type == RTA_VIA || a->type == RTA_ENCAP)
        t->odd = true;
}

/* Of several ways the first that leaves by our interface. */
static void own_ways(struct own_route *t, const struct nl_attr *ways, int index)
{
    const uint8_t *at = ways->data;
    size_t left = ways->size;
    struct rtnexthop w;
    while (left >= sizeof(w)) {
        memcpy(&w, at, sizeof(w));
        if (w.rtnh_len < sizeof(w) || w.rtnh_len > left)
            return;
        if (w.rtnh_ifindex == index) {
            const uint8_t *data = at + sizeof(w);
            size_t size = w.rtnh_len - sizeof(w);
            struct nl_attr a;
            t->oif = index;
            t->h.rtm_flags |= w.rtnh_flags;
            while (nl_attr_next(&data, &size, &a))
                own_attr(t, &a);
            return;
        }
        size_t step = (w.rtnh_len + 3U) & ~3U; /* RTNH_ALIGN */
        if (step > left)
            return;
        at += step;
        left -= step;
    }
}

static void own_read(struct own_route *t, const uint8_t *data, size_t size,
                     int index)
{
    struct nl_attr a;
    bool v6 = t->h.rtm_family == AF_INET6;
    t->table = t->h.rtm_table;
    t->odd = t->h.rtm_tos != 0 || t->h.rtm_src_len != 0;
    t->r.to.v6 = v6;
    while (nl_attr_next(&data, &size, &a)) {
        if (a.type == RTA_MULTIPATH)
            own_ways(t, &a, index);
        else
            own_attr(t, &a);
    }
    t->r.to.prefix = t->h.rtm_dst_len;
    t->r.protocol = t->h.rtm_protocol;
    t->r.scope = t->h.rtm_scope;
    t->r.onlink = (t->h.rtm_flags & RTNH_F_ONLINK) != 0;
}

static bool own_is_addr(const struct net_addr *a, const struct net_addr *b)
{
    return a->v6 == b->v6 && memcmp(a->b, b->b, a->v6 ? 16 : 4) == 0;
}

/* The route that the guest has of address `a` anyhow. */
static bool own_of(const struct net_route *r, const struct net_addr *a)
{
    struct net_addr base = plan_base(a);
    return r->protocol == RTPROT_KERNEL && !r->has_via &&
           r->to.prefix == a->prefix && own_is_addr(&r->to, &base) &&
           r->metric == (a->v6 ? METRIC_KERNEL6 : 0) &&
           (a->v6 || (r->has_src && own_is_addr(&r->src, a)));
}

static bool own_implied(struct own_reader *p, const struct net_route *r)
{
    static const struct net_addr local = {
        .v6 = true, .prefix = 10, .b = {0xfe, 0x80}};
    for (unsigned i = 0; i < p->out->addr_count; i++) {
        if (own_of(r, &p->out->addr[i])) {
            p->onlink[i] = true;
            return true;
        }
    }
    return r->protocol == RTPROT_KERNEL && plan_overlaps(&local, &r->to);
}

/* A preferred source that the guest does not have is left out. */
static void own_check_src(const struct own_reader *p, struct net_route *r)
{
    bool known = false;
    for (unsigned i = 0; i < p->out->addr_count; i++)
        known = known || own_is_addr(&p->out->addr[i], &r->src);
    r->has_src = r->has_src && known;
}

static void own_take(struct nl_reader *reader, uint16_t type,
                     const uint8_t *data, size_t size)
{
    struct own_reader *p = (struct own_reader *)reader;
    struct net_iface *o = p->out;
    struct own_route t = {0};
    char to[NET_ADDR_TEXT_SIZE];
    if (type != RTM_NEWROUTE || size < sizeof(t.h) || p->code < 0)
        return;
    memcpy(&t.h, data, sizeof(t.h));
    if (t.h.rtm_type != RTN_UNICAST || (t.h.rtm_flags & RTM_F_CLONED) != 0 ||
        (t.h.rtm_family != AF_INET && t.h.rtm_family != AF_INET6))
        return;
    own_read(&t, data + sizeof(t.h), size - sizeof(t.h), p->index);
    if (t.table != RT_TABLE_MAIN || t.oif != p->index || own_implied(p, &t.r))
        return;
    net_addr_text(&t.r.to, true, to);
    if (t.odd) {
        p->code = err_set(p->e, -EOPNOTSUPP,
                          "route to %s: has a router of another family, a "
                          "tunnel, a source or a type of service, which a "
                          "guest's routes have not: ip route del it",
                          to);
    } else if (o->route_count == NET_ROUTES_MAX) {
        p->code = err_set(p->e, -E2BIG,
                          "more than %d routes, of which one to %s: a guest "
                          "gets all or none",
                          NET_ROUTES_MAX, to);
    } else {
        own_check_src(p, &t.r);
        o->route[o->route_count++] = t.r;
    }
}

int link_read_own_routes(struct nl *n, int index, struct net_iface *out,
                         struct err *e)
{
    const struct rtmsg all = {0};
    struct own_reader p = {.r = {own_take}, .out = out, .index = index, .e = e};
    struct nl_msg m = {0};
    out->route_count = 0;
    nl_begin(n, &m, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof(all));
    int code = nl_dump(n, &m, &p.r);
    if (code < 0)
        return err_set(e, code, "routes: %s", strerror(-code));
    for (unsigned i = 0; i < out->addr_count; i++) {
        const struct net_addr *a = &out->addr[i];
        out->alone[i] = !p.onlink[i] && a->prefix < (a->v6 ? 128 : 32);
    }
    return p.code;
}
