// SPDX-License-Identifier: Apache-2.0
/*
 * inotify(7). Inodes that are watched have a list of watches (inode.watches);
 * the hooks below cost one load while nothing in the system is watched. Any of
 * them may be called with inode mutexes held, none under a spinlock.
 */
#pragma once

#include "guest/core/types.h"

struct dentry;
struct file;
struct inode;
struct path;

enum inotify_mask { /* inotify.h of Linux */
                    IN_ACCESS = 0x1,
                    IN_MODIFY = 0x2,
                    IN_ATTRIB = 0x4,
                    IN_CLOSE_WRITE = 0x8,
                    IN_CLOSE_NOWRITE = 0x10,
                    IN_OPEN = 0x20,
                    IN_MOVED_FROM = 0x40,
                    IN_MOVED_TO = 0x80,
                    IN_CREATE = 0x100,
                    IN_DELETE = 0x200,
                    IN_DELETE_SELF = 0x400,
                    IN_MOVE_SELF = 0x800,
                    IN_ALL_EVENTS = 0xfff,
                    IN_Q_OVERFLOW = 0x4000,
                    IN_IGNORED = 0x8000,
};
#define IN_ONLYDIR     0x01000000u
#define IN_DONT_FOLLOW 0x02000000u
#define IN_EXCL_UNLINK 0x04000000u
#define IN_MASK_CREATE 0x10000000u
#define IN_MASK_ADD    0x20000000u
#define IN_ISDIR       0x40000000u
#define IN_ONESHOT     0x80000000u

extern uint32_t inotify_watches; /* of all instances; atomic */

/* The object itself; the object and, with its name, its directory; a name in a
 * directory. */
void inotify_tell_inode(struct inode *i, uint32_t mask);
void inotify_tell_dentry(struct dentry *d, uint32_t mask);
void inotify_tell_name(struct inode *dir, uint32_t mask, uint32_t cookie,
                       const char *name);
uint32_t inotify_cookie(void); /* ties the two ends of a rename */
/* A name of `i` went away: watches do not keep it. */
void inotify_unlinked(struct inode *i);
/* That last use: IN_DELETE_SELF, and the watches are gone. */
void inotify_gone(struct inode *i);

static inline bool inotify_any(void)
{
    return __atomic_load_n(&inotify_watches, __ATOMIC_RELAXED) != 0;
}

static inline void inotify_inode(struct inode *i, uint32_t mask)
{
    if (inotify_any())
        inotify_tell_inode(i, mask);
}

static inline void inotify_dentry(struct dentry *d, uint32_t mask)
{
    if (inotify_any() && d != NULL)
        inotify_tell_dentry(d, mask);
}

static inline void inotify_name(struct inode *dir, uint32_t mask,
                                uint32_t cookie, const char *name)
{
    if (inotify_any())
        inotify_tell_name(dir, mask, cookie, name);
}

/* inotify_init1(2): flags are O_NONBLOCK. -EMFILE: too many. */
int inotify_new(uint32_t flags, struct file **out);
/* -EINVAL: `f` is not inotify, or the mask makes no sense. */
int inotify_check(const struct file *f, uint32_t mask);
/* After that check: a watch descriptor, or -ENOSPC, -EEXIST, -ENOMEM. */
int inotify_add(struct file *f, const struct path *p, uint32_t mask);
int inotify_remove(struct file *f, int32_t wd);

/* /proc/PID/fdinfo: the watches of `f` as they are now, in *out, the caller's
 * to kfree(); returns how many, 0 if `f` is not inotify. -ENOMEM. */
struct inotify_info {
    int32_t wd;
    uint32_t mask, dev;
    uint64_t ino;
};
int inotify_list(const struct file *f, struct inotify_info **out);
