// SPDX-License-Identifier: Apache-2.0
/* fcntl, ioctl, locks, and the calls that ask for storage to be synced. */
#include "abi/linux/fcntl.h"

#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/fasync.h"
#include "guest/fs/file.h"
#include "guest/fs/flock.h"
#include "guest/fs/inode.h"
#include "guest/fs/pipe.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

/* --- record locks --- */

/* l_start, l_whence and l_len to first and last byte. */
static int lock_range(struct file *f, const struct lx_flock *l,
                      struct flock_request *r)
{
    int64_t start, end;
    int64_t base = 0;
    if (l->whence == LX_SEEK_CUR)
        base = (int64_t)f->pos;
    else if (l->whence == LX_SEEK_END)
        base = (int64_t)f->inode->size;
    else if (l->whence != LX_SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(base, l->start, &start))
        return -EOVERFLOW;
    end = INT64_MAX;
    if (l->len > 0 && __builtin_add_overflow(start, l->len - 1, &end))
        return -EOVERFLOW;
    if (l->len < 0) {
        end = start - 1;
        if (__builtin_add_overflow(start, l->len, &start))
            return -EINVAL;
    }
    if (start < 0)
        return -EINVAL;
    r->start = (uint64_t)start;
    /* "To the end" stays so when the file grows. */
    r->end = end == INT64_MAX ? UINT64_MAX : (uint64_t)end;
    return 0;
}

static int lock_request(struct file *f, uint64_t arg, bool ofd,
                        struct flock_request *r)
{
    struct lx_flock l;
    if (copy_from_user(&l, uptr(arg), sizeof(l)) < 0)
        return -EFAULT;
    if (l.type != LX_F_RDLCK && l.type != LX_F_WRLCK && l.type != LX_F_UNLCK)
        return -EINVAL;
    if (ofd && l.pid != 0)
        return -EINVAL;
    struct process *p = current()->proc;
    r->kind = ofd ? FLOCK_OFD : FLOCK_POSIX;
    r->type = l.type;
    r->owner = ofd ? (const void *)f : (const void *)p->files;
    r->pid = ofd ? -1 : p->pid;
    return lock_range(f, &l, r);
}

static int64_t lock_get(struct file *f, uint64_t arg, bool ofd)
{
    struct flock_request r;
    int s = lock_request(f, arg, ofd, &r);
    if (s == 0 && r.type == LX_F_UNLCK)
        s = -EINVAL;
    if (s < 0)
        return s;
    flock_test(f->inode, &r);
    struct lx_flock l;
    if (copy_from_user(&l, uptr(arg), sizeof(l)) < 0)
        return -EFAULT;
    l.type = (int16_t)r.type;
    if (r.type != LX_F_UNLCK) {
        l.whence = LX_SEEK_SET;
        l.start = (int64_t)r.start;
        l.len = r.end == UINT64_MAX ? 0 : (int64_t)(r.end - r.start + 1);
        l.pid = r.pid;
    }
    return copy_to_user(uptr(arg), &l, sizeof(l));
}

static int64_t lock_set(struct file *f, uint64_t arg, bool ofd, bool wait)
{
    struct flock_request r;
    int s = lock_request(f, arg, ofd, &r);
    if (s < 0)
        return s;
    if ((r.type == LX_F_RDLCK && (f->mode & FILE_READ) == 0) ||
        (r.type == LX_F_WRLCK && (f->mode & FILE_WRITE) == 0))
        return -EBADF;
    return flock_set(f->inode, &r, wait);
}

int64_t sys_flock(const uint64_t *a)
{
    uint32_t op = (uint32_t)a[1];
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    struct flock_request r = {.kind = FLOCK_WHOLE,
                              .end = UINT64_MAX,
                              .owner = f,
                              .pid = current()->proc->pid};
    int64_t s = 0;
    switch (op & ~(uint32_t)LX_LOCK_NB) {
    case LX_LOCK_SH: r.type = LX_F_RDLCK; break;
    case LX_LOCK_EX: r.type = LX_F_WRLCK; break;
    case LX_LOCK_UN: r.type = LX_F_UNLCK; break;
    default: s = -EINVAL; break;
    }
    if (s == 0)
        s = flock_set(f->inode, &r, (op & LX_LOCK_NB) == 0);
    file_put(f);
    return s;
}

/* --- fcntl(2) --- */

static int64_t fcntl_dup(struct file *f, uint64_t min, bool cloexec)
{
    if (min >= current()->proc->rlimits[LX_RLIMIT_NOFILE].cur ||
        min > INT32_MAX)
        return -EINVAL;
    file_get(f);
    int r = fd_install(f, (int)min, cloexec);
    if (r < 0)
        file_put(f);
    return r;
}

static int64_t fcntl_setfl(struct file *f, int fd, uint32_t flags)
{
    const uint32_t may =
        LX_O_APPEND | LX_O_NONBLOCK | LX_O_ASYNC | LX_O_DIRECT | LX_O_NOATIME;
    uint32_t old = __atomic_load_n(&f->flags, __ATOMIC_RELAXED);
    const struct process *p = current()->proc;
    if ((flags & ~old & LX_O_NOATIME) != 0 &&
        current()->cred.fsuid != f->inode->uid &&
        !cred_capable(p, LX_CAP_FOWNER))
        return -EPERM;
    if ((f->mode & FILE_STREAM) == 0)
        flags &= ~LX_O_ASYNC; /* never becomes ready */
    if (((flags ^ old) & LX_O_ASYNC) != 0) {
        int r = fasync_set(f, fd, (flags & LX_O_ASYNC) != 0);
        if (r < 0)
            return r;
    }
    __atomic_store_n(&f->flags, (old & ~may) | (flags & may), __ATOMIC_RELAXED);
    return 0;
}

static int64_t fcntl_owner(struct file *f, uint32_t cmd, uint64_t arg)
{
    struct lx_f_owner_ex ex;
    int32_t who = (int32_t)arg;
    switch (cmd) {
    case LX_F_SETOWN: /* a process, a group (negative) or nobody (0) */
        if (who == INT32_MIN)
            return -EINVAL;
        return fasync_set_owner(f, who < 0 ? FASYNC_PGRP : FASYNC_PID,
                                who < 0 ? -who : who);
    case LX_F_GETOWN:
        return f->owner.type == FASYNC_PGRP ? -f->owner.pid : f->owner.pid;
    case LX_F_SETSIG:
        if (arg > 64)
            return -EINVAL;
        f->owner.signo = (int32_t)arg;
        return 0;
    case LX_F_GETSIG: return f->owner.signo;
    case LX_F_SETOWN_EX:
        if (copy_from_user(&ex, uptr(arg), sizeof(ex)) < 0)
            return -EFAULT;
        return fasync_set_owner(f, ex.type, ex.pid);
    default:
        ex.type = f->owner.type;
        ex.pid = f->owner.pid;
        return copy_to_user(uptr(arg), &ex, sizeof(ex));
    }
}

/* Only memfds have seals. */
static int64_t fcntl_seals(struct file *f, uint32_t cmd, uint32_t seals)
{
    struct inode *i = f->inode;
    if (!tmpfs_owns(i) || (i->mode & LX_S_IFMT) != LX_S_IFREG ||
        tmpfs_sb(i)->overlay)
        return -EINVAL;
    struct tmpfs_node *n = tmpfs_node(i);
    if (cmd == LX_F_GET_SEALS)
        return n->seals;
    if ((f->mode & FILE_WRITE) == 0)
        return -EPERM;
    if (seals > 31)
        return -EINVAL;
    int64_t r = 0;
    mutex_lock(&i->lock);
    if ((n->seals & LX_F_SEAL_SEAL) != 0)
        r = -EPERM;
    else if ((seals & LX_F_SEAL_WRITE) != 0 && !list_empty(&i->mappings))
        r = -EBUSY; /* one of them may be writable */
    else
        n->seals |= seals;
    mutex_unlock(&i->lock);
    return r;
}

/* How long what is written will live: kept, and nothing else. */
static int64_t fcntl_hint(struct inode *i, bool set, uint64_t arg)
{
    uint64_t hint = __atomic_load_n(&i->write_hint, __ATOMIC_RELAXED);
    if (!set)
        return put_user_u64(uptr(arg), hint);
    if (copy_from_user(&hint, uptr(arg), sizeof(hint)) < 0)
        return -EFAULT;
    if (hint > LX_RWH_WRITE_LIFE_EXTREME)
        return -EINVAL;
    __atomic_store_n(&i->write_hint, (uint8_t)hint, __ATOMIC_RELAXED);
    return 0;
}

static int64_t fcntl_file(struct file *f, int fd, uint32_t cmd, uint64_t arg)
{
    switch (cmd) {
    case LX_F_SETFL: return fcntl_setfl(f, fd, (uint32_t)arg);
    case LX_F_GETLK: return lock_get(f, arg, false);
    case LX_F_OFD_GETLK: return lock_get(f, arg, true);
    case LX_F_SETLK: return lock_set(f, arg, false, false);
    case LX_F_SETLKW: return lock_set(f, arg, false, true);
    case LX_F_OFD_SETLK: return lock_set(f, arg, true, false);
    case LX_F_OFD_SETLKW: return lock_set(f, arg, true, true);
    case LX_F_GETOWN:
    case LX_F_SETOWN:
    case LX_F_GETSIG:
    case LX_F_SETSIG:
    case LX_F_GETOWN_EX:
    case LX_F_SETOWN_EX: return fcntl_owner(f, cmd, arg);
    case LX_F_GETPIPE_SZ: return file_is_pipe(f) ? pipe_size(f) : -EBADF;
    case LX_F_SETPIPE_SZ:
        return file_is_pipe(f) ? pipe_set_size(f, (uint32_t)arg) : -EBADF;
    case LX_F_ADD_SEALS:
    case LX_F_GET_SEALS: return fcntl_seals(f, cmd, (uint32_t)arg);
    case LX_F_GETLEASE: return LX_F_UNLCK;
    case LX_F_GET_RW_HINT:
    case LX_F_SET_RW_HINT:
        return fcntl_hint(f->inode, cmd == LX_F_SET_RW_HINT, arg);
    default: return -EINVAL;
    }
}

int64_t sys_fcntl(const uint64_t *a)
{
    int fd = arg_fd(a[0]);
    uint32_t cmd = (uint32_t)a[1];
    struct file *f = fd_get_any(fd);
    if (f == NULL)
        return -EBADF;
    int64_t r;
    switch (cmd) {
    case LX_F_DUPFD: r = fcntl_dup(f, a[2], false); break;
    case LX_F_DUPFD_CLOEXEC: r = fcntl_dup(f, a[2], true); break;
    case LX_F_GETFD: r = fd_flag_cloexec(fd, -1); break;
    case LX_F_SETFD:
        r = fd_flag_cloexec(fd, (int)(a[2] & LX_FD_CLOEXEC));
        r = r < 0 ? r : 0;
        break;
    case LX_F_GETFL: r = f->flags; break;
    default:
        r = (f->mode & FILE_PATH) != 0 ? -EBADF : fcntl_file(f, fd, cmd, a[2]);
        break;
    }
    file_put(f);
    return r;
}

/* --- ioctl(2): what every file has --- */

static int64_t ioctl_flag(struct file *f, int fd, uint32_t flag, uint64_t arg)
{
    int32_t on;
    if (copy_from_user(&on, uptr(arg), sizeof(on)) < 0)
        return -EFAULT;
    if (flag == LX_O_ASYNC) {
        int r = fasync_set(f, fd, on != 0);
        if (r < 0)
            return r;
    }
    if (on != 0)
        __atomic_fetch_or(&f->flags, flag, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&f->flags, ~flag, __ATOMIC_RELAXED);
    return 0;
}

static int64_t ioctl_regular(struct file *f, uint32_t cmd, uint64_t arg)
{
    uint64_t size = f->inode->size;
    if (cmd == LX_FIOQSIZE)
        return put_user_u64(uptr(arg), size);
    uint64_t left = size > f->pos ? size - f->pos : 0;
    return put_user_u32(uptr(arg), (uint32_t)MIN(left, (uint64_t)INT32_MAX));
}

int64_t sys_ioctl(const uint64_t *a)
{
    int fd = arg_fd(a[0]);
    uint32_t cmd = (uint32_t)a[1];
    struct file *f = fd_get(fd);
    if (f == NULL)
        return -EBADF;
    bool regular = (f->inode->mode & LX_S_IFMT) == LX_S_IFREG;
    int64_t r;
    if (cmd == LX_FIOCLEX || cmd == LX_FIONCLEX) {
        r = fd_flag_cloexec(fd, cmd == LX_FIOCLEX);
        r = r < 0 ? r : 0;
    } else if (cmd == LX_FIONBIO) {
        r = ioctl_flag(f, fd, LX_O_NONBLOCK, a[2]);
    } else if (cmd == LX_FIOASYNC) {
        r = ioctl_flag(f, fd, LX_O_ASYNC, a[2]);
    } else if (cmd == LX_FIGETBSZ) {
        r = put_user_u32(uptr(a[2]), PAGE_SIZE);
    } else if (regular && (cmd == LX_FIONREAD || cmd == LX_FIOQSIZE)) {
        r = ioctl_regular(f, cmd, a[2]);
    } else {
        r = f->ops->ioctl(f, cmd, a[2]);
    }
    file_put(f);
    return r;
}

/* --- sync and advice: all our files are memory --- */

static int64_t check_synced(uint64_t fd)
{
    struct file *f = fd_get(arg_fd(fd));
    if (f == NULL)
        return -EBADF;
    uint32_t type = f->inode->mode & LX_S_IFMT;
    file_put(f);
    return type == LX_S_IFREG || type == LX_S_IFDIR ? 0 : -EINVAL;
}

int64_t sys_fsync(const uint64_t *a)
{
    return check_synced(a[0]);
}

int64_t sys_fdatasync(const uint64_t *a)
{
    return check_synced(a[0]);
}

int64_t sys_sync(const uint64_t *a)
{
    (void)a;
    return 0;
}

int64_t sys_syncfs(const uint64_t *a)
{
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    file_put(f);
    return 0;
}

int64_t sys_sync_file_range(const uint64_t *a)
{
    if (a[3] > 7 || (int64_t)a[1] < 0 || (int64_t)a[2] < 0)
        return -EINVAL;
    int64_t r = check_synced(a[0]);
    return r == -EINVAL ? -ESPIPE : r;
}

int64_t sys_fadvise64(const uint64_t *a)
{
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    uint32_t type = f->inode->mode & LX_S_IFMT;
    file_put(f);
    if (type == LX_S_IFIFO)
        return -ESPIPE;
    return a[3] > 5 || (int64_t)a[2] < 0 ? -EINVAL : 0;
}

int64_t sys_readahead(const uint64_t *a)
{
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    bool readable = (f->mode & FILE_READ) != 0;
    uint32_t type = f->inode->mode & LX_S_IFMT;
    file_put(f);
    if (!readable)
        return -EBADF;
    return type == LX_S_IFREG ? 0 : -EINVAL;
}

int64_t sys_name_to_handle_at(const uint64_t *a)
{
    (void)a;
    return -EOPNOTSUPP;
}

int64_t sys_open_by_handle_at(const uint64_t *a)
{
    (void)a;
    return -EPERM;
}
