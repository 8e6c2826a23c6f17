// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/tmpfs.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/generic.h"
#include "guest/fs/namei.h"

#define TMPFS_NID_FIRST 64 /* buckets at boot; grows by 4 */

/* --- inodes --- */

struct tmpfs_node *tmpfs_node_new(struct tmpfs_sb *sb, uint32_t mode)
{
    struct tmpfs_node *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    inode_init(&n->i, &sb->sb, mode);
    list_init(&n->nid_node);
    list_init(&n->xattrs);
    n->i.ops = &tmpfs_inode_ops;
    if ((mode & LX_S_IFMT) == LX_S_IFDIR) {
        n->i.dir = &tmpfs_dir_ops;
        n->i.file_ops = &dir_file_ops;
        n->i.nlink = 2;
        n->i.size = PAGE_SIZE;
    } else if ((mode & LX_S_IFMT) == LX_S_IFREG) {
        n->i.file_ops = &tmpfs_file_ops;
    }
    return n;
}

static void tmpfs_node_fill(struct tmpfs_node *n)
{
    const struct erofs_inode *l = &n->lower;
    struct inode *i = &n->i;
    bool is_dir = i->dir != NULL;
    n->has_lower = true;
    i->ino = l->nid;
    i->uid = l->uid;
    i->gid = l->gid;
    i->nlink = MAX(l->nlink, is_dir ? 2u : 1u);
    i->rdev = l->rdev;
    i->size = l->size;
    i->mtime = (struct lx_timespec){l->mtime, l->mtime_nsec};
    i->atime = i->mtime;
    i->ctime = i->mtime;
    i->btime = i->mtime;
    if ((i->mode & LX_S_IFMT) == LX_S_IFREG)
        n->lower_pages = (l->size + PAGE_MASK) / PAGE_SIZE;
    tmpfs_set_blocks(n);
}

/* Zeroed buckets are empty ones. */
static struct list *tmpfs_nid_bucket(const struct tmpfs_sb *sb, uint64_t nid)
{
    uint32_t hash = (uint32_t)(nid * 0x9e3779b97f4a7c15u >> 32);
    struct list *b = &sb->nids[hash & (sb->nid_buckets - 1)];
    if (b->next == NULL)
        list_init(b);
    return b;
}

/* sb->lock held. Failing to grow only makes chains longer. */
static void tmpfs_nid_grow(struct tmpfs_sb *sb)
{
    struct list *old = sb->nids;
    uint32_t count = sb->nid_buckets;
    struct list *table = kzalloc(count * 4 * sizeof(*table));
    if (table == NULL)
        return;
    sb->nids = table;
    sb->nid_buckets = count * 4;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].next == NULL)
            continue;
        LIST_FOR_SAFE(it, next, &old[i])
        {
            uint64_t nid =
                LIST_ENTRY(it, struct tmpfs_node, nid_node)->lower.nid;
            list_remove(it);
            list_add_head(tmpfs_nid_bucket(sb, nid), it);
        }
    }
    kfree(old);
}

static void tmpfs_nid_add(struct tmpfs_sb *sb, struct tmpfs_node *n)
{
    if (++sb->nid_count > sb->nid_buckets * 2)
        tmpfs_nid_grow(sb);
    list_add_head(tmpfs_nid_bucket(sb, n->lower.nid), &n->nid_node);
}

static void tmpfs_nid_remove(struct tmpfs_sb *sb, struct tmpfs_node *n)
{
    spin_lock(&sb->lock);
    if (!list_empty(&n->nid_node)) {
        list_remove(&n->nid_node);
        sb->nid_count--;
    }
    spin_unlock(&sb->lock);
}

/* A live inode of the image, with a reference, or NULL. sb->lock held. */
static struct inode *tmpfs_nid_find(struct tmpfs_sb *sb, uint64_t nid)
{
    struct list *b = tmpfs_nid_bucket(sb, nid);
    LIST_FOR(it, b)
    {
        struct tmpfs_node *n = LIST_ENTRY(it, struct tmpfs_node, nid_node);
        if (n->lower.nid != nid)
            continue;
        /* One whose last reference just went is as good as gone. */
        uint32_t refs = __atomic_load_n(&n->i.refs, __ATOMIC_RELAXED);
        while (refs != 0) {
            if (__atomic_compare_exchange_n(&n->i.refs, &refs, refs + 1, false,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                return &n->i;
        }
    }
    return NULL;
}

int tmpfs_node_lower(struct tmpfs_sb *sb, uint64_t nid, struct inode **out)
{
    spin_lock(&sb->lock);
    *out = tmpfs_nid_find(sb, nid);
    spin_unlock(&sb->lock);
    if (*out != NULL)
        return 0;
    struct erofs_inode lower;
    int r = erofs_inode(&sb->lower, nid, &lower);
    if (r < 0)
        return r;
    struct tmpfs_node *n = tmpfs_node_new(sb, lower.mode);
    if (n == NULL)
        return -ENOMEM;
    n->lower = lower;
    tmpfs_node_fill(n);
    spin_lock(&sb->lock);
    *out = tmpfs_nid_find(sb, nid);
    if (*out == NULL) {
        tmpfs_nid_add(sb, n);
        *out = &n->i;
        n = NULL;
    }
    spin_unlock(&sb->lock);
    if (n != NULL)
        inode_put(&n->i); /* somebody was faster */
    return 0;
}

void tmpfs_changed(struct inode *i)
{
    struct tmpfs_node *n = tmpfs_node(i);
    if (!n->has_lower || n->pinned || i->nlink == 0)
        return;
    n->pinned = true;
    inode_get(i);
}

void tmpfs_drop_link(struct inode *i, uint32_t count)
{
    struct tmpfs_node *n = tmpfs_node(i);
    struct tmpfs_sb *sb = tmpfs_sb(i);
    i->nlink -= MIN(i->nlink, count);
    inode_touch(i, false);
    if (!n->has_lower)
        return;
    if (i->nlink != 0) {
        tmpfs_changed(i);
        return;
    }
    tmpfs_nid_remove(sb, n);
    if (n->pinned) {
        n->pinned = false;
        inode_put(i); /* not the last: the caller's dentry has one */
    }
}

static void tmpfs_evict(struct inode *i)
{
    struct tmpfs_node *n = tmpfs_node(i);
    struct tmpfs_sb *sb = tmpfs_sb(i);
    KASSERT(!n->pinned);
    tmpfs_nid_remove(sb, n);
    tmpfs_free_pages(n);
    tmpfs_free_xattrs(n);
    kfree(n->target);
}

static int64_t tmpfs_readlink(struct inode *i, char *to, size_t size)
{
    const struct tmpfs_node *n = tmpfs_node(i);
    if ((i->mode & LX_S_IFMT) != LX_S_IFLNK)
        return -EINVAL;
    if (n->target == NULL)
        return erofs_pread(&tmpfs_sb(i)->lower, &n->lower, to, size, 0);
    size_t len = MIN(size, (size_t)i->size);
    memcpy(to, n->target, len);
    return (int64_t)len;
}

static int tmpfs_setattr(struct inode *i, const struct iattr *a)
{
    if ((a->valid & IATTR_SIZE) != 0) {
        if ((i->mode & LX_S_IFMT) != LX_S_IFREG)
            return -EINVAL;
        int r = tmpfs_resize(i, a->size);
        if (r < 0)
            return r;
        inode_touch(i, true);
    }
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
    tmpfs_changed(i);
    return 0;
}

const struct inode_ops tmpfs_inode_ops = {
    .setattr = tmpfs_setattr,
    .readlink = tmpfs_readlink,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .get_page = tmpfs_get_page,
};

/* --- the file system --- */

static void tmpfs_statfs(struct superblock *sb, struct lx_statfs *out)
{
    const struct tmpfs_sb *t = CONTAINER_OF(sb, struct tmpfs_sb, sb);
    uint64_t used = __atomic_load_n(&t->used, __ATOMIC_RELAXED);
    *out = (struct lx_statfs){
        .type = t->overlay ? LX_OVERLAY_MAGIC : LX_TMPFS_MAGIC,
        .bsize = PAGE_SIZE,
        .frsize = PAGE_SIZE,
        .blocks = t->limit,
        .bfree = t->limit - MIN(used, t->limit),
        .namelen = NAME_MAX,
        .fsid = {(int32_t)sb->dev, 0},
    };
    out->bavail = out->bfree;
    struct page_stats stats;
    page_stats(&stats);
    out->files = t->limit;
    out->ffree = MIN(t->limit, stats.free);
}

const struct superblock_ops tmpfs_sb_ops = {
    .evict = tmpfs_evict,
    .statfs = tmpfs_statfs,
};

static int tmpfs_root(struct tmpfs_sb *sb)
{
    struct inode *root;
    if (sb->overlay) {
        int r = tmpfs_node_lower(sb, sb->lower.root_nid, &root);
        if (r < 0)
            return r;
    } else {
        struct tmpfs_node *n = tmpfs_node_new(sb, LX_S_IFDIR | 0755);
        if (n == NULL)
            return -ENOMEM;
        root = &n->i;
    }
    sb->sb.root = dentry_new_root(root);
    if (sb->sb.root == NULL) {
        inode_put(root);
        return -ENOMEM;
    }
    return 0;
}

int tmpfs_mount(const char *type, struct image *lower, uint64_t limit,
                struct superblock **out)
{
    struct tmpfs_sb *sb = kzalloc(sizeof(*sb));
    if (sb == NULL)
        return -ENOMEM;
    struct page_stats stats;
    page_stats(&stats);
    sb->sb.ops = &tmpfs_sb_ops;
    sb->sb.type = type;
    sb->sb.dev = sb_new_dev();
    sb->limit = limit != 0 ? limit / PAGE_SIZE : stats.total / 2;
    int r = 0;
    if (lower != NULL) {
        sb->overlay = true;
        sb->nid_buckets = TMPFS_NID_FIRST;
        sb->nids = kzalloc(TMPFS_NID_FIRST * sizeof(*sb->nids));
        r = sb->nids != NULL ? erofs_open(&sb->lower, lower) : -ENOMEM;
        /* Numbers of new inodes begin behind those of the image. */
        sb->sb.next_ino = image_size(lower) / 32 + 1;
    }
    if (r == 0)
        r = tmpfs_root(sb);
    if (r < 0) {
        kfree(sb->nids);
        kfree(sb);
        return r;
    }
    *out = &sb->sb;
    return 0;
}

/* --- files without a name --- */

/* The kernel's own mount for shared memory; made on first use. */
static struct mount *tmpfs_anon_mount(void)
{
    static struct mutex lock = {.waiters = LIST_INIT(lock.waiters)};
    static struct mount *anon;
    mutex_lock(&lock);
    if (anon == NULL) {
        struct superblock *sb;
        if (tmpfs_mount("tmpfs", NULL, 0, &sb) == 0)
            anon = mount_new(sb, NULL, NULL, "shm");
    }
    mutex_unlock(&lock);
    return anon;
}

/* A file in `dir` that only its opener knows; `name` is for /proc. */
static int tmpfs_open_unnamed(const struct path *dir, struct tmpfs_node *n,
                              const char *name, uint32_t flags,
                              struct file **out)
{
    struct dentry *d = dentry_new(dir->dentry, name, strlen(name));
    if (d == NULL)
        return -ENOMEM;
    n->i.nlink = 0;
    dentry_attach(d, &n->i);
    int r = file_open_made(&(struct path){dir->mount, d}, flags, out);
    dentry_put(d);
    return r;
}

int tmpfs_new_named(const char *name, uint64_t size, struct file **out)
{
    struct mount *m = tmpfs_anon_mount();
    if (m == NULL)
        return -ENOMEM;
    struct tmpfs_sb *sb = CONTAINER_OF(m->sb, struct tmpfs_sb, sb);
    struct tmpfs_node *n = tmpfs_node_new(sb, LX_S_IFREG | 0777);
    if (n == NULL)
        return -ENOMEM;
    const struct process *p = current()->proc;
    n->i.uid = p != NULL ? current()->cred.fsuid : 0;
    n->i.gid = p != NULL ? current()->cred.fsgid : 0;
    n->i.size = size;
    struct path dir = {m, m->root};
    int r = tmpfs_open_unnamed(&dir, n, name, LX_O_RDWR, out);
    inode_put(&n->i);
    return r;
}

int tmpfs_new_anon(uint64_t size, struct file **out)
{
    return tmpfs_new_named("dev/zero", size, out);
}

int tmpfs_tmpfile(const struct path *dir, uint32_t flags, uint32_t mode,
                  struct file **out)
{
    struct inode *i = dir->dentry->inode;
    if (!tmpfs_owns(i))
        return -EOPNOTSUPP;
    const struct process *p = current()->proc;
    if (p != NULL && p->fs != NULL)
        mode &= ~p->fs->umask;
    struct tmpfs_node *n =
        tmpfs_node_new(tmpfs_sb(i), LX_S_IFREG | (mode & 07777));
    if (n == NULL)
        return -ENOMEM;
    n->i.uid = p != NULL ? current()->cred.fsuid : 0;
    n->i.gid = (i->mode & LX_S_ISGID) != 0 ? i->gid
               : p != NULL                 ? current()->cred.fsgid
                                           : 0;
    n->linkable = (flags & LX_O_EXCL) == 0;
    char name[24];
    ksnprintf(name, sizeof(name), "#%llu", (unsigned long long)n->i.ino);
    int r = tmpfs_open_unnamed(dir, n, name, flags, out);
    inode_put(&n->i);
    return r;
}
