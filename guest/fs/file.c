// SPDX-License-Identifier: Apache-2.0
/* Open file descriptions; open(2). */
#include "guest/fs/file.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/flock.h"
#include "guest/fs/fs.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/namei.h"
#include "guest/fs/poll.h"
#include "guest/fs/tmpfs.h"
#include "guest/fs/walk.h"

static uint32_t file_mode(uint32_t flags)
{
    if ((flags & LX_O_PATH) != 0)
        return FILE_PATH;
    switch (flags & LX_O_ACCMODE) {
    case LX_O_RDONLY: return FILE_READ;
    case LX_O_WRONLY: return FILE_WRITE;
    case LX_O_RDWR: return FILE_READ | FILE_WRITE;
    default: return 0; /* 3: ioctl only */
    }
}

static uint32_t files; /* atomic: how many there are */

uint32_t file_count(void)
{
    return __atomic_load_n(&files, __ATOMIC_RELAXED);
}

struct file *file_new(const struct file_ops *ops, struct inode *i,
                      uint32_t flags)
{
    struct file *f = kzalloc(sizeof(*f));
    if (f == NULL)
        return NULL;
    (void)__atomic_add_fetch(&files, 1, __ATOMIC_RELAXED);
    f->ops = ops;
    f->inode = i;
    inode_get(i);
    f->refs = 1;
    f->flags = flags & ~(LX_O_CREAT | LX_O_EXCL | LX_O_TRUNC | LX_O_CLOEXEC);
    f->mode = file_mode(flags);
    mutex_init(&f->pos_lock);
    return f;
}

/* One more writer (step 1) or runner (-1): never both. */
static int file_count_writer(struct file *f, int32_t step)
{
    int32_t *n = &f->inode->writers;
    int32_t old = __atomic_load_n(n, __ATOMIC_RELAXED);
    do {
        if ((step > 0 && old < 0) || (step < 0 && old > 0))
            return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(n, &old, old + step, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    f->mode |= step > 0 ? FILE_WRITER : FILE_DENIER;
    return 0;
}

int file_deny_write(struct file *f)
{
    return file_count_writer(f, -1);
}

void file_allow_write(struct file *f)
{
    if ((f->mode & (FILE_WRITER | FILE_DENIER)) != 0)
        __atomic_fetch_add(&f->inode->writers,
                           (f->mode & FILE_WRITER) != 0 ? -1 : 1,
                           __ATOMIC_ACQ_REL);
    f->mode &= ~(FILE_WRITER | FILE_DENIER);
}

static int file_open_write(struct file *f)
{
    bool regular = (f->inode->mode & LX_S_IFMT) == LX_S_IFREG;
    bool write = (f->mode & FILE_WRITE) != 0;
    return regular && write ? file_count_writer(f, 1) : 0;
}

void file_get(struct file *f)
{
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

static void file_release(struct file *f)
{
    if (inotify_any() && (f->mode & (FILE_PATH | FILE_FAILED)) == 0)
        inotify_dentry(f->path.dentry, (f->mode & FILE_WRITE) != 0
                                           ? IN_CLOSE_WRITE
                                           : IN_CLOSE_NOWRITE);
    if (f->inode->locks != NULL) {
        flock_release(f->inode, FLOCK_WHOLE, f);
        flock_release(f->inode, FLOCK_OFD, f);
    }
    if (f->epolls != NULL)
        epoll_file_released(f);
    fasync_release(f);
    f->ops->release(f);
    file_allow_write(f);
    path_put(&f->path);
    inode_put(f->inode);
    kfree(f);
    (void)__atomic_sub_fetch(&files, 1, __ATOMIC_RELAXED);
}

/* A file that is released may hold the last reference to another (a socket
 * with files in its queue), and so on: a list, not recursion. */
void file_put(struct file *f)
{
    uint32_t before = __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL);
    KASSERT(before != 0);
    if (before != 1)
        return;
    struct task *t = current();
    if (t == NULL) {
        file_release(f);
        return;
    }
    f->next_dead = t->dead_files;
    t->dead_files = f;
    if (t->putting_files)
        return;
    t->putting_files = true;
    while (t->dead_files != NULL) {
        f = t->dead_files;
        t->dead_files = f->next_dead;
        file_release(f);
        if (t->dead_files != NULL)
            sched_point();
    }
    t->putting_files = false;
}

int path_of_file(struct file *f, struct path *out)
{
    if (f->path.dentry != NULL) {
        path_copy(out, &f->path);
        return 0;
    }
    struct dentry *d = dentry_new_root(f->inode);
    if (d == NULL)
        return -ENOMEM;
    inode_get(f->inode);
    *out = (struct path){NULL, d};
    return 0;
}

int64_t file_pread(struct file *f, void *to, size_t n, uint64_t pos)
{
    struct uio u;
    struct uio_seg seg;
    uio_kernel(&u, &seg, to, n);
    return f->ops->read(f, &u, &pos);
}

/* --- open(2) --- */

/* What open may do to an existing object, in Linux's order. */
static int open_check(const struct path *p, uint32_t flags)
{
    static const unsigned char may_of[4] = {4, 2, 6, 6};
    struct inode *i = p->dentry->inode;
    unsigned may = may_of[flags & LX_O_ACCMODE];
    bool is_dir = i->dir != NULL;
    if ((flags & LX_O_TRUNC) != 0)
        may |= 2;
    if ((i->mode & LX_S_IFMT) == LX_S_IFLNK)
        return -ELOOP;
    if (is_dir && (may & 2) != 0)
        return -EISDIR;
    if ((i->mode & LX_S_IFMT) == LX_S_IFSOCK)
        return -ENXIO;
    bool nodev = p->mount != NULL && (p->mount->flags & LX_MS_NODEV) != 0;
    uint32_t type = i->mode & LX_S_IFMT;
    if (nodev && (type == LX_S_IFCHR || type == LX_S_IFBLK))
        return -EACCES;
    int r = path_access(p, may);
    if (r < 0)
        return r;
    struct process *proc = current()->proc;
    if ((flags & LX_O_NOATIME) != 0 && proc != NULL &&
        current()->cred.fsuid != i->uid && !cred_capable(proc, LX_CAP_FOWNER))
        return -EPERM;
    return 0;
}

/* Let the object itself take part: sets f->ops. */
static int open_object(struct file *f)
{
    struct inode *i = f->inode;
    switch (i->mode & LX_S_IFMT) {
    case LX_S_IFDIR:
        f->ops = i->file_ops != NULL ? i->file_ops : &dir_file_ops;
        return 0;
    case LX_S_IFCHR:
        f->mode |= FILE_STREAM; /* the memory devices take it back */
        if (i->file_ops == NULL)
            return dev_open(f, i->rdev);
        break;
    case LX_S_IFIFO:
        if (i->file_ops == NULL)
            return fifo_open(f);
        f->mode |= FILE_STREAM; /* an anonymous pipe opened anew */
        break;
    default: break;
    }
    if (i->file_ops == NULL)
        return -ENXIO;
    f->ops = i->file_ops;
    return 0;
}

static int open_truncate(struct file *f)
{
    struct inode *i = f->inode;
    if ((i->mode & LX_S_IFMT) != LX_S_IFREG)
        return 0;
    int r = fs_truncate(i, 0);
    if (r == 0)
        inotify_dentry(f->path.dentry, IN_MODIFY);
    return r;
}

int file_open_path(const struct path *p, uint32_t flags, struct file **out)
{
    struct inode *i = p->dentry->inode;
    int r = 0;
    if ((flags & LX_O_PATH) == 0)
        r = open_check(p, flags);
    if (r < 0)
        return r;
    struct file *f = file_new(&no_file_ops, i, flags);
    if (f == NULL)
        return -ENOMEM;
    path_copy(&f->path, p);
    if ((flags & LX_O_PATH) == 0)
        r = open_object(f);
    if (r == 0 && (flags & LX_O_PATH) == 0)
        r = file_open_write(f);
    f->flags &= ~LX_O_NOCTTY; /* terminals have looked at it */
    if (r == 0 && (flags & LX_O_PATH) == 0)
        inotify_dentry(p->dentry, IN_OPEN);
    if (r == 0 && (flags & LX_O_TRUNC) != 0 && (flags & LX_O_PATH) == 0)
        r = open_truncate(f);
    if (r < 0) {
        f->ops = &no_file_ops;
        f->mode |= FILE_FAILED;
        file_put(f);
        return r;
    }
    *out = f;
    return 0;
}

/* The file `w->last` in `w->at`, made if it is not there. *p is what was
 * found or made; *made tells. The directory's mutex is held. */
static int open_create_locked(struct walk *w, uint32_t flags, uint32_t mode,
                              struct path *p, bool *made)
{
    struct dentry *d;
    int r = dentry_lookup_locked(w->at.dentry, w->last, w->last_size, &d);
    if (r < 0)
        return r;
    if (d->inode == NULL) {
        struct inode_new n = {.mode = LX_S_IFREG | (mode & 07777)};
        r = namei_create(&w->at, d, &n);
        *made = r == 0;
    } else if ((flags & LX_O_EXCL) != 0) {
        r = -EEXIST;
    }
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *p = (struct path){w->at.mount, d};
    return 0;
}

/* The last component with O_CREAT: *p is the file. -EAGAIN: it was a link, now
 * followed; walk on. */
static int open_create(struct walk *w, uint32_t flags, uint32_t mode,
                       struct path *p, bool *made)
{
    struct inode *dir = w->at.dentry->inode;
    if (w->last_size > NAME_MAX)
        return -ENAMETOOLONG;
    mutex_lock(&dir->lock);
    int r = open_create_locked(w, flags, mode, p, made);
    mutex_unlock(&dir->lock);
    if (r < 0 || *made)
        return r;
    const struct inode *i = p->dentry->inode;
    bool link = (i->mode & LX_S_IFMT) == LX_S_IFLNK;
    if (link && (flags & LX_O_NOFOLLOW) == 0) {
        r = walk_follow(w, p);
        if (r == 0)
            r = -EAGAIN;
    } else if (i->dir != NULL) {
        r = -EISDIR;
    }
    if (r < 0)
        path_put(p);
    return r;
}

static bool walk_last_is_dots(const struct walk *w)
{
    return w->last[0] == '.' &&
           (w->last_size == 1 || (w->last_size == 2 && w->last[1] == '.'));
}

static int open_walk_create(struct walk *w, uint32_t flags, uint32_t mode,
                            bool *made)
{
    for (;;) {
        int r = walk_parent(w);
        if (r < 0)
            return r;
        bool dots = w->last_size == 0 || walk_last_is_dots(w);
        if (dots && (flags & LX_O_EXCL) != 0)
            return -EEXIST;
        if (w->last_size == 0) /* "/", or where a magic link led */
            return w->at.dentry->inode->dir != NULL ? -EISDIR : 0;
        if (dots || w->slash)
            return -EISDIR;
        struct path p;
        r = open_create(w, flags, mode, &p, made);
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return r;
        path_put(&w->at);
        w->at = p;
        return 0;
    }
}

static int open_tmpfile(const struct path *dir, uint32_t flags, uint32_t mode,
                        struct file **out)
{
    if (dir->dentry->inode->dir == NULL)
        return -ENOTDIR;
    int r = dir_may_change(dir);
    if (r < 0)
        return r;
    return tmpfs_tmpfile(dir, flags, mode, out);
}

int file_open(int dirfd, const char *name, uint32_t flags, uint32_t mode,
              unsigned resolve, struct file **out)
{
    if ((flags & LX_O_PATH) != 0)
        flags &= LX_O_PATH | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_CLOEXEC;
    bool tmpfile = (flags & LX_O_TMPFILE) == LX_O_TMPFILE;
    if (tmpfile && (flags & LX_O_ACCMODE) == LX_O_RDONLY)
        return -EINVAL;
    if ((flags & LX_O_CREAT) != 0 && (flags & LX_O_DIRECTORY) != 0)
        return -EINVAL;
    bool excl = (flags & LX_O_CREAT) != 0 && (flags & LX_O_EXCL) != 0;
    if (excl)
        flags |= LX_O_NOFOLLOW;
    struct walk w;
    bool made = false;
    bool follow = (flags & LX_O_NOFOLLOW) == 0;
    int r = walk_init(&w, dirfd, name, resolve | (follow ? PATH_FOLLOW : 0));
    if (r == 0 && (flags & LX_O_CREAT) != 0) {
        r = open_walk_create(&w, flags, mode, &made);
    } else if (r == 0) {
        r = walk_parent(&w);
        if (r == 0)
            r = walk_last(&w);
    }
    if (r == 0 && (flags & LX_O_DIRECTORY) != 0 &&
        w.at.dentry->inode->dir == NULL)
        r = -ENOTDIR;
    if (r == 0 && tmpfile)
        r = open_tmpfile(&w.at, flags, mode, out);
    else if (r == 0 && made)
        r = file_open_made(&w.at, flags & ~LX_O_TRUNC, out);
    else if (r == 0)
        r = file_open_path(&w.at, flags, out);
    walk_fini(&w);
    return r;
}

/* A file this very open made: its mode does not bind the maker. */
int file_open_made(const struct path *p, uint32_t flags, struct file **out)
{
    struct inode *i = p->dentry->inode;
    struct file *f = file_new(i->file_ops, i, flags);
    if (f == NULL)
        return -ENOMEM;
    path_copy(&f->path, p);
    (void)file_open_write(f); /* new: nobody runs it */
    inotify_dentry(p->dentry, IN_OPEN);
    *out = f;
    return 0;
}
