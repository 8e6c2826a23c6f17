// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/namei.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/signal.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/inotify.h"
#include "guest/fs/tmpfs.h"
#include "guest/fs/walk.h"

/* Directories move between directories one at a time. */
static struct mutex rename_lock = {.waiters = LIST_INIT(rename_lock.waiters)};

struct name_at { /* parent directory and last component */
    struct path dir;
    bool slash;
    char last[NAME_MAX + 1];
};

static int name_at_get(struct name_at *n, int dirfd, const char *name)
{
    n->dir = (struct path){NULL, NULL};
    return path_walk_parent(dirfd, name, 0, &n->dir, n->last, &n->slash);
}

static bool name_is_special(const char *s)
{
    return s[0] == '\0' || strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
}

/* --- create --- */

int namei_create(const struct path *dir, struct dentry *d, struct inode_new *n)
{
    struct inode *i = dir->dentry->inode;
    int r = dir_may_change(dir);
    if (r < 0)
        return r;
    const struct process *p = current()->proc;
    uint32_t type = n->mode & LX_S_IFMT;
    if ((type == LX_S_IFCHR || type == LX_S_IFBLK) && p != NULL &&
        !cred_capable(p, LX_CAP_MKNOD))
        return -EPERM;
    n->uid = p != NULL ? current()->cred.fsuid : 0;
    n->gid = p != NULL ? current()->cred.fsgid : 0;
    bool is_dir = type == LX_S_IFDIR;
    if (p != NULL && p->fs != NULL && n->target == NULL)
        n->mode &= ~(p->fs->umask & 0777);
    if ((i->mode & LX_S_ISGID) != 0) {
        n->gid = i->gid;
        if (is_dir)
            n->mode |= LX_S_ISGID;
        else if (p != NULL &&
                 (n->mode & (LX_S_ISGID | 010)) == (LX_S_ISGID | 010) &&
                 current()->cred.fsgid != n->gid &&
                 !cred_in_group(&current()->cred, n->gid) &&
                 !cred_capable(p, LX_CAP_FSETID))
            n->mode &= ~LX_S_ISGID;
    }
    r = i->dir->create(i, d, n);
    if (r == 0)
        inotify_name(i, is_dir ? IN_CREATE | IN_ISDIR : IN_CREATE, 0, d->name);
    return r;
}

static int namei_make(int dirfd, const char *name, struct inode_new *n)
{
    struct name_at at;
    int r = name_at_get(&at, dirfd, name);
    if (r < 0)
        return r;
    if (name_is_special(at.last)) {
        path_put(&at.dir);
        return -EEXIST;
    }
    struct inode *dir = at.dir.dentry->inode;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    r = dentry_lookup_locked(at.dir.dentry, at.last, strlen(at.last), &d);
    bool is_dir = (n->mode & LX_S_IFMT) == LX_S_IFDIR;
    if (r == 0 && d->inode != NULL)
        r = -EEXIST;
    if (r == 0 && at.slash && !is_dir)
        r = -ENOENT;
    if (r == 0)
        r = namei_create(&at.dir, d, n);
    mutex_unlock(&dir->lock);
    if (d != NULL)
        dentry_put(d);
    path_put(&at.dir);
    return r;
}

int fs_mknod(int dirfd, const char *name, uint32_t mode, uint64_t rdev)
{
    struct inode_new n = {.mode = mode, .rdev = rdev};
    return namei_make(dirfd, name, &n);
}

int fs_mkdir(int dirfd, const char *name, uint32_t mode)
{
    struct inode_new n = {.mode = LX_S_IFDIR | (mode & 01777)};
    return namei_make(dirfd, name, &n);
}

int fs_symlink(const char *target, int dirfd, const char *name)
{
    if (*target == '\0')
        return -ENOENT;
    struct inode_new n = {.mode = LX_S_IFLNK | 0777, .target = target};
    return namei_make(dirfd, name, &n);
}

/* fs.protected_hardlinks: a name for somebody else's file only if we could
 * write to it and it gives no rights. */
static int link_may(struct inode *i)
{
    const struct process *p = current()->proc;
    const uint32_t sgid = LX_S_ISGID | 0010;
    bool safe = (i->mode & LX_S_IFMT) == LX_S_IFREG &&
                (i->mode & LX_S_ISUID) == 0 && (i->mode & sgid) != sgid &&
                inode_access(i, 6) == 0;
    if (p == NULL || safe || current()->cred.fsuid == i->uid ||
        cred_capable(p, LX_CAP_FOWNER))
        return 0;
    return -EPERM;
}

int namei_link(const struct path *target, int dirfd, const char *name)
{
    struct name_at at;
    int r = name_at_get(&at, dirfd, name);
    if (r < 0)
        return r;
    struct inode *dir = at.dir.dentry->inode;
    struct inode *i = target->dentry->inode;
    struct dentry *d = NULL;
    if (name_is_special(at.last))
        r = -EEXIST;
    else if (target->mount != at.dir.mount)
        r = -EXDEV;
    if (r < 0) {
        path_put(&at.dir);
        return r;
    }
    mutex_lock(&dir->lock);
    r = dentry_lookup_locked(at.dir.dentry, at.last, strlen(at.last), &d);
    if (r == 0 && d->inode != NULL)
        r = -EEXIST;
    if (r == 0 && at.slash)
        r = -ENOENT;
    if (r == 0)
        r = link_may(i);
    if (r == 0)
        r = dir_may_change(&at.dir);
    if (r == 0 && i->dir != NULL)
        r = -EPERM;
    if (r == 0) {
        mutex_lock(&i->lock);
        r = dir->dir->link(dir, d, i);
        mutex_unlock(&i->lock);
    }
    if (r == 0) {
        inotify_inode(i, IN_ATTRIB);
        inotify_name(dir, IN_CREATE, 0, at.last);
    }
    mutex_unlock(&dir->lock);
    if (d != NULL)
        dentry_put(d);
    path_put(&at.dir);
    return r;
}

/* --- remove --- */

static int unlink_check(const struct name_at *at, const struct dentry *d,
                        bool rmdir)
{
    const struct inode *i = d->inode;
    if (i == NULL)
        return -ENOENT;
    if (!rmdir && at->slash)
        return i->dir != NULL ? -EISDIR : -ENOTDIR;
    int r = dir_may_remove(&at->dir, i);
    if (r < 0)
        return r;
    if (rmdir && i->dir == NULL)
        return -ENOTDIR;
    if (!rmdir && i->dir != NULL)
        return -EISDIR;
    return d->mount != NULL ? -EBUSY : 0;
}

static int unlink_special(const char *last, bool rmdir)
{
    if (!rmdir)
        return -EISDIR;
    if (last[0] == '\0')
        return -EBUSY;
    return last[1] == '\0' ? -EINVAL : -ENOTEMPTY;
}

/* A name of `i` is gone; tell who watches it. */
static void namei_unlinked(struct inode *i, bool links)
{
    if (links)
        inotify_inode(i, IN_ATTRIB);
    inotify_unlinked(i);
}

int namei_unlink(int dirfd, const char *name, bool rmdir)
{
    struct name_at at;
    int r = name_at_get(&at, dirfd, name);
    if (r < 0)
        return r;
    if (name_is_special(at.last)) {
        r = unlink_special(at.last, rmdir);
        path_put(&at.dir);
        return r;
    }
    struct inode *dir = at.dir.dentry->inode;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    r = dentry_lookup_locked(at.dir.dentry, at.last, strlen(at.last), &d);
    if (r == 0)
        r = unlink_check(&at, d, rmdir);
    if (r == 0) {
        struct inode *i = d->inode;
        mutex_lock(&i->lock);
        r = dir->dir->unlink(dir, d);
        mutex_unlock(&i->lock);
    }
    mutex_unlock(&dir->lock);
    if (r == 0)
        namei_unlinked(d->inode, !rmdir);
    if (d != NULL)
        dentry_put(d); /* the last use of the inode, often: unlocked by now */
    if (r == 0)
        inotify_name(dir, rmdir ? IN_DELETE | IN_ISDIR : IN_DELETE, 0, at.last);
    path_put(&at.dir);
    return r;
}

/* --- rename --- */

static bool dentry_is_below(const struct dentry *d, const struct dentry *top)
{
    spin_lock(&dentry_lock);
    while (d != top && d->parent != d)
        d = d->parent;
    spin_unlock(&dentry_lock);
    return d == top;
}

/* Ancestors first, else by address; both may be the same. */
static void rename_lock_dirs(struct dentry *a, struct dentry *b)
{
    if (a == b) {
        mutex_lock(&a->inode->lock);
        return;
    }
    mutex_lock(&rename_lock);
    bool a_first =
        dentry_is_below(b, a) ||
        (!dentry_is_below(a, b) && (uintptr_t)a->inode < (uintptr_t)b->inode);
    mutex_lock(a_first ? &a->inode->lock : &b->inode->lock);
    mutex_lock(a_first ? &b->inode->lock : &a->inode->lock);
}

static void rename_unlock_dirs(struct dentry *a, struct dentry *b)
{
    mutex_unlock(&a->inode->lock);
    if (a == b)
        return;
    mutex_unlock(&b->inode->lock);
    mutex_unlock(&rename_lock);
}

struct renaming {
    struct name_at from, to;
    struct dentry *d, *over;
    unsigned flags;
};

/* May the thing called d leave its directory; `mate` takes its place or is
 * replaced (NULL or negative: nothing). */
static int rename_check_end(const struct path *dir, const struct dentry *d,
                            const struct dentry *mate, bool exchange)
{
    int r = dir_may_remove(dir, d->inode);
    if (r < 0)
        return r;
    if (d->mount != NULL)
        return -EBUSY;
    if (mate == NULL || mate->inode == NULL || exchange)
        return 0;
    if (d->inode->dir != NULL && mate->inode->dir == NULL)
        return -EISDIR;
    if (d->inode->dir == NULL && mate->inode->dir != NULL)
        return -ENOTDIR;
    return 0;
}

static int rename_check_names(const struct renaming *n)
{
    if (n->d->inode == NULL)
        return -ENOENT;
    bool exchange = (n->flags & LX_RENAME_EXCHANGE) != 0;
    if ((n->flags & LX_RENAME_NOREPLACE) != 0 && n->over->inode != NULL)
        return -EEXIST;
    if (exchange && n->over->inode == NULL)
        return -ENOENT;
    if (exchange && n->over->inode->dir == NULL && n->to.slash)
        return -ENOTDIR;
    if (n->d->inode->dir == NULL &&
        (n->from.slash || (n->to.slash && !exchange)))
        return -ENOTDIR;
    if (n->d->inode->dir != NULL && dentry_is_below(n->to.dir.dentry, n->d))
        return -EINVAL;
    if (n->over->inode != NULL && n->over->inode->dir != NULL &&
        dentry_is_below(n->from.dir.dentry, n->over))
        return exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int rename_check(const struct renaming *n)
{
    bool exchange = (n->flags & LX_RENAME_EXCHANGE) != 0;
    int r = rename_check_end(&n->from.dir, n->d, NULL, exchange);
    if (r == 0 && n->over->inode == NULL)
        r = dir_may_change(&n->to.dir);
    else if (r == 0)
        r = rename_check_end(&n->to.dir, n->over, n->d, exchange);
    bool moves = n->from.dir.dentry != n->to.dir.dentry;
    /* ".." of a moved directory is written. */
    if (r == 0 && moves && n->d->inode->dir != NULL)
        r = inode_access(n->d->inode, 2);
    if (r == 0 && moves && exchange && n->over->inode->dir != NULL)
        r = inode_access(n->over->inode, 2);
    return r;
}

static int rename_locked(struct renaming *n)
{
    struct dentry *from = n->from.dir.dentry;
    struct dentry *to = n->to.dir.dentry;
    int r =
        dentry_lookup_locked(from, n->from.last, strlen(n->from.last), &n->d);
    if (r == 0)
        r = dentry_lookup_locked(to, n->to.last, strlen(n->to.last), &n->over);
    if (r == 0)
        r = rename_check_names(n);
    if (r < 0)
        return r;
    if (n->d->inode == n->over->inode)
        return 0; /* two names of one file: both stay */
    r = rename_check(n);
    if (r < 0)
        return r;
    if ((n->flags & LX_RENAME_EXCHANGE) != 0)
        return tmpfs_exchange(from->inode, n->d, to->inode, n->over);
    struct inode *victim = n->over->inode;
    if (victim != NULL)
        mutex_lock(&victim->lock);
    r = from->inode->dir->rename(from->inode, n->d, to->inode, n->over);
    if (victim != NULL)
        mutex_unlock(&victim->lock);
    return r;
}

/* One end to the other, and what was moved. */
static void rename_tell_move(const struct name_at *from,
                             const struct name_at *to, struct inode *i)
{
    uint32_t cookie = inotify_cookie();
    uint32_t dir = i->dir != NULL ? IN_ISDIR : 0;
    inotify_name(from->dir.dentry->inode, IN_MOVED_FROM | dir, cookie,
                 from->last);
    inotify_name(to->dir.dentry->inode, IN_MOVED_TO | dir, cookie, to->last);
}

static void rename_tell(struct renaming *n)
{
    struct inode *victim = n->over->inode;
    bool exchange = (n->flags & LX_RENAME_EXCHANGE) != 0;
    rename_tell_move(&n->from, &n->to, n->d->inode);
    if (victim != NULL && exchange)
        rename_tell_move(&n->to, &n->from, victim);
    else if (victim != NULL)
        namei_unlinked(victim, victim->dir == NULL);
    inotify_name(n->d->inode, IN_MOVE_SELF, 0, NULL);
    if (victim != NULL && exchange)
        inotify_name(victim, IN_MOVE_SELF, 0, NULL);
}

static int rename_run(struct renaming *n, const char *from_name, int from_fd,
                      const char *to_name, int to_fd)
{
    int r = name_at_get(&n->from, from_fd, from_name);
    if (r == 0)
        r = name_at_get(&n->to, to_fd, to_name);
    if (r < 0)
        return r;
    if (n->from.dir.mount != n->to.dir.mount)
        return -EXDEV;
    if (name_is_special(n->from.last))
        return -EBUSY;
    if (name_is_special(n->to.last))
        return (n->flags & LX_RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    rename_lock_dirs(n->from.dir.dentry, n->to.dir.dentry);
    r = rename_locked(n);
    rename_unlock_dirs(n->from.dir.dentry, n->to.dir.dentry);
    if (r == 0 && inotify_any() && n->d->inode != n->over->inode)
        rename_tell(n);
    return r;
}

int namei_rename(int from_fd, const char *from, int to_fd, const char *to,
                 unsigned flags)
{
    const unsigned known = LX_RENAME_NOREPLACE | LX_RENAME_EXCHANGE;
    if ((flags & ~known) != 0 || flags == known)
        return -EINVAL;
    /* Two names: too much for the stack. */
    struct renaming *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return -ENOMEM;
    n->flags = flags;
    int r = rename_run(n, from, from_fd, to, to_fd);
    if (n->d != NULL)
        dentry_put(n->d);
    if (n->over != NULL)
        dentry_put(n->over);
    path_put(&n->from.dir);
    path_put(&n->to.dir);
    kfree(n);
    return r;
}

/* --- contents --- */

uint32_t inode_suid_after_write(const struct inode *i)
{
    const struct process *p = current()->proc;
    uint32_t bits = i->mode & LX_S_ISUID;
    if ((i->mode & (LX_S_ISGID | 010)) == (LX_S_ISGID | 010))
        bits |= LX_S_ISGID;
    if (bits == 0 || p == NULL || (i->mode & LX_S_IFMT) != LX_S_IFREG ||
        cred_capable(p, LX_CAP_FSETID))
        return 0;
    return bits;
}

int fs_truncate(struct inode *i, uint64_t size)
{
    const struct process *p = current()->proc;
    if (p != NULL && size > i->size && size > p->rlimits[LX_RLIMIT_FSIZE].cur) {
        struct lx_siginfo si;
        signal_info(&si, LX_SIGXFSZ, LX_SI_KERNEL);
        (void)signal_send_task(current(), &si);
        return -EFBIG;
    }
    mutex_lock(&i->lock);
    struct iattr a = {.valid = IATTR_SIZE, .size = size};
    uint32_t suid = inode_suid_after_write(i);
    if (suid != 0) {
        a.valid |= IATTR_MODE;
        a.mode = i->mode & 07777 & ~suid;
    }
    int r = i->ops->setattr(i, &a);
    mutex_unlock(&i->lock);
    return r;
}

/* Directories above `name`. */
static int fs_make_parents(char *name)
{
    for (char *s = strchr(name + 1, '/'); s != NULL; s = strchr(s + 1, '/')) {
        *s = '\0';
        int r = fs_mkdir(AT_FDCWD, name, 0755);
        *s = '/';
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return 0;
}

int fs_write_file(const char *name, uint32_t mode, const void *data,
                  size_t size)
{
    char *copy = kstrdup(name);
    if (copy == NULL)
        return -ENOMEM;
    int r = fs_make_parents(copy);
    kfree(copy);
    if (r < 0)
        return r;
    /* What is there may be a link to somewhere else. */
    r = namei_unlink(AT_FDCWD, name, false);
    if (r < 0 && r != -ENOENT)
        return r;
    struct file *f;
    r = file_open(AT_FDCWD, name, LX_O_WRONLY | LX_O_CREAT | LX_O_EXCL, mode, 0,
                  &f);
    if (r < 0)
        return r;
    char *bytes = kmalloc(size + 1);
    int64_t n = -ENOMEM;
    if (bytes != NULL) {
        memcpy(bytes, data, size);
        struct uio u;
        struct uio_seg seg;
        uint64_t pos = 0;
        uio_kernel(&u, &seg, bytes, size);
        n = f->ops->write(f, &u, &pos);
        kfree(bytes);
    }
    file_put(f);
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : -ENOSPC;
}
