// SPDX-License-Identifier: Apache-2.0
/*
 * Neighbours of Ethernet: one table for ARP (RFC 826) and neighbour discovery
 * (RFC 4861). Peers fill it, so it is bounded: the one used longest ago goes.
 */
#pragma once

#include "guest/net/ip.h"

#define NEIGH_MAX   512u
#define NEIGH_QUEUE 3u /* packets that wait for one address */

enum neigh_state { /* RFC 4861, 7.3.2; numbers are ours */
                   NEIGH_INCOMPLETE,
                   NEIGH_REACHABLE,
                   NEIGH_STALE,
                   NEIGH_DELAY,
                   NEIGH_PROBE,
                   NEIGH_FAILED,
                   NEIGH_PERMANENT,
};

struct neigh_info { /* for /proc/net/arp and rtnetlink */
    struct ip_addr addr;
    uint32_t netif;
    enum neigh_state state;
    uint8_t mac[6];
};

/* An IP packet for `hop`. Takes p. Locks of sockets may be held. */
void neigh_output(struct netif *n, const struct ip_addr *hop, struct packet *p);
/* A peer said where `addr` is, in answer to us (solicited) or not; `create`:
 * remember it even if nobody asked. override: RFC 4861, 7.2.5. Net thread. */
struct neigh_news {
    struct ip_addr addr;
    const uint8_t *mac; /* NULL: it said nothing of that */
    bool solicited, override, create;
};
void neigh_learn(struct netif *n, const struct neigh_news *news);
/* By an administrator. -ENOSPC, -ENOENT. */
int neigh_set(struct netif *n, const struct ip_addr *addr, const uint8_t *mac);
int neigh_del(struct netif *n, const struct ip_addr *addr);
/* The i-th; false: no more. */
bool neigh_at(unsigned i, struct neigh_info *out);
void neigh_flush(struct netif *n); /* it went down */

/* --- ether.c --- */
void ether_send(struct netif *n, struct packet *p, const uint8_t *dst,
                uint16_t type); /* takes p */

/* --- arp.c, nd.c: ask where `addr` is; mac NULL: everybody --- */
void arp_solicit(struct netif *n, const struct ip_addr *addr,
                 const uint8_t *mac);
void nd_solicit(struct netif *n, const struct ip_addr *addr,
                const uint8_t *mac);
void arp_input(struct packet *p); /* ARP header in front; takes p */
/* Our new address: tell everybody (RFC 5227 2.3; RFC 4429, 4861 7.2.6). */
extern const struct ip_addr nd_all_nodes;         /* ff02::1 */
struct ip_addr nd_group(const struct ip_addr *a); /* solicited-node */
void arp_announce(struct netif *n, const struct ip_addr *addr);
void nd_announce(struct netif *n, const struct ip_addr *addr);
