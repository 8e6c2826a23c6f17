// SPDX-License-Identifier: Apache-2.0
/* Reader of the flattened device tree (DTSpec 0.4, chapter 5). The tree comes
 * from the monitor, which is trusted; reads are bounded all the same. */
#pragma once

#include "guest/core/types.h"

struct fdt_node {
    uint32_t off; /* of the node's first token after its name */
};

int fdt_init(const void *blob, size_t size); /* 0 or -EINVAL */
/* Next node whose `compatible` list has `compat`; start with off = 0. */
bool fdt_next_compatible(struct fdt_node *n, const char *compat);
/* Next node with this property, a string that is `value` (NULL: any). */
bool fdt_next_with(struct fdt_node *n, const char *name, const char *value);
/* Property or NULL; *size in bytes. Big-endian cells. */
const void *fdt_prop(const struct fdt_node *n, const char *name,
                     uint32_t *size);
uint32_t fdt_cell(const void *prop, unsigned index);
uint64_t fdt_cell2(const void *prop,
                   unsigned index); /* index in 32-bit cells */
