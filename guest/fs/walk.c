// SPDX-License-Identifier: Apache-2.0
/* Path walking without recursion: path_resolution(7), openat2(2). */
#include "guest/fs/walk.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/pseudo.h"

#define WALK_BUF_SIZE (2 * (size_t)PATH_MAX)

static bool inode_is(const struct inode *i, uint32_t type)
{
    return (i->mode & LX_S_IFMT) == type;
}

static void walk_move(struct walk *w, struct path *to)
{
    path_put(&w->at);
    w->at = *to;
}

/* Where the walk starts when it is not the root. */
static int walk_start(int dirfd, const char *name, unsigned flags,
                      struct path *out)
{
    struct process *p = current()->proc;
    if (dirfd == AT_FDCWD) {
        if (p != NULL && p->fs != NULL) {
            fsctx_get_cwd(p->fs, out);
        } else {
            struct mount *m = LIST_ENTRY(mount_list.next, struct mount, node);
            path_copy(out, &(struct path){m, m->root});
        }
        return 0;
    }
    struct file *f = fd_get_any(dirfd);
    if (f == NULL)
        return -EBADF;
    int r = 0;
    if (f->path.dentry != NULL)
        path_copy(out, &f->path);
    else if (*name == '\0' && (flags & PATH_EMPTY) != 0)
        r = path_of_file(f, out);
    else
        r = -ENOTDIR;
    file_put(f);
    return r;
}

static void walk_get_root(struct path *out)
{
    struct process *p = current()->proc;
    if (p != NULL && p->fs != NULL) {
        fsctx_get_root(p->fs, out);
        return;
    }
    struct mount *m = LIST_ENTRY(mount_list.next, struct mount, node);
    path_copy(out, &(struct path){m, m->root});
}

static int walk_to_root(struct walk *w)
{
    if ((w->flags & PATH_BENEATH) != 0)
        return -EXDEV;
    if ((w->flags & PATH_NOXDEV) != 0 && w->at.mount != w->root.mount)
        return -EXDEV;
    struct path p;
    path_copy(&p, &w->root);
    walk_move(w, &p);
    return 0;
}

int walk_init(struct walk *w, int dirfd, const char *name, unsigned flags)
{
    w->root = (struct path){NULL, NULL};
    w->at = (struct path){NULL, NULL};
    w->rest = name;
    w->buf = NULL;
    w->flags = flags;
    w->links = 0;
    w->slash = false;
    w->last_size = 0;
    w->last[0] = '\0';
    size_t len = strnlen(name, PATH_MAX);
    if (len == PATH_MAX)
        return -ENAMETOOLONG;
    if (len == 0 && (flags & PATH_EMPTY) == 0)
        return -ENOENT;
    bool scoped = (flags & (PATH_BENEATH | PATH_IN_ROOT)) != 0;
    if (!scoped)
        walk_get_root(&w->root);
    if (*name == '/' && !scoped) {
        path_copy(&w->at, &w->root);
        return 0;
    }
    int r = walk_start(dirfd, name, flags, &w->at);
    if (r == 0 && scoped)
        path_copy(&w->root, &w->at);
    return r;
}

void walk_fini(struct walk *w)
{
    path_put(&w->root);
    path_put(&w->at);
    kfree(w->buf);
    w->buf = NULL;
}

/* --- one component --- */

/* The cached child or NULL, as dentry_find(). What ended is forgotten. */
static struct dentry *walk_find(struct dentry *parent, const char *name,
                                size_t len)
{
    struct dentry *d = dentry_find(parent, name, len);
    if (d == NULL || (parent->inode->sb->flags & SB_NOCACHE) == 0 ||
        !pseudo_stale(parent->inode, d))
        return d;
    dentry_unhash(d);
    dentry_put(d);
    return NULL;
}

int dentry_lookup_locked(struct dentry *parent, const char *name, size_t len,
                         struct dentry **out)
{
    struct dentry *d = walk_find(parent, name, len);
    if (d == NULL) {
        d = dentry_new(parent, name, len);
        if (d == NULL)
            return -ENOMEM;
        int r = parent->inode->dir->lookup(parent->inode, d);
        if (r < 0 && r != -ENOENT) {
            dentry_put(d);
            return r;
        }
        /* A name in a removed directory must not be found again. */
        if (parent->inode->nlink != 0)
            dentry_add(d);
    }
    *out = d;
    return 0;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t len,
                  struct dentry **out)
{
    struct dentry *d = walk_find(parent, name, len);
    if (d != NULL) {
        *out = d;
        return 0;
    }
    mutex_lock(&parent->inode->lock);
    int r = dentry_lookup_locked(parent, name, len, out);
    mutex_unlock(&parent->inode->lock);
    return r;
}

/* Into whatever is mounted on *p. */
static int path_cross(const struct walk *w, struct path *p)
{
    for (;;) {
        /* Pairs with mount_new. */
        struct mount *m = __atomic_load_n(&p->dentry->mount, __ATOMIC_ACQUIRE);
        if (m == NULL)
            return 0;
        if ((w->flags & PATH_NOXDEV) != 0)
            return -EXDEV;
        struct path in;
        path_copy(&in, &(struct path){m, m->root});
        path_put(p);
        *p = in;
    }
}

static int walk_dotdot(struct walk *w, struct path *out)
{
    const struct dentry *d = w->at.dentry;
    struct mount *m = w->at.mount;
    for (;;) {
        if (d == w->root.dentry && m == w->root.mount) {
            if ((w->flags & PATH_BENEATH) != 0)
                return -EXDEV;
            path_copy(out, &w->root);
            return 0;
        }
        if (m == NULL || d != m->root || m->at == NULL)
            break;
        if ((w->flags & PATH_NOXDEV) != 0)
            return -EXDEV;
        d = m->at;
        m = m->parent;
    }
    spin_lock(&dentry_lock); /* against rename */
    struct path up = {m, d->parent};
    path_copy(out, &up);
    spin_unlock(&dentry_lock);
    return path_cross(w, out);
}

int walk_component(struct walk *w, struct path *out)
{
    struct inode *dir = w->at.dentry->inode;
    *out = (struct path){NULL, NULL};
    if (dir->dir == NULL)
        return -ENOTDIR;
    if (w->last_size == 1 && w->last[0] == '.') {
        path_copy(out, &w->at);
        return 0;
    }
    if (w->last_size == 2 && w->last[0] == '.' && w->last[1] == '.')
        return walk_dotdot(w, out);
    if (w->last_size > NAME_MAX)
        return -ENAMETOOLONG;
    struct dentry *d;
    int r = dentry_lookup(w->at.dentry, w->last, w->last_size, &d);
    if (r < 0)
        return r;
    if (__atomic_load_n(&d->inode, __ATOMIC_ACQUIRE) == NULL) {
        dentry_put(d);
        return -ENOENT;
    }
    *out = (struct path){w->at.mount, d};
    r = path_cross(w, out);
    if (r < 0)
        path_put(out);
    return r;
}

/* --- symbolic links --- */

/* target + what is left, at the right end of w->buf. */
static int walk_splice(struct walk *w, struct inode *link)
{
    size_t rest = strlen(w->rest) + 1;
    if (w->buf == NULL) {
        char *buf = kmalloc(WALK_BUF_SIZE);
        if (buf == NULL)
            return -ENOMEM;
        w->buf = buf;
        memcpy(buf + WALK_BUF_SIZE - rest, w->rest, rest);
    }
    char *tail = w->buf + WALK_BUF_SIZE - rest;
    size_t room = WALK_BUF_SIZE - rest;
    if (room < PATH_MAX + 1)
        return -ENAMETOOLONG;
    int64_t n = link->ops->readlink(link, w->buf, PATH_MAX);
    if (n <= 0)
        return n < 0 ? (int)n : -ENOENT;
    /* `rest` begins with a slash unless it is empty. */
    memmove(tail - n, w->buf, (size_t)n);
    w->rest = tail - n;
    return 0;
}

int walk_follow(struct walk *w, const struct path *link)
{
    struct inode *i = link->dentry->inode;
    if ((w->flags & PATH_NOLINKS) != 0)
        return -ELOOP;
    if (++w->links > WALK_LINKS_MAX)
        return -ELOOP;
    if (i->magic != NULL) {
        if ((w->flags & PATH_NOMAGIC) != 0)
            return -ELOOP;
        if ((w->flags & (PATH_BENEATH | PATH_IN_ROOT)) != 0)
            return -EXDEV;
        struct path to = {NULL, NULL};
        int r = i->magic(i, &to);
        if (r < 0)
            return r;
        if ((w->flags & PATH_NOXDEV) != 0 && to.mount != w->at.mount) {
            path_put(&to);
            return -EXDEV;
        }
        walk_move(w, &to);
        return 0;
    }
    int r = walk_splice(w, i);
    if (r == 0 && *w->rest == '/')
        r = walk_to_root(w);
    return r;
}

/* --- the loop --- */

/* Next component of w->rest into w->last; last_size 0: none left. */
static void walk_next(struct walk *w)
{
    const char *s = w->rest;
    while (*s == '/')
        s++;
    const char *end = s;
    while (*end != '\0' && *end != '/')
        end++;
    size_t n = (size_t)(end - s);
    w->last_size = n;
    /* Too long is noticed by whoever looks it up. */
    size_t keep = MIN(n, (size_t)NAME_MAX);
    memcpy(w->last, s, keep);
    w->last[keep] = '\0';
    w->slash = *end == '/';
    w->rest = end;
    const char *more = end;
    while (*more == '/')
        more++;
    if (*more == '\0')
        w->rest = more; /* that was the last one */
}

/* May a name be looked up in w->at? */
static int walk_search(const struct walk *w)
{
    struct inode *dir = w->at.dentry->inode;
    return dir->dir == NULL ? -ENOTDIR : inode_access(dir, 1);
}

int walk_parent(struct walk *w)
{
    if (*w->rest == '/' && (w->flags & (PATH_BENEATH | PATH_IN_ROOT)) != 0) {
        int r = walk_to_root(w);
        if (r < 0)
            return r;
    }
    for (;;) {
        sched_point();
        walk_next(w);
        int r = w->last_size != 0 ? walk_search(w) : 0;
        if (r < 0 || *w->rest == '\0')
            return r;
        struct path p;
        r = walk_component(w, &p);
        if (r < 0)
            return r;
        if (inode_is(p.dentry->inode, LX_S_IFLNK)) {
            r = walk_follow(w, &p);
            path_put(&p);
            if (r < 0)
                return r;
            continue;
        }
        walk_move(w, &p);
    }
}

int walk_last(struct walk *w)
{
    for (;;) {
        if (w->last_size == 0)
            return 0;
        struct path p;
        int r = walk_component(w, &p);
        if (r < 0)
            return r;
        bool link = inode_is(p.dentry->inode, LX_S_IFLNK);
        if (!link || ((w->flags & PATH_FOLLOW) == 0 && !w->slash)) {
            bool bad = w->slash && p.dentry->inode->dir == NULL;
            walk_move(w, &p);
            return bad ? -ENOTDIR : 0;
        }
        bool slash = w->slash;
        r = walk_follow(w, &p);
        path_put(&p);
        if (r == 0)
            r = walk_parent(w);
        if (r < 0)
            return r;
        w->slash = w->slash || slash;
        if (w->last_size == 0 && w->slash && w->at.dentry->inode->dir == NULL)
            return -ENOTDIR;
    }
}
