// SPDX-License-Identifier: Apache-2.0
/* Ping sockets (icmp(7)) and raw ones (raw(7)). */
#pragma once

#include "guest/net/ip.h"

/* An echo reply, ICMP header in front. Takes p. */
void ping_input(struct packet *p);
/* ip_protocol.error of both ICMPs. */
bool ping_error(const struct ip_addr *src, const struct ip_addr *dst,
                const uint8_t *head, uint32_t size, int error, bool hard,
                uint32_t info);
/* ip_protocol.report of both. */
void ping_report(const struct packet *p, const struct ip_report *r);
/* May a raw socket have sent this? */
bool raw_sends(uint8_t protocol, const struct ip_addr *src,
               const struct ip_addr *dst);
