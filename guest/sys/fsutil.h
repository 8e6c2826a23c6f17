// SPDX-License-Identifier: Apache-2.0
/* Arguments that many file calls have in common. */
#pragma once

#include "guest/core/types.h"

struct file;
struct iattr;
struct inode;
struct path;

/* Longest single read or write: what Linux allows. */
#define RW_MAX UINT64_C(0x7ffff000)

static inline int arg_fd(uint64_t a)
{
    return (int)(int32_t)a;
}

/* (dirfd, name, AT_* flags): AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH are honoured;
 * `follow` is what happens without either link flag. References in *out. */
int at_path(uint64_t dirfd, uint64_t name, uint32_t at_flags, bool follow,
            struct path *out);
/* Path of a descriptor, O_PATH too; -EBADF. */
int fd_path(uint64_t fd, struct path *out);
/* The inode's mutex, EROFS, setattr. */
int path_setattr(const struct path *p, const struct iattr *a);
/* read(2) into and write(2) from what `u` says; *pos is used and moved, or
 * the file's own position if pos is NULL. */
struct uio;
int64_t file_read_at(struct file *f, struct uio *u, uint64_t *pos);
int64_t file_write_at(struct file *f, struct uio *u, uint64_t *pos);
