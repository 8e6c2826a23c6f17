// SPDX-License-Identifier: Apache-2.0
/* ICMP of both families: echo and errors. RFC 792, 1122, 4443. */
#pragma once

#include "guest/net/ip.h"

extern const struct ip_protocol icmp_protocol, icmp6_protocol;

/* Errors about a packet that came in; rate-limited, never about errors, groups
 * or broadcasts (RFC 1122 3.2.2, RFC 4443 2.4). Each takes p, whose transport
 * header is in front (its IP header is at net_off). */
void icmp_protocol_unreachable(struct packet *p);
/* code as RFC 4443 3.4; pointer: bytes into the packet. */
void icmp6_parameter_problem(struct packet *p, uint8_t code, uint32_t pointer);
