// SPDX-License-Identifier: Apache-2.0
/* Routes and source addresses. RFC 1122 3.3.1, RFC 6724, ip-route(8). */
#include "guest/net/route.h"

#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/lo.h"

static struct {
    struct spinlock lock;
    unsigned count; /* atomic for who only wants to know if there are any */
    struct route routes[ROUTE_MAX];
} table;

static unsigned prefix_bits(const struct ip_addr *a, unsigned bits)
{
    return ip_is4(a) ? bits + 96 : bits;
}

static bool netif_up(const struct netif *n)
{
    return (n->flags & LX_IFF_UP) != 0;
}

/* --- our addresses --- */

static bool netif_has(struct netif *n, const struct ip_addr *a)
{
    bool found = false;
    spin_lock(&n->lock);
    for (unsigned i = 0; i < n->addr_count && !found; i++)
        found = ip_equal(&n->addrs[i].addr, a);
    spin_unlock(&n->lock);
    return found;
}

struct netif *ip_owner(const struct ip_addr *a)
{
    if (ip_is_loopback(a) && netif_up(&lo_netif))
        return &lo_netif; /* 127/8: all of it, RFC 1122 3.2.1.3 (g) */
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;) {
        if (netif_has(n, a))
            return n;
    }
    return NULL;
}

bool ip_is_ours(const struct ip_addr *a)
{
    return ip_owner(a) != NULL;
}

/* The address of a prefix with all ones in its host part (RFC 919, 922). */
static bool is_net_broadcast(const struct netif_addr *na,
                             const struct ip_addr *a)
{
    if (na->prefix >= 31 || !ip_is4(&na->addr))
        return false;
    uint32_t host = __builtin_bswap32(UINT32_MAX >> na->prefix);
    return a->w[3] == (na->addr.w[3] | host);
}

bool ip_is_broadcast(const struct ip_addr *a, const struct netif *only)
{
    bool found = false;
    if (!ip_is4(a))
        return false;
    if (a->w[3] == UINT32_MAX)
        return true;
    struct netif *n;
    for (unsigned at = 0; !found && (n = netif_next(&at)) != NULL;) {
        if (only != NULL && n != only)
            continue;
        spin_lock(&n->lock);
        for (unsigned j = 0; j < n->addr_count && !found; j++)
            found = is_net_broadcast(&n->addrs[j], a);
        spin_unlock(&n->lock);
    }
    return found;
}

/* --- source addresses --- */

static unsigned common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
    unsigned n = 0;
    while (n < 16 && a->b[n] == b->b[n])
        n++;
    unsigned bits = n * 8;
    if (n < 16)
        bits += (unsigned)__builtin_clz((unsigned)(a->b[n] ^ b->b[n])) - 24;
    return bits;
}

/* RFC 6724, 5: scope (rule 2), then the longest common prefix (rule 8); IPv4:
 * an address of the prefix dst is in, else the first. */
static int source_score(const struct netif_addr *na, const struct ip_addr *dst)
{
    bool four = ip_is4(dst);
    if (ip_is4(&na->addr) != four)
        return -1;
    if (four) {
        if (na->scope == LX_RT_SCOPE_HOST && !ip_is_loopback(dst))
            return 0;
        return ip_prefix_equal(&na->addr, dst, na->prefix + 96u) ? 2 : 1;
    }
    bool link =
        ip_is_link_local(dst) || (dst->b[0] == 0xff && (dst->b[1] & 0xf) <= 2);
    int score = (int)common_bits(&na->addr, dst);
    if (link == ip_is_link_local(&na->addr))
        score += 256;
    return score;
}

bool route_source(struct netif *n, const struct ip_addr *dst,
                  struct ip_addr *src)
{
    int best = -1;
    spin_lock(&n->lock);
    for (unsigned i = 0; i < n->addr_count; i++) {
        int s = source_score(&n->addrs[i], dst);
        if (s > best) {
            best = s;
            *src = n->addrs[i].addr;
        }
    }
    spin_unlock(&n->lock);
    return best >= 0;
}

/* From `n`, or from any other interface if it has no address (RFC 1122,
 * 3.3.4.2: the weak model). */
static bool source_any(struct netif *n, const struct ip_addr *dst,
                       struct ip_addr *src)
{
    if (route_source(n, dst, src))
        return true;
    /* lo last. */
    for (unsigned at = 1; (n = netif_next(&at)) != NULL;) {
        if (netif_up(n) && route_source(n, dst, src))
            return true;
    }
    return netif_up(&lo_netif) && route_source(&lo_netif, dst, src);
}

/* --- routes from addresses --- */

static void connected_route(const struct netif *n, const struct netif_addr *na,
                            struct route *out)
{
    *out = (struct route){
        .dst = na->addr,
        .bits = na->prefix,
        .oif = n->index,
        .protocol = LX_RTPROT_KERNEL,
        .type = LX_RTN_UNICAST,
        .scope = LX_RT_SCOPE_LINK,
    };
    unsigned bits = prefix_bits(&na->addr, na->prefix);
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits >= (i + 1) * 8 ? 8
                        : bits > i * 8      ? bits - i * 8
                                            : 0;
        out->dst.b[i] &= (uint8_t)(0xff00u >> keep);
    }
    if (ip_is4(&na->addr)) {
        out->src = na->addr;
    } else {
        out->metric = 256;
        out->scope = LX_RT_SCOPE_UNIVERSE;
    }
}

/* The i-th of those; false and *i less those there are. */
static bool connected_at(unsigned *i, struct route *out)
{
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;) {
        bool found = false;
        if (!netif_up(n))
            continue;
        spin_lock(&n->lock);
        for (unsigned j = 0; j < n->addr_count && !found; j++) {
            const struct netif_addr *na = &n->addrs[j];
            if (na->alone ||
                (ip_is4(&na->addr) && (n == &lo_netif || na->prefix == 32)))
                continue; /* in the local table only */
            if ((*i)-- != 0)
                continue;
            connected_route(n, na, out);
            found = true;
        }
        spin_unlock(&n->lock);
        if (found)
            return true;
    }
    return false;
}

bool route_at(unsigned i, struct route *out)
{
    if (connected_at(&i, out))
        return true;
    spin_lock(&table.lock);
    bool found = i < table.count;
    if (found)
        *out = table.routes[i];
    spin_unlock(&table.lock);
    return found;
}

/* --- the table --- */

static bool route_matches(const struct route *a, const struct route *b)
{
    return ip_equal(&a->dst, &b->dst) && a->bits == b->bits &&
           (b->oif == 0 || a->oif == b->oif) &&
           (ip_is_any(&b->gateway) || ip_equal(&a->gateway, &b->gateway)) &&
           (b->metric == 0 || a->metric == b->metric);
}

static bool route_same(const struct route *a, const struct route *b)
{
    return ip_equal(&a->dst, &b->dst) && a->bits == b->bits &&
           a->metric == b->metric &&
           (ip_is4(&a->dst) ||
            (a->oif == b->oif && ip_equal(&a->gateway, &b->gateway)));
}

/* A gateway must be a neighbour; its interface is the route's, if none is said.
 */
static int route_complete(struct route *r)
{
    struct ip_route via;
    if (ip_is_any(&r->gateway))
        return r->oif != 0 && netif_find(r->oif) != NULL ? 0 : -ENODEV;
    if (ip_is_ours(&r->gateway))
        return -EINVAL;
    if ((r->onlink || ip_is_link_local(&r->gateway)) && r->oif != 0)
        return netif_find(r->oif) != NULL ? 0 : -ENODEV;
    int e = ip_route(&via, &r->gateway, NULL, r->oif);
    if (e < 0)
        return e == -ENODEV ? e : -ENETUNREACH;
    if (!ip_equal(&via.hop, &r->gateway))
        return -ENETUNREACH; /* it would itself need a gateway */
    r->oif = via.netif->index;
    return 0;
}

static int route_put(const struct route *add, bool replace)
{
    struct route r = *add;
    int e = route_complete(&r);
    if (e < 0)
        return e;
    spin_lock(&table.lock);
    unsigned at = 0;
    while (at < table.count && !route_same(&table.routes[at], &r))
        at++;
    if (at < table.count && !replace)
        e = -EEXIST;
    else if (at == ROUTE_MAX)
        e = -ENOSPC;
    if (e == 0) {
        table.routes[at] = r;
        if (at == table.count)
            __atomic_store_n(&table.count, at + 1, __ATOMIC_RELEASE);
    }
    spin_unlock(&table.lock);
    return e;
}

int route_add(const struct route *r)
{
    return route_put(r, false);
}

int route_replace(const struct route *r)
{
    return route_put(r, true);
}

void route_flush(uint32_t oif)
{
    unsigned keep = 0;
    spin_lock(&table.lock);
    for (unsigned i = 0; i < table.count; i++) {
        if (table.routes[i].oif != oif)
            table.routes[keep++] = table.routes[i];
    }
    table.count = keep;
    spin_unlock(&table.lock);
}

int route_del(const struct route *r)
{
    int e = -ESRCH;
    spin_lock(&table.lock);
    for (unsigned i = 0; i < table.count; i++) {
        if (!route_matches(&table.routes[i], r))
            continue;
        memmove(&table.routes[i], &table.routes[i + 1],
                (table.count - i - 1) * sizeof(table.routes[0]));
        table.count--;
        e = 0;
        break;
    }
    spin_unlock(&table.lock);
    return e;
}

/* --- finding --- */

struct route_query {
    const struct ip_addr *dst;
    uint32_t oif;
    struct route best;
    bool found;
};

static void query_try(struct route_query *q, const struct route *r)
{
    if (ip_is4(&r->dst) != ip_is4(q->dst) || (q->oif != 0 && q->oif != r->oif))
        return;
    if (!ip_prefix_equal(&r->dst, q->dst, prefix_bits(&r->dst, r->bits)))
        return;
    const struct netif *n = netif_find(r->oif);
    if (n == NULL || !netif_up(n))
        return;
    if (q->found && (q->best.bits > r->bits ||
                     (q->best.bits == r->bits && q->best.metric <= r->metric)))
        return;
    q->best = *r;
    q->found = true;
}

static void query_addrs(struct route_query *q, struct netif *n)
{
    struct route r;
    spin_lock(&n->lock);
    for (unsigned i = 0; i < n->addr_count; i++) {
        if (n->addrs[i].alone)
            continue;
        connected_route(n, &n->addrs[i], &r);
        query_try(q, &r);
    }
    spin_unlock(&n->lock);
}

static bool route_find(struct route_query *q)
{
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;)
        query_addrs(q, n);
    if (__atomic_load_n(&table.count, __ATOMIC_RELAXED) != 0) {
        spin_lock(&table.lock);
        for (unsigned i = 0; i < table.count; i++)
            query_try(q, &table.routes[i]);
        spin_unlock(&table.lock);
    }
    return q->found;
}

/* Without a route, but for that interface or a link-local group. */
static struct netif *group_netif(const struct ip_addr *dst, uint32_t oif)
{
    struct netif *n;
    if (oif != 0)
        return netif_find(oif);
    if (ip_is4(dst))
        return NULL;
    for (unsigned at = 1; (n = netif_next(&at)) != NULL;) {
        if (netif_up(n))
            return n;
    }
    return &lo_netif;
}

static int route_link(struct ip_route *r, const struct ip_addr *dst,
                      uint32_t oif)
{
    struct route_query q = {.dst = dst, .oif = oif};
    if (route_find(&q)) {
        r->netif = netif_find(q.best.oif);
        r->src = q.best.src;
        if (!ip_is_any(&q.best.gateway))
            r->hop = q.best.gateway;
    } else {
        r->netif = r->multicast || (r->broadcast && oif != 0)
                       ? group_netif(dst, oif)
                       : NULL;
    }
    if (r->multicast || r->broadcast)
        r->hop = *dst;
    return r->netif != NULL && netif_up(r->netif) ? 0 : -ENETUNREACH;
}

int ip_route(struct ip_route *r, const struct ip_addr *dst,
             const struct ip_addr *src, uint32_t oif)
{
    *r = (struct ip_route){.hop = *dst};
    if (oif != 0 && netif_find(oif) == NULL)
        return -ENODEV;
    r->multicast = ip_is_multicast(dst);
    r->broadcast = !r->multicast && ip_is_broadcast(dst, NULL);
    if (!r->multicast && !r->broadcast) {
        r->netif = ip_owner(dst);
        if (r->netif != NULL && oif != 0 && r->netif->index != oif &&
            r->netif == &lo_netif)
            r->netif = NULL;
    }
    if (r->netif != NULL) {
        r->local = true;
        r->src = *dst;
        r->netif = &lo_netif;
        if (!netif_up(&lo_netif))
            return -ENETUNREACH;
    } else {
        int e = route_link(r, dst, oif);
        if (e < 0)
            return e;
    }
    r->mtu = r->local ? lo_netif.mtu : path_mtu(dst, r->netif->mtu);
    if (src != NULL && !ip_is_any(src))
        r->src = *src;
    else if (ip_is_any(&r->src) && !source_any(r->netif, dst, &r->src))
        return ip_is4(dst) ? -ENETUNREACH : -EADDRNOTAVAIL;
    return 0;
}
