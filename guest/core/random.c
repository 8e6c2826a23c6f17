// SPDX-License-Identifier: Apache-2.0
/*
 * Random bytes: ChaCha20 (RFC 8439, 2.3) under a key that is replaced from its
 * own output after every request, so that earlier output cannot be computed
 * from the present state.
 */
#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/types.h"
#include "guest/virtio/virtio.h"

static struct {
    struct spinlock lock; /* irq-safe */
    uint32_t key[8];
    uint64_t counter;
} pool;

static uint32_t rol(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rol(*d ^ *a, 16);
    *c += *d;
    *b = rol(*b ^ *c, 12);
    *a += *b;
    *d = rol(*d ^ *a, 8);
    *c += *d;
    *b = rol(*b ^ *c, 7);
}

static void chacha_block(const uint32_t key[8], uint64_t counter,
                         uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, key, 32);
    in[12] = (uint32_t)counter;
    in[13] = (uint32_t)(counter >> 32);
    memcpy(out, in, sizeof(in));
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned c = 0; c < 4; c++)
            quarter(&out[c], &out[4 + c], &out[8 + c], &out[12 + c]);
        for (unsigned c = 0; c < 4; c++)
            quarter(&out[c], &out[4 + (c + 1) % 4], &out[8 + (c + 2) % 4],
                    &out[12 + (c + 3) % 4]);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] += in[i];
}

/* Lock held: the first half of a block becomes the next key. */
static void pool_rekey(void)
{
    uint32_t block[16];
    chacha_block(pool.key, pool.counter++, block);
    memcpy(pool.key, block, sizeof(pool.key));
}

void krandom(void *to, size_t n)
{
    unsigned char *p = to;
    unsigned long flags = spin_lock_irq(&pool.lock);
    pool_rekey();
    uint32_t key[8];
    memcpy(key, pool.key, sizeof(key));
    uint64_t counter = pool.counter;
    pool.counter += (n + 63) / 64;
    pool_rekey();
    spin_unlock_irq(&pool.lock, flags);

    while (n > 0) {
        uint32_t block[16];
        size_t part = MIN(n, sizeof(block));
        chacha_block(key, counter++, block);
        memcpy(p, block, part);
        p += part;
        n -= part;
    }
    memset(key, 0, sizeof(key));
    virtio_rng_reseed();
}

uint64_t krandom_u64(void)
{
    uint64_t v;
    krandom(&v, sizeof(v));
    return v;
}

void krandom_seed(const void *data, size_t n)
{
    const unsigned char *p = data;
    unsigned long flags = spin_lock_irq(&pool.lock);
    while (n > 0) {
        uint32_t part[8] = {0};
        size_t take = MIN(n, sizeof(part));
        memcpy(part, p, take);
        for (unsigned i = 0; i < 8; i++)
            pool.key[i] ^= part[i];
        pool_rekey();
        p += take;
        n -= take;
    }
    spin_unlock_irq(&pool.lock, flags);
}
