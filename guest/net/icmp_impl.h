// SPDX-License-Identifier: Apache-2.0
/* Between ICMP and what speaks it. RFC 792, 4443, 4861, 3810. */
#pragma once

#include "guest/net/ip.h"
#include "guest/net/proto.h"

#define ICMP_ECHO_REPLY  0u
#define ICMP_UNREACHABLE 3u
#define ICMP_PROTOCOL    2u /* codes of it */
#define ICMP_PORT        3u
#define ICMP_TOO_BIG     4u
#define ICMP_ECHO        8u
#define ICMP_EXCEEDED    11u
#define ICMP_PARAMETER   12u

#define ICMP6_UNREACHABLE 1u
#define ICMP6_PORT        4u /* a code of it */
#define ICMP6_TOO_BIG     2u
#define ICMP6_EXCEEDED    3u
#define ICMP6_PARAMETER   4u
#define ICMP6_ECHO        128u
#define ICMP6_ECHO_REPLY  129u

struct icmp_counters { /* /proc/net/snmp; atomic */
    uint64_t in, in_errors, out;
};
extern struct icmp_counters icmp_counters;

/* ICMP header in front, but for its checksum. src any: chosen; ttl 0: the
 * default. Takes p; call net_flush() later. */
int icmp_send(struct packet *p, const struct ip_addr *dst,
              const struct ip_addr *src, uint32_t oif, uint8_t ttl);
/* The same by a route that is known. */
int icmp_output(struct packet *p, const struct ip_route *r,
                const struct ip_send *how);
/* ICMPv6 on the link of `n` from `src` (NULL: one of its own), this hop limit:
 * what neighbour discovery and MLD send. Takes p. */
void icmp6_send_from(struct packet *p, const struct ip_addr *dst,
                     const struct ip_addr *src, struct netif *n, uint8_t hops);
/* An error about what we sent; header in front. Takes p. */
void icmp_error_input(struct packet *p, const struct icmp_header *h);
/* The first fragment of a packet that was never whole. RFC 791, RFC 8200 4.5.
 * Takes p. */
void icmp_reassembly_timeout(struct packet *p);

/* --- nd.c: neighbour discovery and groups, type >= 128; takes p --- */
void icmp6_control(struct packet *p, uint8_t type);
