// SPDX-License-Identifier: Apache-2.0
/*
 * Inodes, names (dentries) and file systems. A dentry caches one name; the
 * tree of dentries is the name space, mounts hang at dentries. tmpfs pins its
 * dentries (the tree is the directory); erofs-backed ones are dropped when
 * memory is short. Path walking: fs/path.h. Open files: fs/file.h.
 */
#pragma once

#include "abi/linux/stat.h"

#include "guest/core/list.h"
#include "guest/core/lock.h"
#include "guest/core/types.h"

struct dentry;
struct file;
struct file_ops;
struct inode;
struct path;
struct pipe;
struct superblock;
struct uio;
struct dir_emit; /* the caller of readdir defines it */

/* What mmap and page faults get from inode pages. */
struct inode_page {
    paddr_t pa;    /* a reference is taken for the caller (page_put) */
    uint64_t run;  /* this and following pages contiguous in memory AND in the
                      file: at least 1; > 1 only for immutable window pages */
    bool writable; /* may be mapped writable (shared) */
};

struct iattr {      /* setattr; only fields named in `valid` */
    uint32_t valid; /* IATTR_* */
    uint32_t mode;  /* permission bits */
    uint32_t uid, gid;
    uint64_t size;
    struct lx_timespec atime, mtime;
};
#define IATTR_MODE  (1u << 0)
#define IATTR_UID   (1u << 1)
#define IATTR_GID   (1u << 2)
#define IATTR_SIZE  (1u << 3)
#define IATTR_ATIME (1u << 4)
#define IATTR_MTIME (1u << 5)

/* What to make: create. */
struct inode_new {
    uint32_t mode;      /* type and permission bits, umask applied */
    uint64_t rdev;      /* device nodes */
    const char *target; /* symbolic links */
    uint32_t uid, gid;
};

/* Directory operations; the directory's mutex is held. Names are single
 * components, checked for length. All are mandatory (fs/generic.h has the
 * ones that refuse). Permissions were checked. unlink takes `d` out of the
 * cache itself (dentry_unhash), rename moves it (dentry_move). */
struct dir_ops {
    /* Attach the inode for d->name to `d` (dentry_attach) and return 0, or
     * -ENOENT (nothing attached). */
    int (*lookup)(struct inode *dir, struct dentry *d);
    int (*create)(struct inode *dir, struct dentry *d,
                  const struct inode_new *n);
    int (*link)(struct inode *dir, struct dentry *d, struct inode *target);
    int (*unlink)(struct inode *dir, struct dentry *d); /* rmdir too */
    int (*rename)(struct inode *from, struct dentry *d, struct inode *to,
                  struct dentry *over); /* `over` has an inode or not */
    /* Call emit for entries after cursor *pos; stop when it returns false
     * (and leave *pos so that the refused entry comes again). "." and ".."
     * are emitted here too. `type` is mode >> 12; emit may not sleep. */
    int (*readdir)(struct inode *dir, uint64_t *pos,
                   bool (*emit)(struct dir_emit *e, const char *name,
                                size_t len, uint64_t ino, uint32_t type,
                                uint64_t next_pos),
                   struct dir_emit *e);
};

/* Operations on the inode itself; its mutex is held for setattr and xattr
 * changes. */
struct inode_ops {
    int (*setattr)(struct inode *i, const struct iattr *a);
    /* Target of a symbolic link, not terminated. Length or -errno. */
    int64_t (*readlink)(struct inode *i, char *to, size_t size);
    /* xattr(7): size 0 asks for the length. value NULL in set: remove. */
    int64_t (*getxattr)(struct inode *i, const char *name, void *to,
                        size_t size);
    int (*setxattr)(struct inode *i, const char *name, const void *value,
                    size_t size, uint32_t flags);
    int64_t (*listxattr)(struct inode *i, char *to, size_t size);
    /* Page `index` for mapping; for `write` a private-to-the-inode page.
     * -EFAULT beyond the end (SIGBUS), -ENOSPC, -ENOMEM. */
    int (*get_page)(struct inode *i, uint64_t index, bool write,
                    struct inode_page *out);
};

struct inode {
    struct superblock *sb;
    uint64_t ino;
    uint32_t refs;
    uint32_t mode; /* S_IF* and permission bits */
    uint32_t uid, gid;
    uint32_t nlink;
    uint8_t write_hint; /* F_SET_RW_HINT; atomic */
    int32_t writers;    /* open for writing; below 0: programs run it; atomic */
    uint64_t rdev;
    uint64_t size;   /* bytes */
    uint64_t blocks; /* 512-byte units allocated */
    struct lx_timespec atime, mtime, ctime, btime;
    const struct inode_ops *ops;
    const struct dir_ops *dir;       /* directories only */
    const struct file_ops *file_ops; /* what open(2) gives a struct file */
    struct mutex lock;               /* attributes, data writes, directory */
    struct list mappings;            /* vmas: core/vma.h; mappings_lock */
    struct mutex mappings_lock;
    struct flock_list *locks;     /* fs/flock.c */
    struct inotify_list *watches; /* fs/inotify.c, or NULL */
    struct pipe *pipe;            /* FIFOs: fs/pipe.c, or NULL */
    struct dentry *alias;         /* directories: their only dentry, or NULL;
                                     dentry_lock, not a reference */
    /* A symbolic link that jumps to an object (/proc/PID/fd/N, exe, cwd):
     * *out with references for the caller (path_of_file). NULL: not one. */
    int (*magic)(struct inode *i, struct path *out);
    uint64_t priv[4]; /* the file system's */
};

struct superblock_ops {
    /* refs reached 0: free what priv holds. May sleep. */
    void (*evict)(struct inode *i);
    void (*statfs)(struct superblock *sb, struct lx_statfs *out);
};

struct superblock {
    const struct superblock_ops *ops;
    const char *type;    /* "tmpfs", "overlay", "proc" ... */
    uint32_t dev;        /* st_dev */
    uint32_t flags;      /* SB_* */
    uint64_t next_ino;   /* inode_new counts it up, atomically */
    struct dentry *root; /* reference held */
    uint64_t priv[4];
};
/* Names are forgotten as soon as nobody uses them: what exists is asked anew
 * each time (procfs). */
#define SB_NOCACHE (1u << 0)

struct inode *inode_new(struct superblock *sb, uint32_t mode); /* refs 1 */
/* The same in a zeroed object whose first member is the inode: it is freed
 * by kfree after evict. */
void inode_init(struct inode *i, struct superblock *sb, uint32_t mode);
uint32_t sb_new_dev(void); /* a number for superblock.dev */
void inode_get(struct inode *i);
void inode_put(struct inode *i);
/* CLOCK_REALTIME into ctime (and mtime). */
void inode_touch(struct inode *i, bool data);

#define NAME_MAX 255
#define PATH_MAX 4096

struct dentry {
    struct dentry *parent; /* reference held; the root points to itself */
    struct inode *inode;   /* reference held; NULL: negative */
    uint32_t refs;
    uint32_t hash;
    struct list hash_node;
    struct list children; /* struct dentry.sibling */
    struct list sibling;
    struct list lru_node; /* unpinned and unused */
    struct mount *mount;  /* mounted here, or NULL */
    uint64_t cookie;      /* order in its directory: the file system's */
    bool pinned;          /* the file system's own (tmpfs): never dropped */
    bool unhashed;        /* unlinked: " (deleted)" */
    uint16_t name_size;
    char *name; /* NUL-terminated, owned */
};

/* dentry_lock (a spinlock in dentry.c) guards tree and hash. A new dentry is
 * negative and not in the cache: attach an inode, then dentry_add. */
extern struct spinlock dentry_lock;
struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len);
struct dentry *dentry_new_root(struct inode *root); /* takes the reference */
void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
void dentry_attach(struct dentry *d, struct inode *i); /* takes a reference */
void dentry_add(struct dentry *d);   /* dentry_find finds it from now on */
void dentry_pin(struct dentry *d);   /* keep it: one more reference */
void dentry_unpin(struct dentry *d); /* may free it */
/* Cached child or NULL; a reference is taken. */
struct dentry *dentry_find(struct dentry *parent, const char *name, size_t len);
void dentry_unhash(struct dentry *d);
/* 0, or -ENOMEM and nothing changed. */
int dentry_move(struct dentry *d, struct dentry *parent, const char *name,
                size_t len);
/* Both change places (RENAME_EXCHANGE). */
void dentry_exchange(struct dentry *a, struct dentry *b);
void dentry_shrink(unsigned max); /* forget unused ones; memory is short */

struct mount {
    struct superblock *sb;
    struct mount *parent; /* NULL: the root */
    struct dentry *at;    /* where, in parent */
    struct dentry *root;
    uint32_t flags; /* MS_RDONLY ... */
    uint32_t id;
    uint32_t refs;
    struct list node; /* all mounts, in order: /proc/mounts */
    const char *source;
};
extern struct list mount_list;
/* Mounts at `at` of `parent` (NULL, NULL: the root, or a mount of the kernel's
 * own if there is a root). NULL: memory. Mounts are for ever. */
struct mount *mount_new(struct superblock *sb, struct mount *parent,
                        struct dentry *at, const char *source);
