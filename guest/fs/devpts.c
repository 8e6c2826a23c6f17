// SPDX-License-Identifier: Apache-2.0
/* devpts: the names of pseudo-terminals, /dev/pts/N, and its own ptmx. */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/fs/fs.h"
#include "guest/fs/generic.h"
#include "guest/fs/tty_impl.h"

#define DEVPTS_MAGIC 0x1cd1
#define DEVPTS_FIRST 3 /* position of pts 0: after ".", ".." and "ptmx" */
#define PTS_MAJOR    136
#define TTY_GID      5

static struct superblock *devpts;
static struct inode *devpts_nodes[PTS_MAX]; /* by number; root's mutex */

static int devpts_setattr(struct inode *i, const struct iattr *a)
{
    if ((a->valid & IATTR_SIZE) != 0)
        return -EINVAL;
    if ((a->valid & IATTR_MODE) != 0)
        i->mode = (i->mode & LX_S_IFMT) | (a->mode & 07777);
    if ((a->valid & IATTR_UID) != 0)
        i->uid = a->uid;
    if ((a->valid & IATTR_GID) != 0)
        i->gid = a->gid;
    if ((a->valid & IATTR_ATIME) != 0)
        i->atime = a->atime;
    if ((a->valid & IATTR_MTIME) != 0)
        i->mtime = a->mtime;
    inode_touch(i, false);
    return 0;
}

static const struct inode_ops devpts_inode_ops = {
    .setattr = devpts_setattr,
    .readlink = inode_no_readlink,
    .getxattr = inode_no_getxattr,
    .setxattr = inode_no_setxattr,
    .listxattr = inode_no_listxattr,
    .get_page = inode_no_get_page,
};

/* "0" or digits without a leading zero; -1: no number. */
static int32_t pts_number(const char *name, size_t len)
{
    uint32_t n = 0;
    if (len == 0 || len > 4 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (uint32_t)(name[i] - '0');
    }
    return n < PTS_MAX ? (int32_t)n : -1;
}

static int devpts_lookup(struct inode *dir, struct dentry *d)
{
    struct inode *i = NULL;
    int32_t n = pts_number(d->name, d->name_size);
    if (n >= 0)
        i = devpts_nodes[n];
    else if (strcmp(d->name, "ptmx") == 0)
        i = (struct inode *)(uintptr_t)dir->priv[0];
    if (i == NULL)
        return -ENOENT;
    dentry_attach(d, i);
    return 0;
}

static int devpts_readdir(struct inode *dir, uint64_t *pos,
                          bool (*emit)(struct dir_emit *e, const char *name,
                                       size_t len, uint64_t ino, uint32_t type,
                                       uint64_t next_pos),
                          struct dir_emit *e)
{
    static const char *const fixed[] = {".", "..", "ptmx"};
    for (; *pos < DEVPTS_FIRST + PTS_MAX; ++*pos) {
        char name[16];
        const struct inode *i = dir;
        if (*pos < DEVPTS_FIRST) {
            (void)kstrcpy(name, fixed[*pos], sizeof(name));
            if (*pos == 2)
                i = (const struct inode *)(uintptr_t)dir->priv[0];
        } else {
            i = devpts_nodes[*pos - DEVPTS_FIRST];
            (void)ksnprintf(name, sizeof(name), "%u",
                            (unsigned)(*pos - DEVPTS_FIRST));
        }
        if (i != NULL &&
            !emit(e, name, strlen(name), i->ino, i->mode >> 12, *pos + 1))
            return 0;
    }
    return 0;
}

static const struct dir_ops devpts_dir_ops = {
    .lookup = devpts_lookup,
    .create = dir_no_create,
    .link = dir_no_link,
    .unlink = dir_no_unlink,
    .rename = dir_no_rename,
    .readdir = devpts_readdir,
};

static void devpts_evict(struct inode *i)
{
    (void)i;
}

static void devpts_statfs(struct superblock *sb, struct lx_statfs *out)
{
    (void)sb;
    out->type = DEVPTS_MAGIC;
    out->bsize = 4096;
    out->namelen = NAME_MAX;
}

static const struct superblock_ops devpts_sb_ops = {
    .evict = devpts_evict,
    .statfs = devpts_statfs,
};

static struct inode *devpts_node(uint32_t mode, uint64_t rdev)
{
    struct inode *i = inode_new(devpts, LX_S_IFCHR | mode);
    if (i == NULL)
        return NULL;
    i->ops = &devpts_inode_ops;
    i->rdev = rdev;
    return i;
}

int devpts_add(uint32_t index, uint32_t uid)
{
    if (devpts == NULL)
        return -ENODEV;
    struct inode *i = devpts_node(0620, LX_MKDEV(PTS_MAJOR, index));
    if (i == NULL)
        return -ENOMEM;
    i->uid = uid;
    i->gid = TTY_GID; /* as with mount option gid=5 */
    struct inode *root = devpts->root->inode;
    mutex_lock(&root->lock);
    devpts_nodes[index] = i;
    mutex_unlock(&root->lock);
    return 0;
}

void devpts_remove(uint32_t index)
{
    struct inode *root = devpts->root->inode;
    char name[16];
    size_t n = (size_t)ksnprintf(name, sizeof(name), "%u", (unsigned)index);
    mutex_lock(&root->lock);
    struct inode *i = devpts_nodes[index];
    devpts_nodes[index] = NULL;
    i->nlink = 0;
    /* Files of the slave may keep it. */
    struct dentry *d = dentry_find(devpts->root, name, n);
    if (d != NULL) {
        dentry_unhash(d);
        dentry_put(d);
    }
    mutex_unlock(&root->lock);
    inode_put(i);
}

int devpts_mount(struct superblock **out)
{
    struct superblock *sb = kzalloc(sizeof(*sb));
    if (sb == NULL)
        return -ENOMEM;
    sb->ops = &devpts_sb_ops;
    sb->type = "devpts";
    sb->dev = sb_new_dev();
    sb->flags = SB_NOCACHE;
    devpts = sb;
    struct inode *root = inode_new(sb, LX_S_IFDIR | 0755);
    struct inode *ptmx = devpts_node(0666, LX_MKDEV(5, 2));
    if (root == NULL || ptmx == NULL)
        return -ENOMEM; /* boot fails: nothing is given back */
    root->nlink = 2;
    root->ops = &devpts_inode_ops;
    root->dir = &devpts_dir_ops;
    root->priv[0] = (uintptr_t)ptmx;
    sb->root = dentry_new_root(root);
    if (sb->root == NULL)
        return -ENOMEM;
    *out = sb;
    return 0;
}
