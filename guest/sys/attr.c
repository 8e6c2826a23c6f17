// SPDX-License-Identifier: Apache-2.0
/* Changes of what files are: mode, owner, times, length. */
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/namei.h"
#include "guest/fs/path.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

static bool is_owner(const struct inode *i)
{
    const struct process *p = current()->proc;
    return current()->cred.fsuid == i->uid || cred_capable(p, LX_CAP_FOWNER);
}

/* --- chmod(2) --- */

static int64_t chmod_path(const struct path *p, uint32_t mode)
{
    const struct inode *i = p->dentry->inode;
    const struct process *proc = current()->proc;
    struct iattr a = {.valid = IATTR_MODE, .mode = mode & 07777};
    if ((i->mode & LX_S_IFMT) == LX_S_IFLNK)
        return -EOPNOTSUPP;
    if (!is_owner(i))
        return -EPERM;
    if (current()->cred.fsgid != i->gid &&
        !cred_in_group(&current()->cred, i->gid) &&
        !cred_capable(proc, LX_CAP_FSETID))
        a.mode &= ~LX_S_ISGID;
    return path_setattr(p, &a);
}

static int64_t chmod_at(uint64_t dirfd, uint64_t name, uint32_t mode,
                        uint32_t flags)
{
    struct path p;
    if ((flags & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    int64_t r = at_path(dirfd, name, flags, true, &p);
    if (r < 0)
        return r;
    r = chmod_path(&p, mode);
    path_put(&p);
    return r;
}

int64_t sys_fchmodat(const uint64_t *a)
{
    return chmod_at(a[0], a[1], (uint32_t)a[2], 0);
}

int64_t sys_fchmodat2(const uint64_t *a)
{
    return chmod_at(a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
}

int64_t sys_chmod(const uint64_t *a)
{
    return chmod_at((uint64_t)AT_FDCWD, a[0], (uint32_t)a[1], 0);
}

/* Path of a descriptor that is really open (O_PATH is EBADF). */
static int open_fd_path(uint64_t fd, struct path *out)
{
    struct file *f = fd_get(arg_fd(fd));
    if (f == NULL)
        return -EBADF;
    int r = path_of_file(f, out);
    file_put(f);
    return r;
}

int64_t sys_fchmod(const uint64_t *a)
{
    struct path p;
    int64_t r = open_fd_path(a[0], &p);
    if (r < 0)
        return r;
    r = chmod_path(&p, (uint32_t)a[1]);
    path_put(&p);
    return r;
}

/* --- chown(2) --- */

static int64_t chown_path(const struct path *p, uint32_t uid, uint32_t gid)
{
    const struct inode *i = p->dentry->inode;
    const struct process *proc = current()->proc;
    const struct cred *c = &current()->cred;
    struct iattr a = {.uid = uid, .gid = gid};
    if (uid != UINT32_MAX)
        a.valid |= IATTR_UID;
    if (gid != UINT32_MAX)
        a.valid |= IATTR_GID;
    bool any = cred_capable(proc, LX_CAP_CHOWN);
    bool own = c->fsuid == i->uid;
    if (uid != UINT32_MAX && !any && !(own && uid == i->uid))
        return -EPERM;
    if (gid != UINT32_MAX && !any &&
        !(own && (gid == c->fsgid || gid == i->gid || cred_in_group(c, gid))))
        return -EPERM;
    if (i->dir == NULL && (i->mode & 06000) != 0) {
        a.valid |= IATTR_MODE;
        a.mode = i->mode & 07777 & ~LX_S_ISUID;
        if ((i->mode & 010) != 0)
            a.mode &= ~LX_S_ISGID;
    }
    return path_setattr(p, &a);
}

static int64_t chown_at(uint64_t dirfd, uint64_t name, uint64_t owner,
                        uint64_t group, uint32_t flags)
{
    struct path p;
    if ((flags & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    int64_t r = at_path(dirfd, name, flags, true, &p);
    if (r < 0)
        return r;
    r = chown_path(&p, (uint32_t)owner, (uint32_t)group);
    path_put(&p);
    return r;
}

int64_t sys_fchownat(const uint64_t *a)
{
    return chown_at(a[0], a[1], a[2], a[3], (uint32_t)a[4]);
}

int64_t sys_chown(const uint64_t *a)
{
    return chown_at((uint64_t)AT_FDCWD, a[0], a[1], a[2], 0);
}

int64_t sys_lchown(const uint64_t *a)
{
    return chown_at((uint64_t)AT_FDCWD, a[0], a[1], a[2],
                    LX_AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchown(const uint64_t *a)
{
    struct path p;
    int64_t r = open_fd_path(a[0], &p);
    if (r < 0)
        return r;
    r = chown_path(&p, (uint32_t)a[1], (uint32_t)a[2]);
    path_put(&p);
    return r;
}

/* --- utimensat(2) --- */

static struct lx_timespec time_now(void)
{
    uint64_t ns = clock_wall();
    return (struct lx_timespec){(int64_t)(ns / NSEC_PER_SEC),
                                (int64_t)(ns % NSEC_PER_SEC)};
}

/* One of the two times: what it means for *out. */
static int time_resolve(struct lx_timespec *t, uint32_t bit, uint32_t *valid)
{
    if (t->nsec == LX_UTIME_OMIT)
        return 0;
    if (t->nsec == LX_UTIME_NOW)
        *t = time_now();
    else if (t->nsec < 0 || t->nsec >= (int64_t)NSEC_PER_SEC)
        return -EINVAL;
    *valid |= bit;
    return 0;
}

/* `t` NULL: both now, for which write permission is enough. */
static int64_t utimes_path(const struct path *p, const struct lx_timespec *t)
{
    struct iattr a = {.valid = 0};
    struct inode *i = p->dentry->inode;
    bool now =
        t == NULL || (t[0].nsec == LX_UTIME_NOW && t[1].nsec == LX_UTIME_NOW);
    a.atime = t != NULL ? t[0] : (struct lx_timespec){0, LX_UTIME_NOW};
    a.mtime = t != NULL ? t[1] : (struct lx_timespec){0, LX_UTIME_NOW};
    int r = time_resolve(&a.atime, IATTR_ATIME, &a.valid);
    if (r == 0)
        r = time_resolve(&a.mtime, IATTR_MTIME, &a.valid);
    if (r < 0 || a.valid == 0)
        return r;
    if (!is_owner(i)) {
        r = now ? inode_access(i, 2) : -EPERM;
        if (r < 0)
            return r;
    }
    return path_setattr(p, &a);
}

/* name 0: the descriptor itself. */
static int64_t utimes_at(uint64_t dirfd, uint64_t name, uint32_t flags,
                         const struct lx_timespec *t)
{
    struct path p;
    if ((flags & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    int64_t r = name == 0 && arg_fd(dirfd) != AT_FDCWD
                    ? open_fd_path(dirfd, &p)
                    : at_path(dirfd, name, flags, true, &p);
    if (r < 0)
        return r;
    r = utimes_path(&p, t);
    path_put(&p);
    return r;
}

int64_t sys_utimensat(const uint64_t *a)
{
    struct lx_timespec t[2];
    if (a[2] != 0 && copy_from_user(t, uptr(a[2]), sizeof(t)) < 0)
        return -EFAULT;
    if (a[2] != 0 && t[0].nsec == LX_UTIME_OMIT && t[1].nsec == LX_UTIME_OMIT)
        return 0; /* without a look at the name */
    return utimes_at(a[0], a[1], (uint32_t)a[3], a[2] != 0 ? t : NULL);
}

/* Microseconds, as utimes(2) and futimesat(2) have them. */
static int64_t utimes_usec(uint64_t dirfd, uint64_t name, uint64_t times)
{
    struct lx_timespec t[2];
    if (times == 0)
        return utimes_at(dirfd, name, 0, NULL);
    if (copy_from_user(t, uptr(times), sizeof(t)) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < 2; i++) {
        if (t[i].nsec < 0 || t[i].nsec >= 1000000)
            return -EINVAL;
        t[i].nsec *= 1000;
    }
    return utimes_at(dirfd, name, 0, t);
}

int64_t sys_utimes(const uint64_t *a)
{
    return utimes_usec((uint64_t)AT_FDCWD, a[0], a[1]);
}

int64_t sys_futimesat(const uint64_t *a)
{
    return utimes_usec(a[0], a[1], a[2]);
}

int64_t sys_utime(const uint64_t *a)
{
    int64_t sec[2];
    if (a[1] == 0)
        return utimes_at((uint64_t)AT_FDCWD, a[0], 0, NULL);
    if (copy_from_user(sec, uptr(a[1]), sizeof(sec)) < 0)
        return -EFAULT;
    const struct lx_timespec t[2] = {{sec[0], 0}, {sec[1], 0}};
    return utimes_at((uint64_t)AT_FDCWD, a[0], 0, t);
}

/* --- length --- */

int64_t sys_truncate(const uint64_t *a)
{
    struct path p;
    if ((int64_t)a[1] < 0)
        return -EINVAL;
    int64_t r = at_path((uint64_t)AT_FDCWD, a[0], 0, true, &p);
    if (r < 0)
        return r;
    struct inode *i = p.dentry->inode;
    if (i->dir != NULL)
        r = -EISDIR;
    else if ((i->mode & LX_S_IFMT) != LX_S_IFREG)
        r = -EINVAL;
    else
        r = path_access(&p, 2);
    if (r == 0 && __atomic_load_n(&i->writers, __ATOMIC_RELAXED) < 0)
        r = -ETXTBSY;
    if (r == 0)
        r = fs_truncate(i, a[1]);
    if (r == 0)
        inotify_dentry(p.dentry, IN_MODIFY);
    path_put(&p);
    return r;
}

int64_t sys_ftruncate(const uint64_t *a)
{
    if ((int64_t)a[1] < 0)
        return -EINVAL;
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    bool good = (f->inode->mode & LX_S_IFMT) == LX_S_IFREG &&
                (f->mode & FILE_WRITE) != 0;
    int64_t r = good ? fs_truncate(f->inode, a[1]) : -EINVAL;
    if (r == 0)
        inotify_dentry(f->path.dentry, IN_MODIFY);
    file_put(f);
    return r;
}

static int64_t fallocate_file(struct file *f, uint32_t mode, uint64_t off,
                              uint64_t len)
{
    struct inode *i = f->inode;
    if ((f->mode & FILE_WRITE) == 0)
        return -EBADF;
    if ((i->mode & LX_S_IFMT) == LX_S_IFIFO)
        return -ESPIPE;
    if (i->dir != NULL)
        return -EISDIR;
    if ((i->mode & LX_S_IFMT) != LX_S_IFREG)
        return -ENODEV;
    if (len > (uint64_t)INT64_MAX - off)
        return -EFBIG;
    if (!tmpfs_owns(i))
        return -EOPNOTSUPP;
    const struct process *p = current()->proc;
    if ((mode & LX_FALLOC_KEEP_SIZE) == 0 && off + len > i->size &&
        off + len > p->rlimits[LX_RLIMIT_FSIZE].cur) {
        struct lx_siginfo si;
        signal_info(&si, LX_SIGXFSZ, LX_SI_KERNEL);
        (void)signal_send_task(current(), &si);
        return -EFBIG;
    }
    int r = tmpfs_fallocate(i, mode, off, len);
    if (r == 0)
        inotify_dentry(f->path.dentry, IN_MODIFY);
    return r;
}

int64_t sys_fallocate(const uint64_t *a)
{
    if ((int64_t)a[2] < 0 || (int64_t)a[3] <= 0)
        return -EINVAL;
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = fallocate_file(f, (uint32_t)a[1], a[2], a[3]);
    file_put(f);
    return r;
}
