// SPDX-License-Identifier: Apache-2.0
/* Which addresses a network gets: pure arithmetic. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

/* Do the two ranges share an address? Different families never do. */
bool plan_overlaps(const struct net_addr *a, const struct net_addr *b);
bool plan_contains(const struct net_addr *range, const struct net_addr *a);
/* Does another of the ranges contain range[index]? Of equal ones only the first
 * is not. */
bool plan_is_covered(const struct net_addr *range, size_t count, size_t index);
bool plan_equal(const struct net_addr *a, const struct net_addr *b);

/* The bits beyond the prefix cleared. */
struct net_addr plan_base(const struct net_addr *range);

/* Address number `index` of a range (0: its base), with the range's prefix.
 * false: the range has no such host address. */
bool plan_host(const struct net_addr *range, uint32_t index,
               struct net_addr *out);

/* The first of docker's pools (172.17.0.0/16 ..., 192.168.0.0/20 ...) that
 * overlaps none of `taken`. false: all are taken. */
bool plan_pick4(const struct net_addr *taken, size_t count,
                struct net_addr *out);

/* A /64 of RFC 4193 from 7 random bytes. */
struct net_addr plan_ula(const uint8_t random[7]);

/* MAC of an IPv4 address: 02:42 and its bytes, unique on its network. */
void plan_mac(const struct net_addr *a, uint8_t out[6]);

/* The link-local address that a guest makes of its MAC (RFC 4291, 2.5.1). */
struct net_addr plan_link_local(const uint8_t mac[6]);
