// SPDX-License-Identifier: Apache-2.0
/*
 * Multicast groups of sockets and interfaces. We always filter by group, not
 * by source: every report says "exclude nobody". RFC 1112, 3376, 3810.
 */
#include "guest/net/group.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/lo.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/proto.h"

#define GROUPS_MAX_ALL  64u /* groups of this machine */
#define GROUPS_PER_SOCK 20u /* net.ipv4.igmp_max_memberships */

struct member { /* of a socket; its k->groups, under groups.lock */
    struct list node;
    struct ip_addr group;
    uint32_t oif;
};

static struct {
    struct spinlock lock;
    unsigned count;
    struct group {
        struct netif *netif;
        struct ip_addr addr;
        unsigned users;
    } all[GROUPS_MAX_ALL];
    struct net_timer answer; /* to a query */
    bool pending, ready;
} groups;

/* --- what an interface wants --- */

static struct group *group_find(const struct netif *n, const struct ip_addr *a)
{
    for (unsigned i = 0; i < groups.count; i++) {
        if (groups.all[i].netif == n && ip_equal(&groups.all[i].addr, a))
            return &groups.all[i];
    }
    return NULL;
}

/* Groups every host is in: RFC 1112, 4; RFC 4291, 2.7.1 and 2.8. */
static bool always_wanted(struct netif *n, const struct ip_addr *g)
{
    struct netif_addr a;
    if (ip_is4(g))
        return ip_to4(g) == be32(0xe0000001);
    if (g->b[0] == 0xff && (g->b[1] == 2 || g->b[1] == 1) &&
        g->q[1] == nd_all_nodes.q[1])
        return true;
    for (unsigned i = 0; netif_addr_at(n, i, &a); i++) {
        struct ip_addr own = nd_group(&a.addr);
        if (!ip_is4(&a.addr) && ip_equal(&own, g))
            return true;
    }
    return false;
}

bool group_wanted(struct netif *n, const struct ip_addr *group)
{
    if (always_wanted(n, group))
        return true;
    spin_lock(&groups.lock);
    bool found = group_find(n, group) != NULL;
    spin_unlock(&groups.lock);
    return found;
}

bool group_at(unsigned i, struct netif **n, struct ip_addr *group,
              unsigned *users)
{
    spin_lock(&groups.lock);
    bool found = i < groups.count;
    if (found) {
        *n = groups.all[i].netif;
        *group = groups.all[i].addr;
        *users = groups.all[i].users;
    }
    spin_unlock(&groups.lock);
    return found;
}

/* --- reports --- */

#define TO_EXCLUDE  4u /* record types of both: RFC 3376, 4.2.12 */
#define TO_INCLUDE  3u
#define IS_EXCLUDE  2u
#define IGMP_REPORT 0x22u
#define IGMP_QUERY  0x11u
#define MLD_REPORT  143u
#define REPORT_ROOM 96

struct igmp_report { /* RFC 3376, 4.2 with one record */
    uint8_t type, zero;
    uint16_t csum;
    uint16_t zero2, count;
    uint8_t record, aux;
    uint16_t sources;
    uint32_t group;
};
ABI_SIZE(struct igmp_report, 16);

struct mld_report {       /* RFC 3810, 5.2 with one record */
    struct icmp_header h; /* seq: number of records */
    uint8_t record, aux;
    uint16_t sources;
    uint8_t group[16];
};
ABI_SIZE(struct mld_report, 28);

static void igmp_send(struct netif *n, const struct ip_addr *group,
                      uint8_t record)
{
    const struct ip_addr routers = ip_from4(be32(0xe0000016)); /* 224.0.0.22 */
    struct igmp_report m = {.type = IGMP_REPORT,
                            .count = be16(1),
                            .record = record,
                            .group = ip_to4(group)};
    struct ip_route r;
    struct packet *p = packet_new(REPORT_ROOM);
    if (p == NULL)
        return;
    m.csum = csum_fold(csum_add(0, &m, sizeof(m)));
    memcpy(packet_append(p, sizeof(m)), &m, sizeof(m));
    struct ip_send how = {.dst = routers,
                          .src = ip_any4,
                          .protocol = LX_IPPROTO_IGMP,
                          .ttl = 1,
                          .tos = 0xc0,
                          .router_alert = true};
    if (ip_route(&r, &routers, NULL, n->index) == 0) {
        how.src = r.src;
    } else {
        r = (struct ip_route){
            .netif = n, .hop = routers, .mtu = n->mtu, .multicast = true};
    }
    (void)ip_output(p, &r, &how);
}

static void mld_send(struct netif *n, const struct ip_addr *group,
                     uint8_t record)
{
    const struct ip_addr routers = {.b = {0xff, 0x02, [15] = 0x16}};
    struct mld_report m = {.h = {.type = MLD_REPORT, .seq = be16(1)},
                           .record = record};
    struct packet *p = packet_new(REPORT_ROOM);
    if (p == NULL)
        return;
    memcpy(m.group, group->b, sizeof(m.group));
    memcpy(packet_append(p, sizeof(m)), &m, sizeof(m));
    icmp6_send_from(p, &routers, NULL, n, 1);
}

static void report(struct netif *n, const struct ip_addr *group, uint8_t record)
{
    if (!n->ethernet || (n->flags & LX_IFF_UP) == 0)
        return;
    if (ip_is4(group))
        igmp_send(n, group, record);
    else
        mld_send(n, group, record);
}

void group_report(struct netif *n, const struct ip_addr *group, bool join)
{
    report(n, group, join ? TO_EXCLUDE : TO_INCLUDE);
}

/* --- queries: all is told a little later, once (RFC 3376, 5.2) --- */

static void answer_query(struct net_work *w)
{
    struct netif *n;
    struct ip_addr g;
    unsigned users;
    (void)w;
    spin_lock(&groups.lock);
    groups.pending = false;
    spin_unlock(&groups.lock);
    for (unsigned i = 0; group_at(i, &n, &g, &users); i++)
        report(n, &g, IS_EXCLUDE);
    for (unsigned k = 1; (n = netif_next(&k)) != NULL;) {
        struct netif_addr a;
        for (unsigned i = 0; netif_addr_at(n, i, &a); i++) {
            g = nd_group(&a.addr);
            if (!ip_is4(&a.addr))
                report(n, &g, IS_EXCLUDE);
        }
    }
}

static void query(nsec_t most)
{
    spin_lock(&groups.lock);
    if (!groups.ready)
        net_timer_init(&groups.answer, answer_query);
    groups.ready = true;
    bool start = !groups.pending;
    groups.pending = true;
    spin_unlock(&groups.lock);
    most = MIN(MAX(most, NSEC_PER_SEC / 10), 10 * NSEC_PER_SEC);
    if (start)
        net_timer_start(&groups.answer, clock_now() + krandom_u64() % most);
}

static void igmp_input(struct packet *p)
{
    const uint8_t *at = packet_pull(p, 8);
    if (at != NULL && at[0] == IGMP_QUERY &&
        csum_fold(packet_csum(p, 0, p->size)) == 0)
        query(at[1] * (NSEC_PER_SEC / 10)); /* maximum response time */
    packet_free(p);
}

const struct ip_protocol igmp_protocol = {
    .number = LX_IPPROTO_IGMP,
    .input = igmp_input,
};

void group_query6(struct packet *p)
{
    const uint8_t *at = packet_pull(p, 24);
    /* RFC 3810, 6.2: from the link, hop limit 1. */
    if (at != NULL && p->ttl == 1 && ip_is_link_local(&p->src))
        query((at[4] * 256u + at[5]) * (NSEC_PER_SEC / 1000));
    packet_free(p);
}

/* --- sockets --- */

/* Lock held. *first: the interface is new to it. */
static int group_use(struct netif *n, const struct ip_addr *g, bool *first)
{
    struct group *e = group_find(n, g);
    *first = e == NULL;
    if (e == NULL) {
        if (groups.count == GROUPS_MAX_ALL)
            return -ENOBUFS;
        e = &groups.all[groups.count++];
        *e = (struct group){.netif = n, .addr = *g};
    }
    e->users++;
    return 0;
}

static bool group_unuse(const struct netif *n, const struct ip_addr *g)
{
    struct group *e = group_find(n, g);
    if (e == NULL || --e->users != 0)
        return false;
    *e = groups.all[--groups.count];
    return true;
}

/* Sockets keep what they joined until they leave; its index never comes again.
 */
void group_forget(const struct netif *n)
{
    spin_lock(&groups.lock);
    for (unsigned i = groups.count; i-- > 0;) {
        if (groups.all[i].netif == n)
            groups.all[i] = groups.all[--groups.count];
    }
    spin_unlock(&groups.lock);
}

static struct member *member_find(struct inet_sock *k, const struct ip_addr *g,
                                  uint32_t oif, unsigned *count)
{
    *count = 0;
    LIST_FOR(it, &k->groups)
    {
        struct member *m = LIST_ENTRY(it, struct member, node);
        ++*count;
        if (ip_equal(&m->group, g) && (oif == 0 || m->oif == oif))
            return m;
    }
    return NULL;
}

static struct netif *group_netif(const struct ip_addr *g, uint32_t oif)
{
    struct ip_route r;
    if (oif != 0)
        return netif_find(oif);
    return ip_route(&r, g, NULL, 0) == 0 ? r.netif : NULL;
}

int group_join(struct inet_sock *k, const struct ip_addr *group, uint32_t oif)
{
    bool first = false;
    unsigned count;
    int r = 0;
    struct netif *n = group_netif(group, oif);
    if (n == NULL)
        return -ENODEV;
    struct member *m = kzalloc(sizeof(*m));
    if (m == NULL)
        return -ENOBUFS;
    *m = (struct member){.group = *group, .oif = n->index};
    spin_lock(&groups.lock);
    if (member_find(k, group, n->index, &count) != NULL)
        r = -EADDRINUSE;
    else if (count >= GROUPS_PER_SOCK)
        r = -ENOBUFS;
    if (r == 0)
        r = group_use(n, group, &first);
    if (r == 0)
        list_add_tail(&k->groups, &m->node);
    spin_unlock(&groups.lock);
    if (r < 0)
        kfree(m);
    else if (first) {
        if (n->ops->groups != NULL)
            n->ops->groups(n);
        group_report(n, group, true);
        net_flush();
    }
    return r;
}

int group_leave(struct inet_sock *k, const struct ip_addr *group, uint32_t oif)
{
    unsigned count;
    bool last = false;
    struct netif *n = NULL;
    spin_lock(&groups.lock);
    struct member *m = member_find(k, group, oif, &count);
    if (m != NULL) {
        list_remove(&m->node);
        n = netif_find(m->oif);
        last = n != NULL && group_unuse(n, &m->group);
    }
    spin_unlock(&groups.lock);
    kfree(m);
    if (last) {
        group_report(n, group, false);
        net_flush();
    }
    return m != NULL ? 0 : -EADDRNOTAVAIL;
}

void inet_leave_groups(struct inet_sock *k)
{
    while (!list_empty(&k->groups)) {
        struct member *m = LIST_ENTRY(k->groups.next, struct member, node);
        struct ip_addr group = m->group;
        (void)group_leave(k, &group, m->oif);
    }
}

bool inet_group_accepts(struct inet_sock *k, const struct packet *p)
{
    unsigned count;
    if (!p->multicast)
        return true;
    spin_lock(&groups.lock);
    bool joined = member_find(k, &p->dst, p->netif->index, &count) != NULL;
    spin_unlock(&groups.lock);
    return joined || k->mcast_all; /* ip(7): IP_MULTICAST_ALL */
}
