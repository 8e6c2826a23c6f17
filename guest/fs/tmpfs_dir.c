// SPDX-License-Identifier: Apache-2.0
/*
 * Directories. Names made here are pinned dentries with a cookie; names of
 * the image have cookie 0 and are looked up when asked for. Reading gives the
 * image's names first, then ours, newest first: what is made or renamed while
 * a program reads never comes again.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/fs/tmpfs.h"

/* `d` becomes (again) the newest name of its directory. */
static void tmpfs_name_own(struct tmpfs_sb *sb, struct dentry *d)
{
    if (!d->pinned)
        dentry_pin(d);
    spin_lock(&dentry_lock);
    d->cookie = __atomic_add_fetch(&sb->cookie, 1, __ATOMIC_RELAXED);
    list_remove(&d->sibling);
    list_add_tail(&d->parent->children, &d->sibling);
    spin_unlock(&dentry_lock);
}

/* 1 if the image has `name` in `dir`, 0 or -EIO. */
static int tmpfs_lower_has(struct inode *dir, const char *name, size_t size)
{
    const struct tmpfs_node *n = tmpfs_node(dir);
    struct erofs_dirent e;
    if (!n->has_lower)
        return 0;
    int r = erofs_lookup(&tmpfs_sb(dir)->lower, &n->lower, name, size, &e);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : 1;
}

/* A dentry that hides the image's name once it is added; *out NULL if there
 * is nothing to hide. */
static int tmpfs_whiteout_new(struct inode *dir, const struct dentry *d,
                              struct dentry **out)
{
    *out = NULL;
    int r = tmpfs_lower_has(dir, d->name, d->name_size);
    if (r <= 0)
        return r;
    *out = dentry_new(d->parent, d->name, d->name_size);
    return *out != NULL ? 0 : -ENOMEM;
}

static void tmpfs_whiteout_add(struct dentry *w)
{
    if (w == NULL)
        return;
    dentry_add(w);
    w->pinned = true; /* with the reference it was made with */
}

static int tmpfs_lookup(struct inode *dir, struct dentry *d)
{
    const struct tmpfs_node *n = tmpfs_node(dir);
    struct tmpfs_sb *sb = tmpfs_sb(dir);
    struct erofs_dirent e;
    if (!n->has_lower || dir->nlink == 0)
        return -ENOENT;
    int r = erofs_lookup(&sb->lower, &n->lower, d->name, d->name_size, &e);
    if (r < 0)
        return r;
    struct inode *i;
    r = tmpfs_node_lower(sb, e.nid, &i);
    if (r < 0)
        return r;
    /* A directory with two names is a corrupt image, and a trap for locks. */
    if (i->dir != NULL && i->alias != NULL)
        r = -EIO;
    else
        dentry_attach(d, i);
    inode_put(i);
    return r;
}

static int tmpfs_create(struct inode *dir, struct dentry *d,
                        const struct inode_new *w)
{
    struct tmpfs_node *n = tmpfs_node_new(tmpfs_sb(dir), w->mode);
    if (n == NULL)
        return -ENOMEM;
    n->i.uid = w->uid;
    n->i.gid = w->gid;
    n->i.rdev = w->rdev;
    if (w->target != NULL) {
        n->target = kstrdup(w->target);
        if (n->target == NULL) {
            inode_put(&n->i);
            return -ENOMEM;
        }
        n->i.size = strlen(w->target);
    }
    dentry_attach(d, &n->i);
    inode_put(&n->i);
    tmpfs_name_own(tmpfs_sb(dir), d);
    if (n->i.dir != NULL)
        dir->nlink++;
    inode_touch(dir, true);
    tmpfs_changed(dir);
    return 0;
}

static int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
    struct tmpfs_node *n = tmpfs_node(target);
    if (target->nlink == 0 && !n->linkable)
        return -ENOENT;
    if (target->nlink >= UINT32_MAX / 2)
        return -EMLINK;
    target->nlink++;
    n->linkable = false;
    inode_touch(target, false);
    tmpfs_changed(target);
    dentry_attach(d, target);
    tmpfs_name_own(tmpfs_sb(dir), d);
    inode_touch(dir, true);
    tmpfs_changed(dir);
    return 0;
}

/* --- removal --- */

/* Does `dir` show the image's name? Its cached dentry, if any, is unchanged. */
static bool tmpfs_lower_visible(struct dentry *dir, const char *name,
                                size_t size)
{
    struct dentry *d = dentry_find(dir, name, size);
    if (d == NULL)
        return true;
    bool visible = d->inode != NULL && d->cookie == 0;
    dentry_put(d);
    return visible;
}

static bool name_is_dots(const char *name, size_t size)
{
    return name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'));
}

static bool tmpfs_has_own_names(const struct dentry *d)
{
    bool any = false;
    spin_lock(&dentry_lock);
    LIST_FOR(it, &d->children)
    {
        const struct dentry *c = LIST_ENTRY(it, struct dentry, sibling);
        if (c->inode != NULL && c->cookie != 0) {
            any = true;
            break;
        }
    }
    spin_unlock(&dentry_lock);
    return any;
}

/* 0, -ENOTEMPTY or -EIO. The directory's mutex is held. */
static int tmpfs_check_empty(struct dentry *d)
{
    const struct tmpfs_node *n = tmpfs_node(d->inode);
    if (tmpfs_has_own_names(d))
        return -ENOTEMPTY;
    if (!n->has_lower)
        return 0;
    uint64_t pos = 0;
    for (;;) {
        struct erofs_dirent e;
        int r = erofs_readdir(&tmpfs_sb(d->inode)->lower, &n->lower, &pos, &e);
        if (r <= 0)
            return r;
        if (!name_is_dots(e.name, e.name_size) &&
            tmpfs_lower_visible(d, e.name, e.name_size))
            return -ENOTEMPTY;
        sched_point();
    }
}

/* The whiteouts of a directory that goes away. */
static void tmpfs_free_whiteouts(struct dentry *dir)
{
    for (;;) {
        struct dentry *found = NULL;
        spin_lock(&dentry_lock);
        LIST_FOR(it, &dir->children)
        {
            struct dentry *c = LIST_ENTRY(it, struct dentry, sibling);
            if (c->pinned && c->inode == NULL) {
                found = c;
                break;
            }
        }
        spin_unlock(&dentry_lock);
        if (found == NULL)
            return;
        dentry_unhash(found);
        dentry_unpin(found);
    }
}

/* The inode of `d` lost this name; `d` is out of the cache. */
static void tmpfs_name_gone(struct inode *dir, struct dentry *d)
{
    bool is_dir = d->inode->dir != NULL;
    if (is_dir) {
        tmpfs_free_whiteouts(d);
        dir->nlink--;
    }
    tmpfs_drop_link(d->inode, is_dir ? UINT32_MAX : 1);
    if (d->pinned)
        dentry_unpin(d); /* the caller has a reference */
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
    struct dentry *whiteout;
    int r = d->inode->dir != NULL ? tmpfs_check_empty(d) : 0;
    if (r == 0)
        r = tmpfs_whiteout_new(dir, d, &whiteout);
    if (r < 0)
        return r;
    dentry_unhash(d);
    tmpfs_whiteout_add(whiteout);
    tmpfs_name_gone(dir, d);
    inode_touch(dir, true);
    tmpfs_changed(dir);
    return 0;
}

/* --- rename --- */

/* A directory moved: counts of "..". */
static void tmpfs_move_dotdot(struct inode *from, struct inode *to,
                              const struct dentry *d)
{
    if (d->inode->dir == NULL || from == to)
        return;
    from->nlink--;
    to->nlink++;
}

static void tmpfs_renamed(struct inode *i)
{
    inode_touch(i, i->dir != NULL);
    tmpfs_changed(i);
}

static int tmpfs_rename(struct inode *from, struct dentry *d, struct inode *to,
                        struct dentry *over)
{
    struct dentry *whiteout;
    int r = 0;
    if (over->inode != NULL && over->inode->dir != NULL)
        r = tmpfs_check_empty(over);
    if (r == 0)
        r = tmpfs_whiteout_new(from, d, &whiteout);
    if (r < 0)
        return r;
    r = dentry_move(d, over->parent, over->name, over->name_size);
    if (r < 0) {
        if (whiteout != NULL)
            dentry_put(whiteout);
        return r;
    }
    tmpfs_whiteout_add(whiteout);
    dentry_unhash(over);
    if (over->inode != NULL)
        tmpfs_name_gone(to, over);
    else if (over->pinned)
        dentry_unpin(over);
    tmpfs_name_own(tmpfs_sb(to), d);
    tmpfs_move_dotdot(from, to, d);
    inode_touch(d->inode, false);
    tmpfs_changed(d->inode);
    tmpfs_renamed(from);
    tmpfs_renamed(to);
    return 0;
}

int tmpfs_exchange(struct inode *from, struct dentry *d, struct inode *to,
                   struct dentry *over)
{
    if (!tmpfs_owns(from) || !tmpfs_owns(to))
        return -EINVAL;
    dentry_exchange(d, over);
    tmpfs_name_own(tmpfs_sb(to), d);
    tmpfs_name_own(tmpfs_sb(from), over);
    tmpfs_move_dotdot(from, to, d);
    tmpfs_move_dotdot(to, from, over);
    inode_touch(d->inode, false);
    tmpfs_changed(d->inode);
    inode_touch(over->inode, false);
    tmpfs_changed(over->inode);
    tmpfs_renamed(from);
    tmpfs_renamed(to);
    return 0;
}

/* --- reading --- */

#define POS_LOWER  UINT64_C(2)         /* + cursor of erofs_readdir */
#define POS_OWN    (UINT64_C(1) << 60) /* + COOKIE_MAX - cookie */
#define COOKIE_MAX (POS_OWN - 1)

typedef bool emit_fn(struct dir_emit *e, const char *name, size_t len,
                     uint64_t ino, uint32_t type, uint64_t next_pos);

static bool tmpfs_read_dots(const struct dentry *self, uint64_t *pos,
                            emit_fn *emit, struct dir_emit *e)
{
    if (*pos == 0) {
        if (!emit(e, ".", 1, self->inode->ino, 4, 1))
            return false;
        *pos = 1;
    }
    if (*pos == 1) {
        if (!emit(e, "..", 2, self->parent->inode->ino, 4, POS_LOWER))
            return false;
        *pos = POS_LOWER;
    }
    return true;
}

/* 1: all done, 0: emit refused, -EIO. */
static int tmpfs_read_lower(struct dentry *self, uint64_t *pos, emit_fn *emit,
                            struct dir_emit *e)
{
    const struct tmpfs_node *n = tmpfs_node(self->inode);
    uint64_t at = *pos - POS_LOWER;
    while (n->has_lower) {
        struct erofs_dirent d;
        int r =
            erofs_readdir(&tmpfs_sb(self->inode)->lower, &n->lower, &at, &d);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        bool show = !name_is_dots(d.name, d.name_size) &&
                    tmpfs_lower_visible(self, d.name, d.name_size);
        if (show &&
            !emit(e, d.name, d.name_size, d.nid, d.type, POS_LOWER + at))
            return 0;
        *pos = POS_LOWER + at;
    }
    *pos = POS_OWN;
    return 1;
}

static void tmpfs_read_own(struct dentry *self, uint64_t *pos, emit_fn *emit,
                           struct dir_emit *e)
{
    uint64_t max = COOKIE_MAX - (*pos - POS_OWN);
    spin_lock(&dentry_lock);
    for (struct list *it = self->children.prev; it != &self->children;
         it = it->prev) {
        const struct dentry *c = LIST_ENTRY(it, struct dentry, sibling);
        if (c->cookie == 0 || c->cookie > max || c->inode == NULL)
            continue;
        uint64_t next = POS_OWN + COOKIE_MAX - c->cookie + 1;
        if (!emit(e, c->name, c->name_size, c->inode->ino, c->inode->mode >> 12,
                  next))
            break;
        *pos = next;
    }
    spin_unlock(&dentry_lock);
}

static int tmpfs_readdir(struct inode *dir, uint64_t *pos, emit_fn *emit,
                         struct dir_emit *e)
{
    struct dentry *self = dir->alias;
    if (self == NULL || dir->nlink == 0)
        return -ENOENT;
    if (!tmpfs_read_dots(self, pos, emit, e))
        return 0;
    if (*pos < POS_OWN) {
        int r = tmpfs_read_lower(self, pos, emit, e);
        if (r <= 0)
            return r;
    }
    tmpfs_read_own(self, pos, emit, e);
    return 0;
}

const struct dir_ops tmpfs_dir_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rename = tmpfs_rename,
    .readdir = tmpfs_readdir,
};
