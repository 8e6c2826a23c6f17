// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), streaming. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE]);

/* Lower-case hex digits and a NUL. */
void sha256_hex(const uint8_t digest[SHA256_SIZE], char out[SHA256_HEX_SIZE]);

/* All in one: hex digest of `data`. */
void sha256_text(const void *data, size_t size, char out[SHA256_HEX_SIZE]);
