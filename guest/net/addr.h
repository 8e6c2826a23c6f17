// SPDX-License-Identifier: Apache-2.0
/*
 * One address type for both families: IPv4 is ::ffff:a.b.c.d (RFC 4291,
 * 2.5.5.2), so that sockets, tables and routes exist once.
 */
#pragma once

#include "guest/core/types.h"

struct ip_addr {
    union {
        uint8_t b[16]; /* network order */
        uint32_t w[4];
        uint64_t q[2];
    };
};

extern const struct ip_addr ip_any4; /* ::ffff:0.0.0.0 */
extern const struct ip_addr ip_any6; /* :: */

bool ip_is4(const struct ip_addr *a); /* IPv4, 0.0.0.0 too */
bool ip_is_any(const struct ip_addr *a);
bool ip_is_loopback(const struct ip_addr *a); /* 127/8, ::1 */
bool ip_is_multicast(const struct ip_addr *a);
bool ip_is_link_local(const struct ip_addr *a); /* fe80::/10, 169.254/16 */
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
/* The first `bits` (IPv4: + 96) are equal. */
bool ip_prefix_equal(const struct ip_addr *a, const struct ip_addr *b,
                     unsigned bits);
struct ip_addr ip_from4(uint32_t be); /* network order */
static inline uint32_t ip_to4(const struct ip_addr *a)
{
    return a->w[3]; /* network order */
}
