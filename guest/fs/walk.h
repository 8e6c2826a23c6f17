// SPDX-License-Identifier: Apache-2.0
/*
 * The steps of a path walk, for open(2), which has to look at the last
 * component itself. Everybody else uses fs/path.h.
 *
 *     walk_init(&w, dirfd, name, flags);
 *     walk_parent(&w);         // w.at: directory, w.last: component or ""
 *     walk_last(&w);           // w.at: what the whole path names
 *     walk_fini(&w);           // in any case
 */
#pragma once

#include "guest/fs/inode.h"
#include "guest/fs/path.h"

#define WALK_LINKS_MAX 40

struct walk {
    struct path root, at; /* references held */
    const char *rest;     /* still to walk, borrowed or in buf */
    char *buf;            /* WALK_BUF_SIZE, from the first link on */
    unsigned flags;       /* PATH_* */
    unsigned links;       /* followed so far */
    bool slash;           /* `last` was followed by slashes */
    size_t last_size;     /* 0: the path ends at w.at itself */
    char last[NAME_MAX + 1];
};

int walk_init(struct walk *w, int dirfd, const char *name, unsigned flags);
void walk_fini(struct walk *w);
/* Up to the last component; its directory is one, and searchable. */
int walk_parent(struct walk *w);
/* One component, links not followed: *out with references. The directory is
 * w->at; that it may be searched was checked. */
int walk_component(struct walk *w, struct path *out);
/* w->at is the directory of `link`: continue with the link's target. A magic
 * link moves w->at. */
int walk_follow(struct walk *w, const struct path *link);
/* Resolve w->last (and links, if flags say so) into w->at. */
int walk_last(struct walk *w);

/* Entry of a directory: the cached name, or asked from the file system.
 * *out may be negative; reference for the caller. `dir->lock` not held. */
int dentry_lookup(struct dentry *parent, const char *name, size_t len,
                  struct dentry **out);
/* The same with dir->lock held. */
int dentry_lookup_locked(struct dentry *parent, const char *name, size_t len,
                         struct dentry **out);
/* May the current process add or remove names in `dir`? (W and X, EROFS) */
int dir_may_change(const struct path *dir);
/* May it remove `victim` from `dir`: also the sticky bit. */
int dir_may_remove(const struct path *dir, const struct inode *victim);
