// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/generic.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/poll.h"

int64_t file_no_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -EINVAL;
}

int64_t file_no_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -EINVAL;
}

int64_t file_no_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    (void)f, (void)cmd, (void)arg;
    return -ENOTTY;
}

int file_no_mmap(struct file *f, uint32_t prot, uint32_t flags)
{
    (void)f, (void)prot, (void)flags;
    return -ENODEV;
}

uint32_t file_always_ready(struct file *f, struct poll_table *pt)
{
    (void)f, (void)pt;
    return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

void file_no_release(struct file *f)
{
    (void)f;
}

static int64_t dir_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -EISDIR;
}

const struct file_ops dir_file_ops = {
    .read = dir_read,
    .write = file_no_write,
    .poll = file_always_ready,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = file_no_release,
};

/* open(2) starts with these and O_PATH keeps them. */
const struct file_ops no_file_ops = {
    .read = file_no_read,
    .write = file_no_write,
    .poll = file_always_ready,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = file_no_release,
};

int dir_no_create(struct inode *dir, struct dentry *d,
                  const struct inode_new *n)
{
    (void)dir, (void)d, (void)n;
    return -EPERM;
}

int dir_no_link(struct inode *dir, struct dentry *d, struct inode *target)
{
    (void)dir, (void)d, (void)target;
    return -EPERM;
}

int dir_no_unlink(struct inode *dir, struct dentry *d)
{
    (void)dir, (void)d;
    return -EPERM;
}

int dir_no_rename(struct inode *from, struct dentry *d, struct inode *to,
                  struct dentry *over)
{
    (void)from, (void)d, (void)to, (void)over;
    return -EPERM;
}

int inode_no_setattr(struct inode *i, const struct iattr *a)
{
    (void)i, (void)a;
    return -EPERM;
}

int64_t inode_no_readlink(struct inode *i, char *to, size_t size)
{
    (void)i, (void)to, (void)size;
    return -EINVAL;
}

int64_t inode_no_getxattr(struct inode *i, const char *name, void *to,
                          size_t size)
{
    (void)i, (void)name, (void)to, (void)size;
    return -EOPNOTSUPP;
}

int inode_no_setxattr(struct inode *i, const char *name, const void *value,
                      size_t size, uint32_t flags)
{
    (void)i, (void)name, (void)value, (void)size, (void)flags;
    return -EOPNOTSUPP;
}

int64_t inode_no_listxattr(struct inode *i, char *to, size_t size)
{
    (void)i, (void)to, (void)size;
    return 0;
}

int inode_no_get_page(struct inode *i, uint64_t index, bool write,
                      struct inode_page *out)
{
    (void)i, (void)index, (void)write, (void)out;
    return -EFAULT;
}
