// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/path.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/walk.h"

void path_put(struct path *p)
{
    if (p->dentry != NULL)
        dentry_put(p->dentry);
    p->dentry = NULL;
    p->mount = NULL;
}

void path_copy(struct path *to, const struct path *from)
{
    *to = *from;
    if (to->dentry != NULL)
        dentry_get(to->dentry);
}

/* --- the process's root and directory --- */

struct fsctx *fsctx_clone(struct fsctx *fs)
{
    struct fsctx *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    n->refs = 1;
    if (fs != NULL) {
        n->umask = fs->umask;
        fsctx_get_root(fs, &n->root);
        fsctx_get_cwd(fs, &n->cwd);
        return n;
    }
    n->umask = 022;
    if (!list_empty(&mount_list)) {
        struct mount *m = LIST_ENTRY(mount_list.next, struct mount, node);
        path_copy(&n->root, &(struct path){m, m->root});
        path_copy(&n->cwd, &n->root);
    }
    return n;
}

void fsctx_put(struct fsctx *fs)
{
    if (__atomic_sub_fetch(&fs->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    path_put(&fs->root);
    path_put(&fs->cwd);
    kfree(fs);
}

void fsctx_get_root(struct fsctx *fs, struct path *out)
{
    spin_lock(&fs->lock);
    path_copy(out, &fs->root);
    spin_unlock(&fs->lock);
}

void fsctx_get_cwd(struct fsctx *fs, struct path *out)
{
    spin_lock(&fs->lock);
    path_copy(out, &fs->cwd);
    spin_unlock(&fs->lock);
}

void fsctx_set_cwd(struct fsctx *fs, const struct path *p)
{
    struct path n;
    path_copy(&n, p);
    spin_lock(&fs->lock);
    struct path old = fs->cwd;
    fs->cwd = n;
    spin_unlock(&fs->lock);
    path_put(&old);
}

void fsctx_set_root(struct fsctx *fs, const struct path *p)
{
    struct path n;
    path_copy(&n, p);
    spin_lock(&fs->lock);
    struct path old = fs->root;
    fs->root = n;
    spin_unlock(&fs->lock);
    path_put(&old);
}

/* --- permissions --- */

struct asker {
    uint32_t uid, gid;
    bool override, search; /* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH */
    const struct cred *groups;
};

static unsigned inode_class_bits(const struct inode *i, const struct asker *a)
{
    if (i->uid == a->uid)
        return i->mode >> 6 & 7;
    if (i->gid == a->gid || cred_in_group(a->groups, i->gid))
        return i->mode >> 3 & 7;
    return i->mode & 7;
}

static int inode_access_as(const struct inode *i, unsigned may,
                           const struct asker *a)
{
    may &= 7;
    if ((may & ~inode_class_bits(i, a)) == 0)
        return 0;
    bool is_dir = i->dir != NULL;
    /* Root may do anything but run what nobody may run. */
    bool runnable = is_dir || (i->mode & 0111) != 0;
    if (a->override && ((may & 1) == 0 || runnable))
        return 0;
    if (a->search && (may == 4 || (is_dir && (may & 2) == 0)))
        return 0;
    return -EACCES;
}

int inode_access(struct inode *i, unsigned may)
{
    const struct process *p = current()->proc;
    if (p == NULL)
        return 0; /* the kernel itself */
    const struct asker a = {current()->cred.fsuid, current()->cred.fsgid,
                            cred_capable(p, LX_CAP_DAC_OVERRIDE),
                            cred_capable(p, LX_CAP_DAC_READ), &current()->cred};
    return inode_access_as(i, may, &a);
}

static int path_access_ro(const struct path *p, unsigned may)
{
    uint32_t type = p->dentry->inode->mode & LX_S_IFMT;
    bool stored =
        type == LX_S_IFREG || type == LX_S_IFDIR || type == LX_S_IFLNK;
    bool readonly = p->mount != NULL && (p->mount->flags & LX_MS_RDONLY) != 0;
    return (may & 2) != 0 && stored && readonly ? -EROFS : 0;
}

int path_access(const struct path *p, unsigned may)
{
    int r = path_access_ro(p, may);
    return r < 0 ? r : inode_access(p->dentry->inode, may);
}

int path_access_real(const struct path *p, unsigned may)
{
    int r = path_access_ro(p, may);
    if (r < 0)
        return r;
    const struct cred *c = &current()->cred;
    bool root = c->uid == 0;
    const struct asker a = {c->uid, c->gid, root, root, c};
    return inode_access_as(p->dentry->inode, may, &a);
}

int dir_may_change(const struct path *dir)
{
    if (dir->dentry->inode->nlink == 0)
        return -ENOENT; /* removed while we were in it */
    return path_access(dir, 3);
}

int dir_may_remove(const struct path *dir, const struct inode *victim)
{
    int r = dir_may_change(dir);
    const struct inode *i = dir->dentry->inode;
    struct process *p = current()->proc;
    if (r < 0 || p == NULL || (i->mode & LX_S_ISVTX) == 0)
        return r;
    if (victim->uid == current()->cred.fsuid ||
        i->uid == current()->cred.fsuid || cred_capable(p, LX_CAP_FOWNER))
        return 0;
    return -EPERM;
}

/* --- walks as a whole --- */

int path_walk(int dirfd, const char *name, unsigned flags, struct path *out)
{
    struct walk w;
    int r = walk_init(&w, dirfd, name, flags);
    if (r == 0)
        r = walk_parent(&w);
    if (r == 0)
        r = walk_last(&w);
    if (r == 0 && (flags & PATH_DIR) != 0 && w.at.dentry->inode->dir == NULL)
        r = -ENOTDIR;
    if (r == 0)
        path_copy(out, &w.at);
    walk_fini(&w);
    return r;
}

int path_walk_parent(int dirfd, const char *name, unsigned flags,
                     struct path *dir, char *last, bool *slash)
{
    struct walk w;
    int r = walk_init(&w, dirfd, name, flags | PATH_PARENT);
    if (r == 0)
        r = walk_parent(&w);
    if (r == 0 && w.at.dentry->inode->dir == NULL)
        r = -ENOTDIR;
    if (r == 0 && w.last_size > NAME_MAX)
        r = -ENAMETOOLONG;
    if (r == 0) {
        path_copy(dir, &w.at);
        memcpy(last, w.last, w.last_size + 1);
        *slash = w.slash;
    }
    walk_fini(&w);
    return r;
}

int path_walk_user(int dirfd, uptr_t name, unsigned flags, struct path *out)
{
    struct user_name n;
    int r = user_name_get(&n, name);
    if (r == 0)
        r = path_walk(dirfd, n.text, flags, out);
    user_name_fini(&n);
    return r;
}

int path_lookup(const struct path *dir, const char *name, struct path *out)
{
    struct walk w = {.at = *dir, .root = *dir};
    w.last_size = strlen(name);
    if (w.last_size > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(w.last, name, w.last_size + 1);
    int r = inode_access(dir->dentry->inode, 1);
    return r < 0 ? r : walk_component(&w, out);
}

int user_name_get(struct user_name *n, uptr_t from)
{
    n->text = n->small;
    int64_t r = strncpy_from_user(n->small, from, sizeof(n->small));
    if (r != -ENAMETOOLONG)
        return r < 0 ? (int)r : 0;
    char *big = kmalloc(PATH_MAX);
    if (big == NULL)
        return -ENOMEM;
    n->text = big;
    r = strncpy_from_user(big, from, PATH_MAX);
    return r < 0 ? (int)r : 0;
}

void user_name_fini(struct user_name *n)
{
    if (n->text != n->small)
        kfree(n->text);
}

/* --- from a dentry back to its name --- */

/* Puts `text` in front of *at, which may not go below buf. */
static bool name_prepend(char *buf, char **at, const char *text, size_t n)
{
    if ((size_t)(*at - buf) < n)
        return false;
    *at -= n;
    memcpy(*at, text, n);
    return true;
}

/* The part after " (deleted)"; dentry_lock is held. */
static bool name_climb(const struct path *p, const struct path *root, char *buf,
                       char **at)
{
    const struct mount *m = p->mount;
    const struct dentry *d = p->dentry;
    bool any = false;
    for (;;) {
        if (root != NULL && d == root->dentry && m == root->mount)
            break;
        if (m != NULL && d == m->root && m->at != NULL) {
            d = m->at;
            m = m->parent;
            continue;
        }
        if (d->parent == d)
            break;
        if (!name_prepend(buf, at, d->name, d->name_size) ||
            !name_prepend(buf, at, "/", 1))
            return false;
        any = true;
        d = d->parent;
    }
    return any || name_prepend(buf, at, "/", 1);
}

char *path_name(const struct path *p, const struct path *root, char *buf,
                size_t size)
{
    static const char deleted[] = " (deleted)";
    char *at = buf + size;
    if (!name_prepend(buf, &at, "", 1))
        return NULL;
    spin_lock(&dentry_lock);
    bool gone = p->dentry->unhashed && p->dentry->parent != p->dentry;
    bool ok = (!gone || name_prepend(buf, &at, deleted, sizeof(deleted) - 1)) &&
              name_climb(p, root, buf, &at);
    spin_unlock(&dentry_lock);
    return ok ? at : NULL;
}

bool path_below(const struct path *p, const struct path *root)
{
    const struct mount *m = p->mount;
    const struct dentry *d = p->dentry;
    spin_lock(&dentry_lock);
    while (d != root->dentry || m != root->mount) {
        bool top = m != NULL && d == m->root;
        if (top && m->at != NULL) {
            d = m->at;
            m = m->parent;
        } else if (!top && d->parent != d) {
            d = d->parent;
        } else {
            break;
        }
    }
    spin_unlock(&dentry_lock);
    return d == root->dentry && m == root->mount;
}
