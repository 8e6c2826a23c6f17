// SPDX-License-Identifier: Apache-2.0
/*
 * Packets: headers in memory of their own, data in pages that other packets
 * and sockets may share. A packet has one owner at a time; who gets one as an
 * argument named `p` owns it from then on, unless the contract says otherwise.
 * Every length in a received packet is a peer's: pull, then look.
 */
#pragma once

#include "guest/core/list.h"
#include "guest/core/types.h"
#include "guest/net/addr.h"

struct netif;

#define PACKET_ROOM  192 /* bytes for headers: device, Ethernet, IP, TCP */
#define PACKET_FRAGS 18  /* 64 KiB in pages at any offset, and one more */

struct packet_frag {
    paddr_t page; /* a reference to this block, page_put when dropped */
    uint32_t off; /* bytes into the block */
    uint32_t size;
};

/* What is known of the transport checksum. */
enum packet_csum {
    PACKET_CSUM_UNKNOWN, /* received: check it */
    PACKET_CSUM_GOOD,    /* received: the device or its peer vouches for it */
    PACKET_CSUM_PARTIAL, /* the field at csum_off holds the folded sum of the
                            pseudo header; device or netif_send completes it */
};

struct packet {
    struct list node; /* the owner's */
    struct netif *netif;
    uint32_t size;                /* bytes: head_size and all frags */
    uint16_t head_off, head_size; /* headers: head[head_off ...] */
    uint8_t frag_count;
    uint8_t csum;     /* enum packet_csum */
    uint8_t protocol; /* IPPROTO_*, received */
    uint8_t ttl, tos; /* received */
    bool multicast;   /* received for a group, or everybody */
    bool broadcast;
    uint16_t csum_start; /* PARTIAL: index into head[], where summing starts:
                            the transport header */
    uint16_t csum_off;   /* PARTIAL: from csum_start to the field */
    uint64_t stamp;      /* received: CLOCK_REALTIME, if a socket wants it */
    uint16_t sport;      /* received: UDP's source port, host order */
    uint16_t net_off, net_size; /* received: the IP header, index into head[];
                                   net_size 0: it is lost */
    uint16_t gso_size;          /* payload bytes of each segment; 0: as it is.
                                   Received: what the device put together, or 0 */
    struct ip_addr src, dst;    /* received */
    struct packet_frag frags[PACKET_FRAGS];
    uint8_t head[PACKET_ROOM];
};

/* --- packet.c; any context but interrupts --- */
/* Empty, with `room` bytes before head for headers to come. NULL: memory. */
struct packet *packet_new(uint16_t room);
void packet_free(struct packet *p); /* NULL is fine */
/* The first n bytes side by side, moved into head as needed; NULL: shorter, or
 * n is more than PACKET_ROOM. */
void *packet_pull(struct packet *p, uint32_t n);
void *packet_push(struct packet *p, uint16_t n); /* new bytes in front */
void packet_skip(struct packet *p, uint32_t n);  /* n <= size: off the front */
void packet_trim(struct packet *p, uint32_t size); /* cut the end off */
/* n more bytes at the end, in head. NULL: frags follow, or no room there. */
void *packet_append(struct packet *p, uint16_t n);
/* Another packet of the same bytes: head copied, pages shared. NULL: memory. */
struct packet *packet_clone(const struct packet *p);
/* Bytes [off, off + n) of `from` (there are as many) at the end of `p`: those
 * in head are copied, pages are shared. -ENOSPC. */
int packet_slice(struct packet *p, const struct packet *from, uint32_t off,
                 uint32_t n);
/* Few bytes in pages of their own move into head: sockets charge less. */
void packet_compact(struct packet *p);
/* Add bytes of a page block at the end; takes a reference of its own (the
 * last frag grows where it can). -ENOSPC: PACKET_FRAGS. */
int packet_add(struct packet *p, paddr_t page, uint32_t off, uint32_t size);
void packet_copy_out(const struct packet *p, uint32_t off, void *to,
                     uint32_t n);
/* Bytes of memory it holds: what sockets are charged. */
uint32_t packet_charge(const struct packet *p);

/* Internet checksum (RFC 1071). Sums are unfolded, of bytes as 16-bit big
 * endian words at even offsets. */
uint32_t csum_add(uint32_t sum, const void *data, size_t n);
uint16_t csum_fold(uint32_t sum); /* the complement, in network order */
uint32_t packet_csum(const struct packet *p, uint32_t off, uint32_t n);
uint32_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst,
                     uint8_t protocol, uint32_t size);
/* The transport header is in front: make the packet PARTIAL, `field` bytes
 * into that header; for a gso packet too (the size in the sum is p->size). */
void packet_csum_start(struct packet *p, const struct ip_addr *src,
                       const struct ip_addr *dst, uint8_t protocol,
                       uint16_t field);
/* Received, transport header in front: true if its checksum is right. */
bool packet_csum_good(struct packet *p, uint8_t protocol);
/* PARTIAL: sum now, for a device that cannot. */
void packet_csum_finish(struct packet *p);
