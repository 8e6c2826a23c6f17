// SPDX-License-Identifier: Apache-2.0
/* Between the files of IP. */
#pragma once

#include "guest/net/ip.h"

struct ip_counters { /* /proc/net/snmp; atomic */
    uint64_t received, header_errors, address_errors, unknown_protocol,
        delivered;
    uint64_t reasm_ok, reasm_fail, frag_ok;
};
extern struct ip_counters ip_counters;

const struct ip_protocol *ip_protocol_find(uint8_t number);

/* --- icmp_error.c --- */
/* It could not be delivered, IP header in front: its socket is told as if by
 * ICMP. Takes p. Net thread. */
void ip_local_error(struct packet *p, int error);

/* --- reassembly.c --- */
uint32_t reassembly_charge(void); /* bytes of memory in fragments */
/* A fragment, IP headers skipped; `off` in bytes. The whole packet, when this
 * was the last piece, or NULL. Takes p. */
struct packet *reassemble(struct packet *p, uint32_t id, uint32_t off,
                          bool more);

/* --- group.c --- */
bool group_wanted(struct netif *n, const struct ip_addr *group);

/* --- raw.c --- */
/* Copies for raw sockets; p stays the caller's. true: there was one. */
bool raw_input(struct packet *p);
