// SPDX-License-Identifier: Apache-2.0
/* Addresses of both families. RFC 4291. */
#include "guest/net/addr.h"

#include "guest/core/klib.h"

#define MAPPED UINT32_C(0xffff0000) /* w[2] of ::ffff:0:0/96, as loaded */

const struct ip_addr ip_any4 = {.b = {[10] = 0xff, [11] = 0xff}};
const struct ip_addr ip_any6;

bool ip_is4(const struct ip_addr *a)
{
    return a->q[0] == 0 && a->w[2] == MAPPED;
}

bool ip_is_any(const struct ip_addr *a)
{
    return a->q[0] == 0 && a->w[3] == 0 && (a->w[2] == 0 || a->w[2] == MAPPED);
}

bool ip_is_loopback(const struct ip_addr *a)
{
    static const struct ip_addr one = {.b = {[15] = 1}};
    return ip_is4(a) ? a->b[12] == 127 : ip_equal(a, &one);
}

bool ip_is_multicast(const struct ip_addr *a)
{
    return ip_is4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool ip_is_link_local(const struct ip_addr *a)
{
    if (ip_is4(a))
        return a->b[12] == 169 && a->b[13] == 254;
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

bool ip_prefix_equal(const struct ip_addr *a, const struct ip_addr *b,
                     unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a->b, b->b, whole) != 0)
        return false;
    return rest == 0 || ((a->b[whole] ^ b->b[whole]) >> (8 - rest)) == 0;
}

struct ip_addr ip_from4(uint32_t be)
{
    struct ip_addr a = ip_any4;
    a.w[3] = be;
    return a;
}
