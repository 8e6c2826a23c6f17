// SPDX-License-Identifier: Apache-2.0
/* Checked numbers from text that is not trusted. */
#pragma once

#include <stdint.h>

struct err;

/* Decimal integer in [min, max], the whole string. 0 or -EINVAL / -ERANGE. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* Size as docker writes it: digits (with an optional fraction) and b, k, m, g
 * or t, optionally followed by "b" or "ib", any case; powers of 1024. Bytes. */
int parse_size(const char *s, uint64_t *out);
