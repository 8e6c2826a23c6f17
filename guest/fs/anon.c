// SPDX-License-Identifier: Apache-2.0
/* Inodes without a name: pipes, epoll, eventfd and the like. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/fs/file.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"

#define PIPE_MAGIC 0x50495045 /* PIPEFS_MAGIC of magic.h */

static struct superblock pipe_sb;

static void anon_evict(struct inode *i)
{
    (void)i;
}

static void anon_statfs(struct superblock *sb, struct lx_statfs *out)
{
    *out = (struct lx_statfs){
        .type = sb == &pipe_sb ? PIPE_MAGIC : LX_ANON_MAGIC,
        .bsize = PAGE_SIZE,
        .frsize = PAGE_SIZE,
        .namelen = NAME_MAX,
    };
}

static const struct superblock_ops anon_sb_ops = {
    .evict = anon_evict,
    .statfs = anon_statfs,
};

static int anon_setattr(struct inode *i, const struct iattr *a)
{
    if ((a->valid & IATTR_SIZE) != 0)
        return -EINVAL;
    if ((a->valid & IATTR_MODE) != 0)
        i->mode = (i->mode & LX_S_IFMT) | (a->mode & 07777);
    if ((a->valid & IATTR_UID) != 0)
        i->uid = a->uid;
    if ((a->valid & IATTR_GID) != 0)
        i->gid = a->gid;
    inode_touch(i, false);
    return 0;
}

static const struct inode_ops anon_inode_ops = {
    .setattr = anon_setattr,
    .readlink = inode_no_readlink,
    .getxattr = inode_no_getxattr,
    .setxattr = inode_no_setxattr,
    .listxattr = inode_no_listxattr,
    .get_page = inode_no_get_page,
};

static struct superblock anon_sb = {.ops = &anon_sb_ops,
                                    .type = "anon_inodefs"};
static struct superblock pipe_sb = {.ops = &anon_sb_ops, .type = "pipefs"};

struct inode *anon_inode(uint32_t mode, const char *kind)
{
    bool fifo = (mode & LX_S_IFMT) == LX_S_IFIFO;
    struct inode *i = inode_new(fifo ? &pipe_sb : &anon_sb, mode);
    if (i == NULL)
        return NULL;
    i->ops = &anon_inode_ops;
    i->priv[0] = (uintptr_t)kind;
    return i;
}

const char *anon_inode_kind(const struct inode *i)
{
    bool ours = i->sb == &anon_sb || i->sb == &pipe_sb;
    return ours ? (const char *)(uintptr_t)i->priv[0] : NULL;
}
