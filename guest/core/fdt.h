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

struct fdt_value {
    const char *name;
    const void *data;
    uint32_t size; /* bytes */
};
/* The string at *off of a list of strings, and *off behind it; NULL: none. */
const char *fdt_list_next(const struct fdt_value *v, uint32_t *off);
/* Is `text` among the strings of this property? */
bool fdt_has(const struct fdt_value *v, const char *text);

/* All properties of the tree, in its order; start with all zero. */
struct fdt_walk {
    uint32_t off;
    struct fdt_node node; /* whose property this is */
};
bool fdt_walk(struct fdt_walk *w, struct fdt_value *out);

/* Property or NULL; *size in bytes. Big-endian cells. */
const void *fdt_prop(const struct fdt_node *n, const char *name,
                     uint32_t *size);
uint32_t fdt_cell(const void *prop, unsigned index);
uint64_t fdt_cell2(const void *prop,
                   unsigned index); /* index in 32-bit cells */
