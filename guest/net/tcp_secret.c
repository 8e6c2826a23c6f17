// SPDX-License-Identifier: Apache-2.0
/* What a stranger must not guess: initial sequence numbers, timestamps,
 * cookies. The hash is SipHash-2-4 (Aumasson, Bernstein 2012). */
#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

#define KEYS 4

static uint64_t rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

/* Made once, by whoever is first. */
static const uint64_t *secret_key(unsigned key)
{
    static uint64_t keys[KEYS][2];
    static uint32_t ready; /* 0, 1: being made, 2 */
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != 2) {
        uint32_t none = 0;
        if (!__atomic_compare_exchange_n(&ready, &none, 1, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        krandom(keys, sizeof(keys));
        __atomic_store_n(&ready, 2, __ATOMIC_RELEASE);
    }
    return keys[key % KEYS];
}

uint64_t tcp_hash(const void *data, uint32_t n, unsigned key)
{
    const uint64_t *k = secret_key(key);
    const uint8_t *at = data;
    uint64_t v[4] = {k[0] ^ UINT64_C(0x736f6d6570736575),
                     k[1] ^ UINT64_C(0x646f72616e646f6d),
                     k[0] ^ UINT64_C(0x6c7967656e657261),
                     k[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t m = 0;
    uint32_t left = n;
    for (; left >= sizeof(m); left -= (uint32_t)sizeof(m), at += sizeof(m)) {
        memcpy(&m, at, sizeof(m));
        sip_word(v, m);
    }
    m = 0;
    memcpy(&m, at, left);
    sip_word(v, m | (uint64_t)n << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void tcp_secret(const struct inet_sock *k, uint32_t *isn, uint32_t *ts_off)
{
    struct {
        struct ip_addr local, remote;
        uint32_t ports, zero;
    } in = {k->local, k->remote, (uint32_t)k->lport << 16 | k->rport, 0};
    /* RFC 6528, 3: M, the 4 us clock, and F of the four of them. */
    *isn =
        (uint32_t)tcp_hash(&in, sizeof(in), 0) + (uint32_t)(clock_now() / 4096);
    *ts_off = (uint32_t)tcp_hash(&in, sizeof(in), 1);
}
