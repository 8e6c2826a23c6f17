// SPDX-License-Identifier: Apache-2.0
/* Interfaces as the boot data say. */
#include "guest/net/boot.h"

#include "abi/boot.h"
#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/net/netaddr.h"
#include "guest/net/route.h"

static struct netif *find(const uint8_t mac[6])
{
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;) {
        if (n->ethernet && memcmp(n->mac, mac, sizeof(n->mac)) == 0)
            return n;
    }
    return NULL;
}

static struct ip_addr address(const struct boot_addr *a)
{
    struct ip_addr out;
    memcpy(out.b, a->b, sizeof(out.b));
    return out;
}

static int add_address(struct netif *n, const struct boot_addr *b)
{
    struct netif_addr a = {.addr = address(b),
                           .prefix = b->prefix,
                           .alone = (b->flags & BOOT_ADDR_ALONE) != 0};
    a.scope =
        ip_is_link_local(&a.addr) ? LX_RT_SCOPE_LINK : LX_RT_SCOPE_UNIVERSE;
    int e = netif_addr_add(n, &a);
    if (e < 0)
        klog(KLOG_ERROR, "%s: address cannot be used: error %d", n->name, -e);
    return e;
}

static int add_gateway(const struct netif *n, const struct boot_addr *b)
{
    struct ip_addr gateway = address(b);
    struct route r = {.dst = ip_is4(&gateway) ? ip_any4 : ip_any6,
                      .gateway = gateway,
                      .oif = n->index,
                      /* The first interface is it as long as it is there. */
                      .metric = n->place - 1,
                      .protocol = LX_RTPROT_BOOT,
                      .scope = LX_RT_SCOPE_UNIVERSE,
                      .type = LX_RTN_UNICAST};
    r.src = r.dst; /* any */
    int e = -ENETUNREACH;
    if (!ip_is4(&gateway) || !ip_is_link_local(&gateway))
        e = route_add(&r);
    if (e == -ENETUNREACH) {
        /* The host says that it is a neighbour, whatever the prefix is. */
        struct route near = r;
        near.dst = gateway;
        near.bits = ip_is4(&gateway) ? 32 : 128;
        near.gateway = r.dst; /* none */
        near.scope = LX_RT_SCOPE_LINK;
        e = route_add(&near);
        if (e == 0)
            e = route_add(&r);
    }
    if (e < 0)
        klog(KLOG_ERROR, "%s: gateway cannot be used: error %d", n->name, -e);
    return e;
}

static void keep_first(int *error, int e)
{
    if (*error == 0 && e < 0)
        *error = e;
}

static bool is_zero(const struct boot_addr *b)
{
    static const struct boot_addr zero;
    return memcmp(b->b, zero.b, sizeof(zero.b)) == 0;
}

static int add_route(const struct netif *n, const struct boot_route *b)
{
    struct route r = {.dst = address(&b->to),
                      .bits = b->to.prefix,
                      .oif = n->index,
                      .metric = b->metric,
                      .protocol = b->protocol,
                      .scope = b->scope,
                      .onlink = (b->flags & BOOT_ROUTE_ONLINK) != 0,
                      .type = LX_RTN_UNICAST};
    const struct ip_addr *none = ip_is4(&r.dst) ? &ip_any4 : &ip_any6;
    r.gateway = is_zero(&b->via) ? *none : address(&b->via);
    r.src = is_zero(&b->src) ? *none : address(&b->src);
    int e = route_add(&r);
    if (e < 0)
        klog(KLOG_ERROR, "%s: route cannot be used: error %d", n->name, -e);
    return e;
}

/* Those to neighbours first: routers are found through them. */
static int add_routes(const struct netif *n, const struct boot_route *b,
                      uint32_t count)
{
    int r = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_zero(&b[i].via))
            keep_first(&r, add_route(n, &b[i]));
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_zero(&b[i].via))
            keep_first(&r, add_route(n, &b[i]));
    }
    return r;
}

int netif_configure(const struct boot_netif *b, const struct boot_route *routes)
{
    struct netif *n = find(b->mac);
    int r = 0;
    if (n == NULL) {
        klog(KLOG_ERROR, "boot data: %.16s: there is no such device", b->name);
        return -ENODEV;
    }
    memcpy(n->name, b->name, sizeof(b->name));
    n->name[sizeof(n->name) - 1] = '\0';
    if (b->mtu != 0)
        n->mtu = b->mtu;
    for (unsigned i = 0; i < MIN(b->addr_count, ARRAY_COUNT(b->addr)); i++)
        keep_first(&r, add_address(n, &b->addr[i]));
    /* Up only now: all of them are announced, and routes find their way. */
    netif_set_flags(n, n->flags | LX_IFF_UP);
    for (unsigned i = 0; i < MIN(b->gateway_count, ARRAY_COUNT(b->gateway));
         i++)
        keep_first(&r, add_gateway(n, &b->gateway[i]));
    if (routes != NULL)
        keep_first(&r,
                   add_routes(n, routes, MIN(b->route_count, BOOT_ROUTE_MAX)));
    net_flush();
    return r;
}
