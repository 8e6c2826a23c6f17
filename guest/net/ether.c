// SPDX-License-Identifier: Apache-2.0
/* Frames of Ethernet. RFC 894, 1112 6.4, 2464. */
#include "guest/net/ether.h"

#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/neigh.h"
#include "guest/net/proto.h"

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void ether_send(struct netif *n, struct packet *p, const uint8_t *dst,
                uint16_t type)
{
    struct ether_header h = {.type = be16(type)};
    if (p->head_off < sizeof(h)) { /* no room: nobody makes such packets */
        netif_count_stat(&n->stats.tx_errors, 1);
        packet_free(p);
        return;
    }
    memcpy(h.dst, dst, sizeof(h.dst));
    memcpy(h.src, n->mac, sizeof(h.src));
    memcpy(packet_push(p, sizeof(h)), &h, sizeof(h));
    netif_send(n, p);
}

/* Groups have addresses of their own: RFC 1112, 6.4; RFC 2464, 7. */
static void group_mac(const struct ip_addr *group, uint8_t mac[6])
{
    if (ip_is4(group)) {
        const uint8_t m[6] = {
            0x01, 0x00, 0x5e, group->b[13] & 0x7f, group->b[14], group->b[15]};
        memcpy(mac, m, sizeof(m));
        return;
    }
    mac[0] = 0x33;
    mac[1] = 0x33;
    memcpy(mac + 2, group->b + 12, 4);
}

void ether_output(struct netif *n, struct packet *p, const struct ip_route *r)
{
    uint8_t mac[6];
    uint16_t type = ip_is4(&r->hop) ? ETHER_IP4 : ETHER_IP6;
    if (r->broadcast) {
        ether_send(n, p, everybody, type);
    } else if (r->multicast) {
        group_mac(&r->hop, mac);
        ether_send(n, p, mac, type);
    } else {
        neigh_output(n, &r->hop, p);
    }
}

void ether_input(struct packet *p)
{
    struct netif *n = p->netif;
    struct ether_header h;
    const void *at = packet_pull(p, sizeof(h));
    if (at != NULL)
        memcpy(&h, at, sizeof(h));
    if (at == NULL || (h.src[0] & 1) != 0) { /* a group sends nothing */
        netif_count_stat(&n->stats.rx_errors, 1);
        packet_free(p);
        return;
    }
    bool group = (h.dst[0] & 1) != 0;
    if (group && memcmp(h.src, n->mac, sizeof(h.src)) == 0) {
        packet_free(p); /* our own, from a bridge port in hairpin mode: nobody
                           has our address (RFC 4862, 5.4.3; RFC 7527) */
        return;
    }
    if (group && memcmp(h.dst, everybody, sizeof(everybody)) != 0)
        netif_count_stat(&n->stats.multicast, 1);
    if (!group && memcmp(h.dst, n->mac, sizeof(h.dst)) != 0) {
        packet_free(p); /* a bridge floods what it does not know yet */
        return;
    }
    packet_skip(p, sizeof(h));
    switch (be16(h.type)) {
    case ETHER_IP4:
    case ETHER_IP6: ip_input(p); break;
    case ETHER_ARP: arp_input(p); break;
    default: packet_free(p); break;
    }
}
