// SPDX-License-Identifier: Apache-2.0
/* Headers on the wire; every field in network order. Read and written by
 * memcpy: nothing in a packet is aligned. */
#pragma once

#include "abi/abi.h"

static inline uint16_t be16(uint16_t v) /* to or from network order */
{
    return __builtin_bswap16(v);
}

static inline uint32_t be32(uint32_t v)
{
    return __builtin_bswap32(v);
}

#define ETHER_IP4 0x0800u
#define ETHER_ARP 0x0806u
#define ETHER_IP6 0x86ddu

struct ether_header { /* RFC 894 */
    uint8_t dst[6];
    uint8_t src[6];
    uint16_t type;
};
ABI_SIZE(struct ether_header, 14);

struct arp_packet { /* RFC 826, Ethernet and IPv4 */
    uint16_t hw, proto;
    uint8_t hw_size, proto_size;
    uint16_t op;
    uint8_t src_mac[6];
    uint8_t src[4];
    uint8_t dst_mac[6];
    uint8_t dst[4];
};
ABI_SIZE(struct arp_packet, 28);

struct ip4_header { /* RFC 791, 3.1 */
    uint8_t version_ihl;
    uint8_t tos;
    uint16_t size;
    uint16_t id;
    uint16_t frag; /* IP4_DF, IP4_MF, offset / 8 */
    uint8_t ttl;
    uint8_t protocol;
    uint16_t csum;
    uint32_t src;
    uint32_t dst;
};
ABI_SIZE(struct ip4_header, 20);
#define IP4_DF       0x4000u
#define IP4_MF       0x2000u
#define IP4_OFF_MASK 0x1fffu

struct ip6_header { /* RFC 8200, 3 */
    uint32_t flow;  /* version, traffic class, flow label */
    uint16_t size;  /* without this header */
    uint8_t next;
    uint8_t hops;
    uint8_t src[16];
    uint8_t dst[16];
};
ABI_SIZE(struct ip6_header, 40);

#define IP6_HOPOPTS  0
#define IP6_ROUTING  43
#define IP6_FRAGMENT 44
#define IP6_NONE     59
#define IP6_DSTOPTS  60

struct ip6_fragment { /* RFC 8200, 4.5 */
    uint8_t next;
    uint8_t reserved;
    uint16_t frag; /* offset, 0x7 masked; IP6_MF */
    uint32_t id;
};
ABI_SIZE(struct ip6_fragment, 8);
#define IP6_MF 1u

struct udp_header { /* RFC 768 */
    uint16_t src, dst;
    uint16_t size;
    uint16_t csum;
};
ABI_SIZE(struct udp_header, 8);

struct icmp_header { /* RFC 792, 4443 */
    uint8_t type, code;
    uint16_t csum;
    uint16_t id;  /* echo; else unused */
    uint16_t seq; /* echo; next-hop MTU (RFC 1191) */
};
ABI_SIZE(struct icmp_header, 8);
