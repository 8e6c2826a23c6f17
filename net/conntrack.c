// SPDX-License-Identifier: Apache-2.0
#include "net/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/lease.h"
#include "net/nl.h"
#include "net/plan.h"

enum {
    CONNTRACK_BATCH = 16384, /* of 2 MiB at most: less than nl_msg holds */
    CONNTRACK_ROUNDS = 16,
};

/* One direction of a flow. */
struct conntrack_tuple {
    struct net_addr src, dst;
    uint8_t protocol;
    uint16_t port; /* it goes to */
};

struct conntrack_flow {
    struct conntrack_tuple there, back;
    struct nl_attr orig, zone, id; /* as the kernel has them; data NULL: none */
};

typedef bool conntrack_wanted(const struct lease *l,
                              const struct conntrack_flow *f);

struct conntrack_reader {
    struct nl_reader r; /* first */
    struct nl *n;
    const struct lease *lease;
    conntrack_wanted *wanted;
    struct nl_msg m; /* what deletes those that were found */
    unsigned count;
};

/* ---- reading ---- */

static void tuple_addr(struct net_addr *out, const struct nl_attr *a, bool v6)
{
    if (a->size != (v6 ? 16 : 4))
        return;
    *out = (struct net_addr){.v6 = v6, .prefix = v6 ? 128 : 32};
    memcpy(out->b, a->data, a->size);
}

static void tuple_ip(struct conntrack_tuple *t, const struct nl_attr *nest)
{
    const uint8_t *at = nest->data;
    size_t left = nest->size;
    struct nl_attr a;
    while (nl_attr_next(&at, &left, &a)) {
        if (a.type == CTA_IP_V4_SRC || a.type == CTA_IP_V6_SRC)
            tuple_addr(&t->src, &a, a.type == CTA_IP_V6_SRC);
        if (a.type == CTA_IP_V4_DST || a.type == CTA_IP_V6_DST)
            tuple_addr(&t->dst, &a, a.type == CTA_IP_V6_DST);
    }
}

static void tuple_proto(struct conntrack_tuple *t, const struct nl_attr *nest)
{
    const uint8_t *at = nest->data;
    size_t left = nest->size;
    struct nl_attr a;
    uint16_t port;
    while (nl_attr_next(&at, &left, &a)) {
        if (a.type == CTA_PROTO_NUM && a.size >= 1)
            t->protocol = a.data[0];
        if (a.type == CTA_PROTO_DST_PORT && a.size >= sizeof(port)) {
            memcpy(&port, a.data, sizeof(port));
            t->port = ntohs(port);
        }
    }
}

static void tuple_read(struct conntrack_tuple *t, const struct nl_attr *nest)
{
    const uint8_t *at = nest->data;
    size_t left = nest->size;
    struct nl_attr a;
    while (nl_attr_next(&at, &left, &a)) {
        if (a.type == CTA_TUPLE_IP)
            tuple_ip(t, &a);
        if (a.type == CTA_TUPLE_PROTO)
            tuple_proto(t, &a);
    }
}

static void flow_read(struct conntrack_flow *f, const uint8_t *at, size_t left)
{
    struct nl_attr a;
    while (nl_attr_next(&at, &left, &a)) {
        switch (a.type) {
        case CTA_TUPLE_ORIG:
            f->orig = a;
            tuple_read(&f->there, &a);
            break;
        case CTA_TUPLE_REPLY: tuple_read(&f->back, &a); break;
        case CTA_ZONE: f->zone = a; break;
        case CTA_ID: f->id = a; break;
        default: break;
        }
    }
}

/* ---- which ---- */

static bool wanted_vm(const struct lease *l, const struct conntrack_flow *f)
{
    const struct net_addr *from = &f->back.src;
    return (l->has4 && plan_equal(from, &l->ip4)) ||
           (l->has6 && plan_equal(from, &l->ip6));
}

/* An address of this host, or a group. */
static bool conntrack_is_local(const struct net_addr *a)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memcpy(&v4.sin_addr, a->b, sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, a->b, sizeof(v6.sin6_addr));
    AUTO_CLOSE int fd =
        socket(a->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 &&
           (a->v6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
                  : bind(fd, (struct sockaddr *)&v4, sizeof(v4))) == 0;
}

/* It was not redirected, and would be now. What is routed to the same port of
 * others is not ours. */
static bool wanted_host(const struct lease *l, const struct conntrack_flow *f)
{
    const struct net_addr *to = &f->there.dst;
    if (!plan_equal(to, &f->back.src) || !(to->v6 ? l->has6 : l->has4))
        return false;
    for (unsigned i = 0; i < l->ports.count; i++) {
        const struct port *p = &l->ports.port[i];
        if (p->udp && p->host == f->there.port &&
            (p->any || plan_equal(&p->at, to)))
            return conntrack_is_local(to);
    }
    return false;
}

/* ---- deleting ---- */

static void conntrack_take(struct nl_reader *r, uint16_t type,
                           const uint8_t *data, size_t size)
{
    struct conntrack_reader *c = (struct conntrack_reader *)r;
    struct conntrack_flow f = {0};
    struct nfgenmsg h;
    if (type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
        size < sizeof(h) || c->count == CONNTRACK_BATCH)
        return;
    memcpy(&h, data, sizeof(h));
    flow_read(&f, data + sizeof(h), size - sizeof(h));
    /* Without a tuple the kernel would delete all there are. */
    if (f.orig.size == 0 || f.there.protocol != IPPROTO_UDP ||
        !c->wanted(c->lease, &f))
        return;
    h.res_id = 0;
    nl_begin(c->n, &c->m, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0,
             &h, sizeof(h));
    nl_put(&c->m, CTA_TUPLE_ORIG | NLA_F_NESTED, f.orig.data, f.orig.size);
    if (f.zone.data != NULL)
        nl_put(&c->m, CTA_ZONE, f.zone.data, f.zone.size);
    if (f.id.data != NULL)
        nl_put(&c->m, CTA_ID, f.id.data, f.id.size);
    c->count++;
}

/* Deletes a batch of them; how many it found. */
static unsigned conntrack_round(struct nl *n, uint8_t family,
                                const struct lease *l, conntrack_wanted *wanted)
{
    const struct nfgenmsg h = {.nfgen_family = family};
    struct conntrack_reader c = {
        .r = {conntrack_take}, .n = n, .lease = l, .wanted = wanted};
    struct nl_msg m = {0};
    nl_begin(n, &m, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP,
             &h, sizeof(h));
    (void)nl_dump(n, &m, &c.r);
    if (c.count > 0)
        (void)nl_talk(n, &c.m);
    return c.count;
}

static void conntrack_forget(const struct lease *l, conntrack_wanted *wanted)
{
    const uint8_t families[] = {l->has4 ? AF_INET : 0, l->has6 ? AF_INET6 : 0};
    struct err quiet;
    struct nl n;
    bool udp = false;
    for (unsigned i = 0; i < l->ports.count; i++)
        udp = udp || l->ports.port[i].udp;
    /* A socket of its own: answers of the kernel that do not fit are lost. */
    if (!udp || nl_open(&n, NETLINK_NETFILTER, &quiet) < 0)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(families); i++)
        for (unsigned k = 0; families[i] != 0 && k < CONNTRACK_ROUNDS; k++)
            if (conntrack_round(&n, families[i], l, wanted) == 0)
                break;
    nl_close(&n);
}

void conntrack_forget_vm(const struct lease *l)
{
    conntrack_forget(l, wanted_vm);
}

void conntrack_forget_host(const struct lease *l)
{
    conntrack_forget(l, wanted_host);
}
