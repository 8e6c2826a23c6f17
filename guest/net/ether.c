// SPDX-License-Identifier: Apache-2.0
/* Frames of Ethernet. RFC 894, 2464. */
#include "guest/net/ether.h"

void ether_output(struct netif *n, struct packet *p, const struct ip_route *r)
{
    (void)r;
    netif_count_stat(&n->stats.tx_dropped, 1);
    packet_free(p);
}

void ether_input(struct packet *p)
{
    netif_count_stat(&p->netif->stats.rx_dropped, 1);
    packet_free(p);
}
