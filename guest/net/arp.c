// SPDX-License-Identifier: Apache-2.0
/* ARP. RFC 826, 5227 (announcing). */
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/net/neigh.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"

#define ARP_ETHER   1u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u
#define ARP_ROOM    26 /* device and Ethernet */

static void arp_send(struct netif *n, struct arp_packet *a, uint16_t op,
                     const uint8_t *to)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct packet *p = packet_new(ARP_ROOM);
    if (p == NULL)
        return;
    a->hw = be16(ARP_ETHER);
    a->proto = be16(ETHER_IP4);
    a->hw_size = 6;
    a->proto_size = 4;
    a->op = be16(op);
    memcpy(a->src_mac, n->mac, sizeof(a->src_mac));
    memcpy(packet_append(p, sizeof(*a)), a, sizeof(*a));
    ether_send(n, p, to != NULL ? to : everybody, ETHER_ARP);
}

void arp_solicit(struct netif *n, const struct ip_addr *addr,
                 const uint8_t *mac)
{
    struct arp_packet a = {.hw = 0};
    struct ip_addr src;
    if (route_source(n, addr, &src))
        memcpy(a.src, src.b + 12, sizeof(a.src));
    memcpy(a.dst, addr->b + 12, sizeof(a.dst));
    arp_send(n, &a, ARP_REQUEST, mac);
}

void arp_announce(struct netif *n, const struct ip_addr *addr)
{
    struct arp_packet a = {.hw = 0};
    memcpy(a.src, addr->b + 12, sizeof(a.src));
    memcpy(a.dst, addr->b + 12, sizeof(a.dst));
    arp_send(n, &a, ARP_REQUEST, NULL);
}

/* May `a` be a neighbour's: in a prefix of ours or on a route without a
 * gateway, and nobody special? */
static bool on_link(struct netif *n, const struct ip_addr *a)
{
    bool found = false;
    if (ip_is_any(a) || ip_is_loopback(a) || ip_is_multicast(a) ||
        ip_is_broadcast(a, n) || ip_is_ours(a))
        return false;
    spin_lock(&n->lock);
    for (unsigned i = 0; i < n->addr_count && !found; i++) {
        const struct netif_addr *na = &n->addrs[i];
        found = ip_is4(&na->addr) &&
                ip_prefix_equal(&na->addr, a, na->prefix + 96u);
    }
    spin_unlock(&n->lock);
    struct ip_route via;
    return found ||
           (ip_route(&via, a, NULL, n->index) == 0 && ip_equal(&via.hop, a));
}

static bool arp_valid(const struct arp_packet *a)
{
    return be16(a->hw) == ARP_ETHER && be16(a->proto) == ETHER_IP4 &&
           a->hw_size == 6 && a->proto_size == 4 && (a->src_mac[0] & 1) == 0;
}

void arp_input(struct packet *p)
{
    struct netif *n = p->netif;
    struct arp_packet a;
    const void *at = packet_pull(p, sizeof(a));
    if (at != NULL)
        memcpy(&a, at, sizeof(a));
    bool valid = at != NULL && arp_valid(&a);
    packet_free(p);
    if (!valid)
        return;
    struct ip_addr src = ip_any4, dst = ip_any4;
    memcpy(src.b + 12, a.src, sizeof(a.src));
    memcpy(dst.b + 12, a.dst, sizeof(a.dst));
    /* Any address of ours, on whichever interface, but not lo's: RFC 1122,
     * 3.3.4.2. */
    bool for_us = !ip_is_loopback(&dst) && ip_is_ours(&dst);
    uint16_t op = be16(a.op);
    if (on_link(n, &src)) {
        struct neigh_news news = {
            .addr = src,
            .mac = a.src_mac,
            .solicited = op == ARP_REPLY && for_us,
            .override = true,
            .create = op == ARP_REQUEST && for_us,
        };
        neigh_learn(n, &news);
    }
    /* An address of ours as the sender is a duplicate's: no answer. */
    if (op != ARP_REQUEST || !for_us || ip_is_ours(&src))
        return;
    struct arp_packet reply = {.hw = 0};
    memcpy(reply.src, a.dst, sizeof(reply.src));
    memcpy(reply.dst, a.src, sizeof(reply.dst));
    memcpy(reply.dst_mac, a.src_mac, sizeof(reply.dst_mac));
    arp_send(n, &reply, ARP_REPLY, a.src_mac);
}
