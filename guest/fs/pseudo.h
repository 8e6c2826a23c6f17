// SPDX-License-Identifier: Apache-2.0
/*
 * File systems whose files are computed: procfs and sysfs. Nodes are static
 * tables; inodes are made when somebody looks and go when nobody does.
 */
#pragma once

#include "guest/core/types.h"

struct dentry;
struct file_ops;
struct inode;
struct path;
struct process;
struct superblock;
struct task;

/* Text being written; failures stick and are reported once. */
struct text {
    char *data; /* owned */
    size_t used, room;
    bool failed; /* no memory, or too long */
};
void text_add(struct text *t, const void *data, size_t n);
void text_printf(struct text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a node is about. An inode holds references to both objects. */
struct pseudo_ref {
    struct process *proc; /* or NULL */
    struct task *task;    /* of `proc`, or NULL */
    uint64_t arg;         /* descriptor, CPU ... */
};

struct pseudo_node {
    const char *name;
    uint32_t mode; /* S_IF* and permission bits */
    /* Contents of a regular file, target of a link. 0 or -errno. */
    int (*show)(struct text *t, const struct pseudo_ref *r);
    /* A write of n bytes (also '\0' behind them), or NULL. 0 or -errno. */
    int (*store)(const struct pseudo_ref *r, const char *data, size_t n);
    /* Links that jump to an object: *out with references, or -errno. */
    int (*magic)(const struct pseudo_ref *r, struct path *out);
    const struct pseudo_dir *dir;
    uint64_t ino; /* 0: made of what it is about */
    bool polled;  /* poll(2) and epoll(7) work though it is of a process */
};

struct pseudo_dir {
    const struct pseudo_node *nodes;
    unsigned count;
    /* Names that come and go, or both NULL. find fills *child (references are
     * handed over) and returns the node, or NULL. next writes the name at or
     * after *cursor and moves *cursor behind it; false: no more. */
    const struct pseudo_node *(*find)(const struct pseudo_ref *r,
                                      const char *name,
                                      struct pseudo_ref *child);
    bool (*next)(const struct pseudo_ref *r, uint64_t *cursor, char name[24]);
    uint32_t next_mode; /* type of those names */
};

#define PSEUDO_DIR(table)                                                      \
    {                                                                          \
        .nodes = (table), .count = ARRAY_COUNT(table)                          \
    }

/* A superblock over `root`, a directory node. 0 or -ENOMEM. */
int pseudo_mount(const char *type, uint32_t magic,
                 const struct pseudo_node *root, struct superblock **out);

/* The process that a directory with these nodes is about: a reference, or
 * NULL when `i` is not one. */
struct process *pseudo_process(struct inode *i, const struct pseudo_dir *dir);

/* Is `d`, a cached child of `dir`, of something that ended or has another
 * object by now? False when `dir` is no directory of ours. */
bool pseudo_stale(struct inode *dir, const struct dentry *d);

/* Decimal number without sign or leading zeros, the whole name; -1: not one. */
int64_t pseudo_number(const char *name);
