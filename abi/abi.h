// SPDX-License-Identifier: Apache-2.0
/* Helpers for headers that describe memory read by another program. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "every Limpet contract is little-endian");

#define ABI_SIZE(type, bytes)                                                  \
    static_assert(sizeof(type) == (bytes), "size of " #type)
#define ABI_AT(type, member, offset)                                           \
    static_assert(offsetof(type, member) == (offset), #type "." #member)

/* Bits of `value` selected by a contiguous `mask`, moved down to bit 0. */
#define FIELD_GET(mask, value) (((value) & (mask)) / ((mask) & -(mask)))
/* `value` moved up to where `mask` is. */
#define FIELD_PREP(mask, value) (((value) * ((mask) & -(mask))) & (mask))
