// SPDX-License-Identifier: Apache-2.0
/*
 * The merged tree of an image. Names, links and xattrs point into the mapped
 * indexes it was built from, which must outlive it. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct spill;

enum {
    TREE_SYMLINK_MAX = 40,     /* followed in one path, as Linux does */
    TREE_INODE_MAX = 16 << 20, /* names of one image */
};

/* What several names may share. */
struct tree_inode {
    mode_t mode; /* type and permissions */
    uint32_t uid;
    uint32_t gid;
    uint32_t rdev;
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t layer; /* whose data file has the contents */
    uint32_t block; /* first block there */
    uint32_t xattr_size;
    uint64_t size; /* of a file or a link target */
    const uint8_t *xattrs;
    const char *link;
    /* Set by erofs.c. */
    uint32_t nlink;
    uint32_t number; /* 0: not placed yet */
    uint32_t plain_block;
    bool plain; /* FLAT_PLAIN */
    uint64_t nid;
};

/* One name. */
struct tree_node {
    struct tree_node *parent; /* of the root: itself */
    struct tree_node *first;  /* children, in no order */
    struct tree_node *next;
    struct tree_node *prev;
    struct tree_node *bucket_next;
    struct tree_inode *inode;
    const char *name; /* not terminated */
    uint32_t hash;
    uint16_t name_size;
    uint32_t kid_count;
    uint32_t kids_at; /* set by erofs.c */
};

struct tree {
    struct spill *spill; /* where all of it lies */
    struct tree_node *root;
    struct tree_node **buckets;
    size_t bucket_count; /* power of two */
    size_t node_count;   /* including removed ones */
    uint64_t seed;
    uint8_t *chunk;
    size_t chunk_used;
};

/* An empty root directory, 0755. It ends with the memory of `spill`. `names`:
 * how many are expected; more make it slower. */
int tree_init(struct tree *t, struct spill *spill, uint64_t names,
              struct err *e);

struct tree_inode *tree_new_inode(struct tree *t, struct err *e);

/* The child of `dir` or NULL. */
struct tree_node *tree_child(const struct tree *t, const struct tree_node *dir,
                             const char *name, size_t size);

/* A new name; the caller made sure there is none such. `name` is borrowed for
 * the life of the tree. NULL and *e when out of memory. */
struct tree_node *tree_add(struct tree *t, struct tree_node *dir,
                           const char *name, size_t size,
                           struct tree_inode *inode, struct err *e);

/* Takes the name and everything below out of the tree. Not for the root. */
void tree_remove(struct tree *t, struct tree_node *n);

enum tree_walk {
    TREE_FOLLOW = 1, /* follow a symbolic link at the end of the path */
    TREE_CREATE = 2, /* make missing directories */
};

/*
 * Walk `path` from the root as a process inside would: links are followed,
 * ".." of the root is the root. *out is NULL when something is missing
 * (returns 0). -ENOTDIR, -ELOOP, -ENAMETOOLONG, -ENOMEM with *e.
 */
int tree_resolve(struct tree *t, const char *path, size_t size, unsigned flags,
                 struct tree_node **out, struct err *e);
