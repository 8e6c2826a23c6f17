// SPDX-License-Identifier: Apache-2.0
/* Addresses and routers of an interface, for a guest that takes its place. */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/link.h"
#include "net/nl.h"

struct plan_reader {
    struct nl_reader r; /* first */
    struct link_plan *out;
    int index;             /* whose; 0: not said */
    int oif4, oif6;        /* where the default routes lead */
    uint32_t prio4, prio6; /* of the best so far */
};

/* What a default route says. */
struct plan_route {
    bool v6, has_gateway;
    int oif;
    uint32_t table, priority;
    struct net_addr gateway;
};

static void route_read(const uint8_t *data, size_t size, struct plan_route *t)
{
    struct nl_attr a;
    while (nl_attr_next(&data, &size, &a)) {
        if (a.type == RTA_OIF) {
            t->oif = (int)nl_attr_u32(&a);
        } else if (a.type == RTA_TABLE) {
            t->table = nl_attr_u32(&a);
        } else if (a.type == RTA_PRIORITY) {
            t->priority = nl_attr_u32(&a);
        } else if (a.type == RTA_GATEWAY && a.size == (t->v6 ? 16U : 4U)) {
            t->has_gateway = true;
            t->gateway =
                (struct net_addr){.v6 = t->v6, .prefix = t->v6 ? 128 : 32};
            memcpy(t->gateway.b, a.data, a.size);
        }
    }
}

static void plan_take_route(struct nl_reader *r, uint16_t type,
                            const uint8_t *data, size_t size)
{
    struct plan_reader *p = (struct plan_reader *)r;
    struct link_plan *o = p->out;
    struct rtmsg h;
    if (type != RTM_NEWROUTE || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    if (h.rtm_dst_len != 0 || h.rtm_type != RTN_UNICAST)
        return;
    struct plan_route t = {.v6 = h.rtm_family == AF_INET6,
                           .table = h.rtm_table};
    route_read(data + sizeof(h), size - sizeof(h), &t);
    bool *known = t.v6 ? &o->default6 : &o->default4;
    uint32_t *prio = t.v6 ? &p->prio6 : &p->prio4;
    if (t.table != RT_TABLE_MAIN || t.oif == 0 ||
        (p->index != 0 && t.oif != p->index) || (*known && t.priority >= *prio))
        return;
    *known = true;
    *prio = t.priority;
    *(t.v6 ? &p->oif6 : &p->oif4) = t.oif;
    *(t.v6 ? &o->has_gateway6 : &o->has_gateway4) = t.has_gateway;
    *(t.v6 ? &o->gateway6 : &o->gateway4) = t.gateway;
}

static void plan_take_address(struct nl_reader *r, uint16_t type,
                              const uint8_t *data, size_t size)
{
    struct plan_reader *p = (struct plan_reader *)r;
    struct link_plan *o = p->out;
    struct ifaddrmsg h;
    struct nl_attr a;
    bool local = false;
    if (type != RTM_NEWADDR || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    data += sizeof(h);
    size -= sizeof(h);
    bool v6 = h.ifa_family == AF_INET6;
    if ((int)h.ifa_index != (v6 ? p->oif6 : p->oif4) ||
        h.ifa_scope >= RT_SCOPE_LINK ||
        (v6 && (h.ifa_flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED)) != 0) ||
        o->addr_count == NET_ADDRS_MAX)
        return;
    struct net_addr out = {.v6 = v6, .prefix = h.ifa_prefixlen};
    while (nl_attr_next(&data, &size, &a)) {
        /* IFA_ADDRESS is the peer's where there is one. */
        if ((a.type != IFA_LOCAL && (a.type != IFA_ADDRESS || local)) ||
            a.size != (v6 ? 16U : 4U))
            continue;
        local = a.type == IFA_LOCAL;
        memcpy(out.b, a.data, a.size);
    }
    o->addr[o->addr_count++] = out;
}

static int plan_dump(struct nl *n, struct plan_reader *p, uint16_t type,
                     struct err *e)
{
    const struct rtmsg route = {0};
    const struct ifaddrmsg address = {0};
    struct nl_msg m = {0};
    if (type == RTM_GETROUTE)
        nl_begin(n, &m, type, NLM_F_DUMP, &route, sizeof(route));
    else
        nl_begin(n, &m, type, NLM_F_DUMP, &address, sizeof(address));
    int code = nl_dump(n, &m, &p->r);
    return code < 0
               ? err_set(e, code, "addresses and routes: %s", strerror(-code))
               : 0;
}

int link_read_plan(struct nl *n, int index, struct link_plan *out,
                   struct err *e)
{
    struct plan_reader p = {.r = {plan_take_route}, .out = out, .index = index};
    *out = (struct link_plan){0};
    int code = plan_dump(n, &p, RTM_GETROUTE, e);
    if (code < 0)
        return code;
    if (index != 0)
        p.oif4 = p.oif6 = index;
    p.r.each = plan_take_address;
    return plan_dump(n, &p, RTM_GETADDR, e);
}
