// SPDX-License-Identifier: Apache-2.0
/* Addresses of interfaces, and up and down. RFC 4862, 5227. */
#include "guest/net/netaddr.h"

#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/group.h"
#include "guest/net/neigh.h"
#include "guest/net/route.h"

#define DAD_NS NSEC_PER_SEC /* RFC 4862, 5.1: DupAddrDetectTransmits 1 */

bool netif_addr_at(struct netif *n, unsigned i, struct netif_addr *out)
{
    spin_lock(&n->lock);
    bool found = i < n->addr_count;
    if (found)
        *out = n->addrs[i];
    spin_unlock(&n->lock);
    return found;
}

static struct netif_addr *addr_find(struct netif *n, const struct ip_addr *a)
{
    for (unsigned i = 0; i < n->addr_count; i++) {
        if (ip_equal(&n->addrs[i].addr, a))
            return &n->addrs[i];
    }
    return NULL;
}

bool netif_addr_tentative(struct netif *n, const struct ip_addr *a)
{
    spin_lock(&n->lock);
    const struct netif_addr *na = addr_find(n, a);
    bool young = na != NULL && na->tentative_until > clock_now();
    spin_unlock(&n->lock);
    return young;
}

/* The interface is up. */
static void addr_announce(struct netif *n, const struct ip_addr *a)
{
    if (!n->ethernet)
        return;
    if (ip_is4(a)) {
        arp_announce(n, a);
        return;
    }
    spin_lock(&n->lock);
    struct netif_addr *na = addr_find(n, a);
    if (na != NULL)
        na->tentative_until = clock_now() + DAD_NS;
    spin_unlock(&n->lock);
    struct ip_addr group = nd_group(a);
    group_report(n, &group, true);
    nd_announce(n, a);
}

int netif_addr_add(struct netif *n, const struct netif_addr *a)
{
    int r = 0;
    if (a->prefix > (ip_is4(&a->addr) ? 32 : 128) ||
        ip_is_multicast(&a->addr) || ip_is_any(&a->addr))
        return -EINVAL;
    spin_lock(&n->lock);
    if (addr_find(n, &a->addr) != NULL)
        r = -EEXIST;
    else if (n->addr_count == NETIF_ADDRS)
        r = -ENOSPC;
    else
        n->addrs[n->addr_count++] = *a;
    spin_unlock(&n->lock);
    if (r == 0 && (n->flags & LX_IFF_UP) != 0)
        addr_announce(n, &a->addr);
    return r;
}

int netif_addr_del(struct netif *n, const struct ip_addr *a)
{
    spin_lock(&n->lock);
    struct netif_addr *na = addr_find(n, a);
    if (na != NULL) {
        unsigned i = (unsigned)(na - n->addrs);
        n->addr_count--;
        memmove(na, na + 1, (n->addr_count - i) * sizeof(*na));
    }
    spin_unlock(&n->lock);
    return na != NULL ? 0 : -EADDRNOTAVAIL;
}

/* RFC 4862, 5.3 with the interface identifier of RFC 2464, 4. */
static void add_link_local(struct netif *n)
{
    struct netif_addr a = {.prefix = 64, .scope = LX_RT_SCOPE_LINK};
    const uint8_t *m = n->mac;
    const uint8_t b[16] = {0xfe, 0x80, [8] = m[0] ^ 2, m[1], m[2],
                           0xff, 0xfe, m[3],           m[4], m[5]};
    memcpy(a.addr.b, b, sizeof(b));
    spin_lock(&n->lock);
    bool has = addr_find(n, &a.addr) != NULL;
    if (!has && n->addr_count < NETIF_ADDRS)
        n->addrs[n->addr_count++] = a;
    spin_unlock(&n->lock);
}

static void went_up(struct netif *n)
{
    struct netif_addr a;
    if (n->ethernet)
        add_link_local(n);
    for (unsigned i = 0; netif_addr_at(n, i, &a); i++)
        addr_announce(n, &a.addr);
}

static void went_down(struct netif *n)
{
    struct netif_addr a;
    route_flush(n->index);
    if (!n->ethernet)
        return;
    neigh_flush(n);
    /* IPv6 addresses go with it, as Linux has it. */
    for (unsigned i = 0; netif_addr_at(n, i, &a);) {
        if (ip_is4(&a.addr))
            i++;
        else
            (void)netif_addr_del(n, &a.addr);
    }
}

int netif_set_mtu(struct netif *n, uint32_t mtu)
{
    /* RFC 791, 3.1; beyond 64 KiB there is no IP. The device's own limit was
     * the MTU it came with. */
    uint32_t most = n->mtu_max != 0 ? n->mtu_max : 65536;
    if (mtu < 68 || mtu > most)
        return -EINVAL;
    n->mtu = mtu;
    return 0;
}

void netif_set_flags(struct netif *n, uint32_t flags)
{
    const uint32_t may = LX_IFF_UP | LX_IFF_PROMISC | LX_IFF_ALLMULTI;
    spin_lock(&n->lock);
    bool was = (n->flags & LX_IFF_UP) != 0, up = (flags & LX_IFF_UP) != 0;
    n->flags = (n->flags & ~may) | (flags & may);
    spin_unlock(&n->lock);
    if (n->ops->groups != NULL)
        n->ops->groups(n);
    if (up && !was)
        went_up(n);
    else if (was && !up)
        went_down(n);
}
