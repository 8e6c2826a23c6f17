// SPDX-License-Identifier: Apache-2.0
/* Advisory locks: flock(2), and fcntl(2) record locks of processes (POSIX)
 * and of open files (OFD). */
#pragma once

#include "guest/core/types.h"

struct fdtable;
struct file;
struct inode;

enum flock_kind { FLOCK_POSIX, FLOCK_OFD, FLOCK_WHOLE };

/* POSIX locks belong to a descriptor table, the other kinds to a struct file:
 * the pointer is the identity and is never followed. */
struct flock_request {
    enum flock_kind kind;
    int type;            /* LX_F_RDLCK, LX_F_WRLCK, LX_F_UNLCK */
    uint64_t start, end; /* bytes, end included */
    const void *owner;
    int32_t pid; /* what F_GETLK tells; -1 for OFD locks */
};

/* Take, change or (LX_F_UNLCK) drop. -EAGAIN when it conflicts and !wait,
 * -EDEADLK, -ERESTARTSYS, -ENOLCK when memory is out. */
int flock_set(struct inode *i, const struct flock_request *r, bool wait);
/* The first lock, by its start, that conflicts with *r goes into *r; type
 * LX_F_UNLCK: none. */
void flock_test(struct inode *i, struct flock_request *r);
/* All of an owner's locks: the last close of a file, any close of a
 * descriptor of a process. */
void flock_release(struct inode *i, enum flock_kind kind, const void *owner);
void flock_free(struct inode *i); /* the inode goes away */
