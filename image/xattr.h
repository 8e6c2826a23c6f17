// SPDX-License-Identifier: Apache-2.0
/* Extended attributes of a tar entry -> EROFS inline entries. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct archive_entry;
struct err;

enum { XATTR_AREA_MAX = 65534 * 4 }; /* what i_xattr_icount can count */

/*
 * Encode them sorted into `out` (XATTR_AREA_MAX bytes); *size is a multiple of
 * 4, 0 for none. Attributes without an EROFS prefix index are dropped; one that
 * is too large is -E2BIG. An entry may name an attribute twice: the last one
 * in the archive wins.
 */
int xattr_encode(struct archive_entry *entry, uint8_t *out, uint32_t *size,
                 struct err *e);
