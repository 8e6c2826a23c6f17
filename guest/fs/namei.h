// SPDX-License-Identifier: Apache-2.0
/*
 * What system calls do to names, with permission checks; names in kernel
 * memory. 0 or -errno in Linux's order. Locks: the directories' mutexes,
 * across directories rename_lock first; then the inode that loses or gains a
 * name.
 */
#pragma once

#include "guest/core/types.h"

struct dentry;
struct file;
struct inode;
struct inode_new;
struct path;

/* dir->lock held, `d` negative. Owner, setgid rules and umask are applied. */
int namei_create(const struct path *dir, struct dentry *d, struct inode_new *n);
int namei_unlink(int dirfd, const char *name, bool rmdir);
int namei_link(const struct path *target, int dirfd, const char *name);
int namei_rename(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags);

/* Change of length: limits, set-id bits, mappings. Kernel's own or checked. */
int fs_truncate(struct inode *i, uint64_t size);
/* Bits of `mode` that a write by this process takes away (suid, sgid). */
uint32_t inode_suid_after_write(const struct inode *i);

/* Open what this call just made, whatever its mode. */
int file_open_made(const struct path *p, uint32_t flags, struct file **out);
