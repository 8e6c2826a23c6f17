// SPDX-License-Identifier: Apache-2.0
/* Ethernet below IP: neighbours found by ARP or neighbour discovery. */
#pragma once

#include "guest/net/ip.h"

/* An IP packet to the next hop of `r`, at once or when its neighbour has
 * answered. Takes p. Locks of sockets may be held. */
void ether_output(struct netif *n, struct packet *p, const struct ip_route *r);
