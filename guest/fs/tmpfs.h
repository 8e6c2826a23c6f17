// SPDX-License-Identifier: Apache-2.0
/*
 * tmpfs and the overlay are one file system: an inode may have a `lower` in
 * the EROFS image, which gives attributes, names and data until they are
 * changed. A change stays in the inode, page by page; the inode keeps its
 * number and identity. Removed names of the image leave pinned negative
 * dentries (whiteouts).
 *
 * Inodes of the image are found by nid; unchanged ones come and go with their
 * dentries, changed ones hold a reference to themselves while they have names.
 */
#pragma once

#include "guest/core/list.h"
#include "guest/fs/erofs.h"
#include "guest/fs/inode.h"
#include "guest/fs/pagetree.h"

struct file;
struct path;

struct tmpfs_sb {
    struct superblock sb; /* first */
    bool overlay;
    struct erofs lower;
    uint64_t limit, used; /* pages of file data; used: atomic */
    uint64_t cookie;      /* last one given to a name; atomic */
    struct spinlock lock; /* the rest */
    struct list *nids;    /* overlay: inodes of the image by nid, owned */
    uint32_t nid_buckets; /* power of two */
    uint32_t nid_count;
};

#define TMPFS_HOLE UINT64_C(1) /* pages: zeros that hide the image's page */

struct tmpfs_node {
    struct inode i;       /* first */
    bool has_lower;       /* `lower` is valid */
    bool pinned;          /* changed: holds a reference to itself */
    bool shared;          /* mapped shared and writable once */
    bool linkable;        /* O_TMPFILE: may get its first name; i.lock */
    bool xattr_own;       /* xattrs replace those of the image */
    uint32_t seals;       /* F_SEAL_* */
    struct list nid_node; /* in tmpfs_sb.nids; its lock */
    struct erofs_inode lower;
    struct list xattrs;        /* struct tmpfs_xattr; i.lock */
    char *target;              /* symbolic link made here, owned */
    struct spinlock page_lock; /* the rest, and changes of i.size */
    struct pagetree pages;     /* paddrs (one reference each) or TMPFS_HOLE */
    uint64_t own_pages;        /* paddrs in pages */
    uint64_t lower_pages;      /* pages below this come from the image ... */
    uint64_t lower_hidden;     /* ... except so many that are in `pages` */
};

extern const struct superblock_ops tmpfs_sb_ops;
extern const struct inode_ops tmpfs_inode_ops;
extern const struct dir_ops tmpfs_dir_ops;
extern const struct file_ops tmpfs_file_ops;

static inline struct tmpfs_node *tmpfs_node(struct inode *i)
{
    return CONTAINER_OF(i, struct tmpfs_node, i);
}

static inline struct tmpfs_sb *tmpfs_sb(const struct inode *i)
{
    return CONTAINER_OF(i->sb, struct tmpfs_sb, sb);
}

static inline bool tmpfs_owns(const struct inode *i)
{
    return i->sb->ops == &tmpfs_sb_ops;
}

/* --- tmpfs.c --- */
struct tmpfs_node *tmpfs_node_new(struct tmpfs_sb *sb, uint32_t mode);
/* Inode of the image by number; reference for the caller. */
int tmpfs_node_lower(struct tmpfs_sb *sb, uint64_t nid, struct inode **out);
/* Something of `i` is no longer as in the image (i.lock held). */
void tmpfs_changed(struct inode *i);
/* One name less; at none the inode is forgotten. i.lock held. */
void tmpfs_drop_link(struct inode *i, uint32_t count);
/* memfd_create(2). */
int tmpfs_new_named(const char *name, uint64_t size, struct file **out);
int tmpfs_tmpfile(const struct path *dir, uint32_t flags, uint32_t mode,
                  struct file **out);

/* --- tmpfs_dir.c --- */
int tmpfs_exchange(struct inode *from, struct dentry *d, struct inode *to,
                   struct dentry *over);

/* --- tmpfs_data.c --- */
#define TMPFS_SIZE_MAX ((uint64_t)INT64_MAX)

enum tmpfs_kind { KIND_HOLE, KIND_OWN, KIND_LOWER };

struct tmpfs_span { /* pages of one kind */
    enum tmpfs_kind kind;
    paddr_t pa;   /* KIND_OWN: with a reference */
    uint64_t run; /* pages, at least 1 */
};

int tmpfs_get_page(struct inode *i, uint64_t index, bool write,
                   struct inode_page *out);
void tmpfs_find(struct tmpfs_node *n, uint64_t index, struct tmpfs_span *s);
/* Our own page at `index`, made if need be; a reference for the caller.
 * `fault`: not behind the end. *fresh tells that the page took the place of
 * the image's or of a hole, which may be mapped. */
int tmpfs_own_page(struct tmpfs_node *n, uint64_t index, bool fault,
                   paddr_t *out, bool *fresh);
/* Replace the entry at `index`; page_lock held. 0 or -ENOMEM. An old page is
 * the caller's: tmpfs_release_page. */
int tmpfs_set_entry(struct tmpfs_node *n, uint64_t index, uint64_t value);
void tmpfs_release_page(struct tmpfs_node *n, uint64_t entry);
void tmpfs_free_pages(struct tmpfs_node *n);
void tmpfs_set_blocks(struct tmpfs_node *n); /* page_lock held or unshared */

/* --- tmpfs_size.c --- */
/* i.lock held. 0, -ENOSPC, -ENOMEM, -EFBIG. */
int tmpfs_resize(struct inode *i, uint64_t size);
/* The file is about to grow: what a mapping left behind the end of the last
 * page must not become contents. i.lock held. */
void tmpfs_clear_tail(struct tmpfs_node *n);
int tmpfs_fallocate(struct inode *i, uint32_t mode, uint64_t off, uint64_t len);
/* SEEK_DATA, SEEK_HOLE; the inode's file system may be any. */
int64_t inode_seek_data(struct inode *i, uint64_t pos, bool hole);

/* --- tmpfs_xattr.c --- */
int64_t tmpfs_getxattr(struct inode *i, const char *name, void *to,
                       size_t size);
int tmpfs_setxattr(struct inode *i, const char *name, const void *value,
                   size_t size, uint32_t flags);
int64_t tmpfs_listxattr(struct inode *i, char *to, size_t size);
void tmpfs_free_xattrs(struct tmpfs_node *n);
