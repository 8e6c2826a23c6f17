// SPDX-License-Identifier: Apache-2.0
/* The Internet checksum. RFC 1071. */
#include "guest/core/klib.h"
#include "guest/net/packet.h"

/* End-around carry. */
static uint64_t add64(uint64_t a, uint64_t b)
{
    uint64_t s;
    return __builtin_add_overflow(a, b, &s) ? s + 1 : s;
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

/* The sum of the words as this (little-endian) machine loads them: the byte
 * order of a one's complement sum can be set right at the end, RFC 1071 2 (B).
 * Two chains, so that additions with carry overlap. */
static uint64_t sum_native(const uint8_t *at, size_t n)
{
    uint64_t a = 0, b = 0;
    for (; n >= 32; n -= 32, at += 32) {
        a = add64(a, load64(at));
        b = add64(b, load64(at + 8));
        a = add64(a, load64(at + 16));
        b = add64(b, load64(at + 24));
    }
    for (; n >= 8; n -= 8, at += 8)
        a = add64(a, load64(at));
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)at[i] << (8 * i);
    return add64(add64(a, b), last);
}

static uint32_t fold16(uint64_t s)
{
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint32_t)s;
}

uint32_t csum_add(uint32_t sum, const void *data, size_t n)
{
    uint32_t s = fold16(sum_native(data, n));
    return sum + ((s & 0xff) << 8 | s >> 8);
}

uint16_t csum_fold(uint32_t sum)
{
    uint32_t s = ~fold16(sum) & 0xffff;
    return (uint16_t)(s << 8 | s >> 8);
}

/* RFC 768, 9293 (3.1) and 8200 (8.1): the two agree but for the addresses. */
uint32_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst,
                     uint8_t protocol, uint32_t size)
{
    bool four = ip_is4(dst);
    unsigned off = four ? 12 : 0;
    uint32_t sum = csum_add(protocol, src->b + off, 16 - off);
    sum = csum_add(sum, dst->b + off, 16 - off);
    return sum + (size >> 16) + (size & 0xffff);
}
