// SPDX-License-Identifier: Apache-2.0
/*
 * A flattened device tree that is not trusted, as an array of nodes. Reading
 * it costs one pass: every node's interesting properties are noted then, so
 * no blob of 2 MiB makes later questions slow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    TREE_SIZE_MAX = 2 << 20, /* bytes */
    TREE_NODES_MAX = 65536,
    TREE_DEPTH_MAX = 64,
    TREE_STRING_MAX = 255, /* of a property's name */
    TREE_CELLS_MAX = 4,
};

/* Bytes inside the blob; data NULL: no such property. */
struct tree_prop {
    const char *data;
    size_t size;
};

/* Properties that every node has room for. */
enum tree_name {
    TREE_COMPATIBLE,
    TREE_REG,
    TREE_RANGES,
    TREE_STATUS,
    TREE_DEVICE_TYPE,
    TREE_INTERRUPTS,
    TREE_NAMES
};

struct tree_node {
    const char *name;                   /* "" for the root */
    int offset;                         /* in the blob, for tree_prop() */
    int parent;                         /* index, -1 for the root */
    int depth;                          /* 0 for the root */
    uint32_t phandle;                   /* 0: none */
    uint32_t address_cells, size_cells; /* for its children */
    bool enabled;                       /* it and all above it */
    struct tree_prop prop[TREE_NAMES];
};

struct tree {
    void *blob; /* owned copy, 8-byte aligned */
    struct tree_node *nodes;
    int count;
};

/* Take a copy of the blob and check all of it. -EINVAL and a line that says
 * what is wrong, -EFBIG, -ENOMEM. tree_fini() takes a failed one too. */
int tree_init(struct tree *t, const void *blob, size_t size, const char *where,
              struct err *e);
void tree_fini(struct tree *t);

/* Node at "/a/b", or -1. */
int tree_find(const struct tree *t, const char *path);
/* First child (after -1) or next child of `node`; -1 at the end. */
int tree_child(const struct tree *t, int node, int after);
/* Node of a phandle, or -1; 0 and 2^32 - 1 are never one. */
int tree_by_phandle(const struct tree *t, uint32_t phandle);

/* Any other property by name: walks the node's properties. */
struct tree_prop tree_prop(const struct tree *t, int node, const char *name);
/* The n-th string of a list, NULL at its end or where it is not terminated. */
const char *tree_string(struct tree_prop p, unsigned n);
/* The n-th 32-bit cell; false: there is none. */
bool tree_cell(struct tree_prop p, size_t n, uint32_t *out);
bool tree_is_compatible(const struct tree_node *n, const char *name);

/* Path of a node, cut to fit. */
void tree_path(const struct tree *t, int node, char *out, size_t size);

/* Entries of `reg`; -EINVAL if its size does not fit the parent's cells. */
int tree_reg_count(const struct tree *t, int node);
/* The n-th entry, as written (not translated). -EINVAL, -ENOENT. */
int tree_reg(const struct tree *t, int node, int n, uint64_t *address,
             uint64_t *size);
/* Address of reg[0] as the CPU sees it, through every `ranges` above it.
 * -ENOENT: a bus in between does not map it; -EINVAL: broken cells. */
int tree_address(const struct tree *t, int node, uint64_t *out);
