// SPDX-License-Identifier: Apache-2.0
/* Members for ops tables of file systems that refuse or do the usual. */
#pragma once

#include "guest/fs/file.h"
#include "guest/fs/inode.h"

extern const struct file_ops dir_file_ops; /* open directories */
extern const struct file_ops no_file_ops;  /* O_PATH; everything EINVAL */

/* All EPERM. */
int dir_no_create(struct inode *dir, struct dentry *d,
                  const struct inode_new *n);
int dir_no_link(struct inode *dir, struct dentry *d, struct inode *target);
int dir_no_unlink(struct inode *dir, struct dentry *d);
int dir_no_rename(struct inode *from, struct dentry *d, struct inode *to,
                  struct dentry *over);

int inode_no_setattr(struct inode *i, const struct iattr *a);      /* EPERM */
int64_t inode_no_readlink(struct inode *i, char *to, size_t size); /* EINVAL */
int64_t inode_no_getxattr(struct inode *i, const char *name, void *to,
                          size_t size); /* EOPNOTSUPP */
int inode_no_setxattr(struct inode *i, const char *name, const void *value,
                      size_t size, uint32_t flags); /* EOPNOTSUPP */
int64_t inode_no_listxattr(struct inode *i, char *to, size_t size); /* none */
int inode_no_get_page(struct inode *i, uint64_t index, bool write,
                      struct inode_page *out); /* EFAULT */
