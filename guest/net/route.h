// SPDX-License-Identifier: Apache-2.0
/* The routing table (ip-route(8)) and what is known of paths. */
#pragma once

#include "guest/net/ip.h"

#define ROUTE_MAX 256

struct route {
    struct ip_addr dst;
    struct ip_addr gateway; /* any: on the link */
    struct ip_addr src;     /* preferred; any: chosen */
    uint32_t oif;           /* 0 only for types that go nowhere */
    uint32_t metric;
    uint8_t bits;     /* of dst, IPv4: 0..32 */
    uint8_t protocol; /* LX_RTPROT_* */
    uint8_t scope, type;
    bool onlink; /* the gateway is a neighbour, whatever prefixes say */
};

/* -EEXIST, -ENOSPC, -ENETUNREACH (gateway), -ENODEV. */
int route_add(const struct route *r);
/* The first that agrees in dst, bits and what is not 0 in `r`. -ESRCH. */
int route_del(const struct route *r);
int route_replace(const struct route *r); /* in the place of the same, if any */
void route_flush(uint32_t oif);           /* all through that interface */
/* The i-th, with those that follow from addresses first. false: no more. */
bool route_at(unsigned i, struct route *out);
/* Another address of `n` that suits as source for dst. false: none. */
bool route_source(struct netif *n, const struct ip_addr *dst,
                  struct ip_addr *src);
/* What is believed of an MTU that an ICMP error names (RFC 1191, 8201). */
uint32_t path_mtu_check(const struct ip_addr *dst, uint32_t mtu);
/* An ICMP error said so; mtu is checked. */
void path_mtu_update(const struct ip_addr *dst, uint32_t mtu);
uint32_t path_mtu(const struct ip_addr *dst, uint32_t limit);
