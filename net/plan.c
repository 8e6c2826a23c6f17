// SPDX-License-Identifier: Apache-2.0
#include "net/plan.h"

#include <string.h>

/* Docker's default address pools, so that nobody has to learn others. */
static const struct plan_pool {
    uint8_t base[2]; /* first two bytes; the rest are 0 */
    uint8_t prefix;  /* of each network */
    uint8_t count;   /* networks in it */
} plan_pools[] = {
    {{172, 17}, 16, 15}, /* 172.17 to 172.31 */
    {{192, 168}, 20, 16},
};

static unsigned plan_bits(const struct net_addr *a)
{
    return a->v6 ? 128 : 32;
}

static bool plan_same_prefix(const struct net_addr *a, const struct net_addr *b,
                             unsigned bits)
{
    if (memcmp(a->b, b->b, bits / 8) != 0)
        return false;
    uint8_t mask = (uint8_t) ~(0xffU >> bits % 8);
    return bits % 8 == 0 || ((a->b[bits / 8] ^ b->b[bits / 8]) & mask) == 0;
}

bool plan_overlaps(const struct net_addr *a, const struct net_addr *b)
{
    uint8_t bits = a->prefix < b->prefix ? a->prefix : b->prefix;
    return a->v6 == b->v6 && plan_same_prefix(a, b, bits);
}

bool plan_contains(const struct net_addr *range, const struct net_addr *a)
{
    return range->v6 == a->v6 && range->prefix <= a->prefix &&
           plan_same_prefix(range, a, range->prefix);
}

bool plan_is_covered(const struct net_addr *range, size_t count, size_t index)
{
    const struct net_addr *a = &range[index];
    for (size_t i = 0; i < count; i++)
        if (i != index && plan_contains(&range[i], a) &&
            (i < index || !plan_contains(a, &range[i])))
            return true;
    return false;
}

bool plan_equal(const struct net_addr *a, const struct net_addr *b)
{
    return a->v6 == b->v6 && memcmp(a->b, b->b, a->v6 ? 16 : 4) == 0;
}

struct net_addr plan_base(const struct net_addr *range)
{
    struct net_addr out = *range;
    for (unsigned bit = range->prefix; bit < plan_bits(range); bit++)
        out.b[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
    return out;
}

bool plan_host(const struct net_addr *range, uint32_t index,
               struct net_addr *out)
{
    unsigned free_bits = plan_bits(range) - range->prefix;
    *out = plan_base(range);
    /* IPv4 keeps the last address for broadcasts. */
    if (free_bits < 32 &&
        index >= (UINT64_C(1) << free_bits) - (range->v6 ? 0 : 1))
        return false;
    unsigned last = plan_bits(range) / 8 - 1;
    for (unsigned i = 0; i < 4; i++)
        out->b[last - i] |= (uint8_t)(index >> (8 * i));
    return true;
}

static bool plan_is_free(const struct net_addr *a, const struct net_addr *taken,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (plan_overlaps(a, &taken[i]))
            return false;
    return true;
}

bool plan_pick4(const struct net_addr *taken, size_t count,
                struct net_addr *out)
{
    for (size_t p = 0; p < sizeof(plan_pools) / sizeof(plan_pools[0]); p++) {
        const struct plan_pool *pool = &plan_pools[p];
        for (uint32_t i = 0; i < pool->count; i++) {
            uint32_t base =
                (uint32_t)pool->base[0] << 24 | (uint32_t)pool->base[1] << 16;
            base += i << (32 - pool->prefix);
            *out = (struct net_addr){.b = {(uint8_t)(base >> 24),
                                           (uint8_t)(base >> 16),
                                           (uint8_t)(base >> 8), (uint8_t)base},
                                     .prefix = pool->prefix};
            if (plan_is_free(out, taken, count))
                return true;
        }
    }
    return false;
}

struct net_addr plan_ula(const uint8_t random[7])
{
    struct net_addr a = {.v6 = true, .prefix = 64, .b = {0xfd}};
    memcpy(a.b + 1, random, 7);
    return a;
}

void plan_mac(const struct net_addr *a, uint8_t out[6])
{
    out[0] = 0x02;
    out[1] = 0x42;
    memcpy(out + 2, a->b + (a->v6 ? 12 : 0), 4);
}

struct net_addr plan_link_local(const uint8_t mac[6])
{
    return (struct net_addr){.v6 = true,
                             .prefix = 64,
                             .b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2,
                                   mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
                                   mac[5]}};
}
