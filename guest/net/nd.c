// SPDX-License-Identifier: Apache-2.0
/*
 * Neighbour discovery: solicitations and advertisements. RFC 4861; addresses
 * are used at once and given up if somebody has them: RFC 4862 5.4, RFC 4429.
 * Router advertisements and redirects are not taken: routes are configured.
 */
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/net/group.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"

#define ND_SOLICIT   135u
#define ND_ADVERTISE 136u
#define ND_HOPS      255u /* RFC 4861, 7.1: nothing came through a router */
#define ND_ROOM      88

#define OPT_SOURCE 1u
#define OPT_TARGET 2u

#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE  0x20000000u

struct nd_message {       /* RFC 4861, 4.3 and 4.4 */
    struct icmp_header h; /* id, seq: flags */
    uint8_t target[16];
};
ABI_SIZE(struct nd_message, 24);

struct nd_option {      /* link-layer addresses of Ethernet: RFC 2464, 6 */
    uint8_t type, size; /* size: in units of 8 bytes */
    uint8_t mac[6];
};
ABI_SIZE(struct nd_option, 8);

const struct ip_addr nd_all_nodes = {.b = {0xff, 0x02, [15] = 1}};

struct ip_addr nd_group(const struct ip_addr *a)
{
    struct ip_addr g = {
        .b = {0xff, 0x02, [11] = 1, [12] = 0xff}}; /* RFC 4291, 2.7.1 */
    memcpy(g.b + 13, a->b + 13, 3);
    return g;
}

/* --- out --- */

/* option 0: none. src NULL: the unspecified address. */
static void nd_send(struct netif *n, struct nd_message *m, uint8_t option,
                    const struct ip_addr *dst, const struct ip_addr *src)
{
    struct packet *p = packet_new(ND_ROOM);
    if (p == NULL)
        return;
    memcpy(packet_append(p, sizeof(*m)), m, sizeof(*m));
    if (option != 0) {
        struct nd_option o = {.type = option, .size = 1};
        memcpy(o.mac, n->mac, sizeof(o.mac));
        memcpy(packet_append(p, sizeof(o)), &o, sizeof(o));
    }
    icmp6_send_from(p, dst, src, n, ND_HOPS);
}

void nd_solicit(struct netif *n, const struct ip_addr *addr, const uint8_t *mac)
{
    struct nd_message m = {.h = {.type = ND_SOLICIT}};
    struct ip_addr dst = mac != NULL ? *addr : nd_group(addr);
    struct ip_addr src;
    memcpy(m.target, addr->b, sizeof(m.target));
    if (route_source(n, addr, &src) && !ip_is4(&src))
        nd_send(n, &m, OPT_SOURCE, &dst, &src);
}

/* Does somebody have our new address? RFC 4862, 5.4.2. */
void nd_announce(struct netif *n, const struct ip_addr *addr)
{
    struct nd_message m = {.h = {.type = ND_SOLICIT}};
    struct ip_addr dst = nd_group(addr);
    memcpy(m.target, addr->b, sizeof(m.target));
    nd_send(n, &m, 0, &dst, &ip_any6);
}

static void nd_advertise(struct netif *n, const struct ip_addr *target,
                         const struct ip_addr *to)
{
    bool unknown = ip_is_any(to);
    bool young = netif_addr_tentative(n, target); /* RFC 4429, 3.3 */
    uint32_t flags = (unknown ? 0 : NA_SOLICITED) | (young ? 0 : NA_OVERRIDE);
    struct nd_message m = {.h = {.type = ND_ADVERTISE}};
    flags = be32(flags);
    memcpy(&m.h.id, &flags, sizeof(flags));
    memcpy(m.target, target->b, sizeof(m.target));
    nd_send(n, &m, OPT_TARGET, unknown ? &nd_all_nodes : to, target);
}

/* --- in --- */

/* The wanted option's address, or NULL. false: malformed (RFC 4861, 6.1). */
static bool nd_option_find(const uint8_t *o, uint32_t n, uint8_t type,
                           const uint8_t **mac)
{
    *mac = NULL;
    while (n > 0) {
        if (n < 8 || o[1] == 0 || o[1] * 8u > n)
            return false;
        if (o[0] == type && *mac == NULL && (o[2] & 1) == 0)
            *mac = o + 2;
        n -= o[1] * 8u;
        o += o[1] * 8u;
    }
    return true;
}

/* Somebody else has, or wants, our address: RFC 4862, 5.4.3 and 5.4.4. Only in
 * the moment after we took it: later it would be an easy attack. */
static void conflict(struct netif *n, const struct ip_addr *target)
{
    if (!netif_addr_tentative(n, target))
        return;
    klog(KLOG_DEBUG, "net: %s: an IPv6 address is taken, given up", n->name);
    (void)netif_addr_del(n, target);
}

static void solicit_input(struct packet *p, const struct nd_message *m,
                          const uint8_t *mac)
{
    struct ip_addr target, src = p->src;
    memcpy(target.b, m->target, sizeof(target.b));
    if (ip_is_multicast(&target) || ip_owner(&target) != p->netif)
        return;
    if (ip_is_any(&src)) {
        conflict(p->netif, &target);
    } else {
        struct neigh_news news = {
            .addr = src, .mac = mac, .override = true, .create = true};
        if (!ip_is_ours(&src))
            neigh_learn(p->netif, &news);
    }
    if (ip_owner(&target) == p->netif)
        nd_advertise(p->netif, &target, &src);
}

static void advertise_input(struct packet *p, const struct nd_message *m,
                            const uint8_t *mac)
{
    struct ip_addr target;
    uint32_t flags;
    memcpy(target.b, m->target, sizeof(target.b));
    memcpy(&flags, &m->h.id, sizeof(flags));
    flags = be32(flags);
    if (ip_is_multicast(&target) ||
        (p->multicast && (flags & NA_SOLICITED) != 0))
        return;
    if (ip_is_ours(&target)) {
        conflict(p->netif, &target);
        return;
    }
    struct neigh_news news = {
        .addr = target,
        .mac = mac,
        .solicited = (flags & NA_SOLICITED) != 0,
        .override = (flags & NA_OVERRIDE) != 0,
    };
    neigh_learn(p->netif, &news);
}

void icmp6_control(struct packet *p, uint8_t type)
{
    struct nd_message m;
    const uint8_t *mac;
    if (type == MLD_QUERY) {
        group_query6(p);
        return;
    }
    uint32_t n = MIN(p->size, (uint32_t)PACKET_ROOM);
    const uint8_t *at = packet_pull(p, n);
    if ((type == ND_SOLICIT || type == ND_ADVERTISE) && at != NULL &&
        n >= sizeof(m) && p->ttl == ND_HOPS && at[1] == 0 &&
        nd_option_find(at + sizeof(m), n - (uint32_t)sizeof(m),
                       type == ND_SOLICIT ? OPT_SOURCE : OPT_TARGET, &mac) &&
        p->netif->ethernet) {
        memcpy(&m, at, sizeof(m));
        if (type == ND_SOLICIT)
            solicit_input(p, &m, mac);
        else
            advertise_input(p, &m, mac);
    }
    packet_free(p);
}
