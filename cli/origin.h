// SPDX-License-Identifier: Apache-2.0
/* Where an image came from: its layers as registries have them are there when
 * the store kept none. */
#pragma once

#include "base/regname.h"
#include "base/sha256.h"

struct host;
struct state;

struct origin {
    char ref[REGNAME_TEXT_SIZE + 16]; /* docker://NAME@DIGEST, a layout's name
                                       * as given, or "" when not known */
    char root[SHA256_HEX_SIZE]; /* what the name led to there: an index or the
                                 * image itself; "" for a layout */
};

/* Of image `hex`; if there are several, one of registry `host` (may be ""). */
void origin_find(const struct state *s, const char *hex, const char *host,
                 struct origin *out);

/* Fetch what blobs/ lacks of it. Without an error: whoever needs what cannot be
 * had says so. */
void origin_keep(const struct host *h, const struct state *s, const char *hex,
                 const struct origin *from);
