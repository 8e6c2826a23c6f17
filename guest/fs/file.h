// SPDX-License-Identifier: Apache-2.0
/* Open files (open file descriptions) and descriptor tables. */
#pragma once

#include "guest/core/lock.h"
#include "guest/core/types.h"
#include "guest/core/wait.h"
#include "guest/fs/fasync.h"
#include "guest/fs/path.h"

struct epoll_item;
struct file;
struct uio;
struct poll_table;

/* Position of a stream: read and write ignore it when the file is not
 * seekable (FILE_STREAM). */
struct file_ops {
    /* Bytes or -errno; 0 is end of file. -EAGAIN when it would block and
     * O_NONBLOCK is set. *pos is advanced. */
    int64_t (*read)(struct file *f, struct uio *u, uint64_t *pos);
    int64_t (*write)(struct file *f, struct uio *u, uint64_t *pos);
    /* Ready EPOLL* bits now; poll_add() each queue that tells of changes
     * (pt may be NULL: just the bits). */
    uint32_t (*poll)(struct file *f, struct poll_table *pt);
    int64_t (*ioctl)(struct file *f, uint32_t cmd, uint64_t arg);
    /* mmap(2), before the aspace is locked: 0 to use the inode's get_page,
     * FILE_MMAP_ANON for new memory instead, -ENODEV. `flags` are MAP_*. */
    int (*mmap)(struct file *f, uint32_t prot, uint32_t flags);
    void (*release)(struct file *f); /* last reference gone */
};

#define FILE_MMAP_ANON 1

struct file {
    const struct file_ops *ops;
    struct path path;    /* dentry NULL for anonymous objects */
    struct inode *inode; /* reference held */
    uint32_t refs;
    uint32_t flags; /* O_* access mode and status flags */
    uint32_t mode;  /* FILE_* */
    struct mutex pos_lock;
    uint64_t pos;
    struct fasync_to owner;    /* F_SETOWN, F_SETSIG */
    struct fasync *async;      /* while O_ASYNC is set (fs/fasync.c), or NULL */
    void *data;                /* the ops': one documented type per ops */
    struct epoll_item *epolls; /* that watch this file (fs/epoll.c), or NULL */
    struct file *next_dead;    /* file_put: to be released after another */
};
#define FILE_READ   (1u << 0)
#define FILE_WRITE  (1u << 1)
#define FILE_STREAM (1u << 2) /* no position: lseek gives ESPIPE */
#define FILE_PATH   (1u << 3) /* O_PATH */
#define FILE_WRITER (1u << 4) /* counts in inode.writers: up */
#define FILE_FAILED (1u << 6) /* its open did not succeed */
#define FILE_DENIER (1u << 5) /* and down: a program that runs */

uint32_t file_count(void); /* open files of all kinds */
/* Takes a reference of its own to the inode. NULL: memory. */
struct file *file_new(const struct file_ops *ops, struct inode *i,
                      uint32_t flags);
void file_get(struct file *f);
void file_put(struct file *f);
/* open(2) without the descriptor. Kernel-memory name. 0 or -errno. */
int file_open(int dirfd, const char *name, uint32_t flags, uint32_t mode,
              unsigned resolve, struct file **out);
/* Open what `p` names: permission, O_TRUNC, device and fifo handling. An
 * anonymous inode is opened again with inode.file_ops (ENXIO if NULL). */
int file_open_path(const struct path *p, uint32_t flags, struct file **out);
/* Nobody may write to the file while it is open: it is run. 0 or -ETXTBSY.
 * allow: not any more (also what being open for writing counts). */
int file_deny_write(struct file *f);
void file_allow_write(struct file *f);
/* Path of an open file; one without a name gets a dentry of its own (for
 * inode.magic). References for the caller. 0 or -ENOMEM. */
int path_of_file(struct file *f, struct path *out);
/* For the kernel's own reading (ELF headers): bytes or -errno. */
int64_t file_pread(struct file *f, void *to, size_t n, uint64_t pos);
/* An inode without a name, for pipes, epoll, eventfd ...: "pipe:[ino]",
 * "anon_inode:[kind]" in /proc/self/fd. Reference for the caller. */
struct inode *anon_inode(uint32_t mode, const char *kind);
const char *anon_inode_kind(const struct inode *i); /* NULL: not one */

/* Generic members for ops tables. */
int64_t file_no_read(struct file *f, struct uio *u, uint64_t *pos); /* EINVAL */
int64_t file_no_write(struct file *f, struct uio *u,
                      uint64_t *pos);                              /* EINVAL */
int64_t file_no_ioctl(struct file *f, uint32_t cmd, uint64_t arg); /* ENOTTY */
int file_no_mmap(struct file *f, uint32_t prot, uint32_t flags);   /* ENODEV */
uint32_t file_always_ready(struct file *f, struct poll_table *pt);
void file_no_release(struct file *f);

/* --- descriptors --- */

/* What the heap gives at once, 2 MiB, and fs.nr_open in all. */
#define FDTABLE_PART  (1u << 18)
#define FDTABLE_PARTS 4

struct fdtable {
    uint32_t refs;
    struct spinlock lock;
    struct file **files[FDTABLE_PARTS]; /* owned; together `room` entries */
    uint64_t *cloexec;                  /* bitmap */
    uint32_t room;
    uint32_t next; /* no free descriptor below */
};

/* Entry `fd`, below `room`; the lock held. */
static inline struct file **fdtable_at(const struct fdtable *t, uint32_t fd)
{
    return &t->files[fd / FDTABLE_PART][fd % FDTABLE_PART];
}

struct fdtable *fdtable_new(void);
struct fdtable *fdtable_clone(struct fdtable *t); /* NULL: memory */
void fdtable_put(struct fdtable *t);
void fdtable_exec(struct fdtable *t); /* close the close-on-exec ones */

/* Of the current process. fd_get takes a reference (file_put); NULL: EBADF
 * (also for O_PATH files unless allowed). */
struct file *fd_get(int fd);
struct file *fd_get_any(int fd); /* O_PATH files too */
/* Lowest free descriptor >= min gets `f` (reference taken over on success
 * only). fd, -EMFILE or -ENOMEM. */
int fd_install(struct file *f, int min, bool cloexec);
int fd_install_at(struct file *f, int fd, bool cloexec); /* dup2 */
int fd_close(int fd);
int fd_flag_cloexec(int fd, int set); /* set < 0: ask. 0, 1 or -EBADF */
int fd_room(void);                    /* 0, or -EMFILE when no number is free */
/* File of `fd` in another process (/proc/PID/fd). Reference taken. */
struct file *fd_of(struct fdtable *t, int fd, bool *cloexec);
