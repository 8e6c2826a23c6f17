// SPDX-License-Identifier: Apache-2.0
/* Bytes in and out of files. */
#include "abi/linux/fcntl.h"

#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

/* Does the file have a position that must be locked? Devices and pipes do
 * not, and may sleep for ever. */
static bool file_has_pos(const struct file *f)
{
    uint32_t type = f->inode->mode & LX_S_IFMT;
    return (f->mode & FILE_STREAM) == 0 &&
           (type == LX_S_IFREG || type == LX_S_IFDIR);
}

int64_t file_read_at(struct file *f, struct uio *u, uint64_t *pos)
{
    uint64_t none = 0;
    if ((f->mode & FILE_READ) == 0)
        return -EBADF;
    if (pos != NULL)
        return f->ops->read(f, u, pos);
    if (!file_has_pos(f))
        return f->ops->read(f, u, &none);
    mutex_lock(&f->pos_lock);
    int64_t r = f->ops->read(f, u, &f->pos);
    mutex_unlock(&f->pos_lock);
    return r;
}

int64_t file_write_at(struct file *f, struct uio *u, uint64_t *pos)
{
    uint64_t none = 0;
    if ((f->mode & FILE_WRITE) == 0)
        return -EBADF;
    if (pos != NULL)
        return f->ops->write(f, u, pos);
    if (!file_has_pos(f))
        return f->ops->write(f, u, &none);
    mutex_lock(&f->pos_lock);
    int64_t r = f->ops->write(f, u, &f->pos);
    mutex_unlock(&f->pos_lock);
    return r;
}

/* One call: which way, and at which position. */
struct rw {
    bool write;
    bool at; /* `pos` counts, else the file's own */
    uint64_t pos;
    uint32_t flags; /* RWF_* */
};

/* RWF_NOWAIT: regular files are in memory and never wait, pipes know it. */
static int rw_check(const struct file *f, const struct uio *u,
                    const struct rw *rw)
{
    const uint32_t known = LX_RWF_HIPRI | LX_RWF_DSYNC | LX_RWF_SYNC |
                           LX_RWF_NOWAIT | LX_RWF_APPEND;
    uint32_t type = f->inode->mode & LX_S_IFMT;
    bool nowait = type == LX_S_IFREG || type == LX_S_IFIFO;
    if (rw->at && (f->mode & FILE_STREAM) != 0)
        return -ESPIPE;
    if ((rw->flags & ~known) != 0 ||
        ((rw->flags & LX_RWF_NOWAIT) != 0 && !nowait))
        return -EOPNOTSUPP;
    if (rw->at && rw->pos > (uint64_t)INT64_MAX - u->left)
        return -EINVAL;
    return 0;
}

static void rw_count(bool write, int64_t n)
{
    struct io_count *c = &current()->io;
    c->calls[write]++;
    if (n > 0)
        c->bytes[write] += (uint64_t)n;
}

static int64_t rw_run(struct file *f, struct uio *u, struct rw *rw)
{
    uint64_t *pos = rw->at ? &rw->pos : NULL;
    int r = rw_check(f, u, rw);
    if (r < 0)
        return r;
    u->nowait = (rw->flags & LX_RWF_NOWAIT) != 0;
    u->append = (rw->flags & LX_RWF_APPEND) != 0;
    int64_t n = rw->write ? file_write_at(f, u, pos) : file_read_at(f, u, pos);
    rw_count(rw->write, n);
    if (n > 0)
        inotify_dentry(f->path.dentry, rw->write ? IN_MODIFY : IN_ACCESS);
    return n;
}

static int64_t rw_single(const uint64_t *a, struct rw rw)
{
    struct uio u;
    struct uio_seg seg;
    if (rw.at && (int64_t)rw.pos < 0)
        return -EINVAL;
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = -EBADF;
    uio_user(&u, &seg, uptr(a[1]), MIN(a[2], RW_MAX));
    if ((f->mode & (rw.write ? FILE_WRITE : FILE_READ)) != 0)
        r = user_range(uptr(a[1]), a[2]) ? rw_run(f, &u, &rw) : -EFAULT;
    file_put(f);
    return r;
}

static int64_t rw_vector(const uint64_t *a, struct rw rw)
{
    struct uio u;
    struct uio_seg *segs = NULL;
    if (rw.at && (int64_t)rw.pos < 0)
        return -EINVAL;
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = uio_user_vec(&u, &segs, uptr(a[1]), a[2]);
    if (r == 0)
        r = rw_run(f, &u, &rw);
    kfree(segs);
    file_put(f);
    return r;
}

int64_t sys_read(const uint64_t *a)
{
    return rw_single(a, (struct rw){.write = false});
}

int64_t sys_write(const uint64_t *a)
{
    return rw_single(a, (struct rw){.write = true});
}

int64_t sys_pread64(const uint64_t *a)
{
    return rw_single(a, (struct rw){.at = true, .pos = a[3]});
}

int64_t sys_pwrite64(const uint64_t *a)
{
    return rw_single(a, (struct rw){.write = true, .at = true, .pos = a[3]});
}

int64_t sys_readv(const uint64_t *a)
{
    return rw_vector(a, (struct rw){.write = false});
}

int64_t sys_writev(const uint64_t *a)
{
    return rw_vector(a, (struct rw){.write = true});
}

int64_t sys_preadv(const uint64_t *a)
{
    return rw_vector(a, (struct rw){.at = true, .pos = a[3]});
}

int64_t sys_pwritev(const uint64_t *a)
{
    return rw_vector(a, (struct rw){.write = true, .at = true, .pos = a[3]});
}

static int64_t rw_vector2(const uint64_t *a, bool write)
{
    bool at = (int64_t)a[3] != -1;
    return rw_vector(a, (struct rw){write, at, a[3], (uint32_t)a[5]});
}

int64_t sys_preadv2(const uint64_t *a)
{
    return rw_vector2(a, false);
}

int64_t sys_pwritev2(const uint64_t *a)
{
    return rw_vector2(a, true);
}

/* --- lseek(2) --- */

static int64_t seek_target(const struct file *f, int64_t off, uint32_t whence)
{
    struct inode *i = f->inode;
    int64_t base;
    if (i->dir != NULL && whence > LX_SEEK_CUR)
        return -EINVAL; /* positions in directories are only cookies */
    switch (whence) {
    case LX_SEEK_SET: base = 0; break;
    case LX_SEEK_CUR: base = (int64_t)f->pos; break;
    case LX_SEEK_END: base = (int64_t)i->size; break;
    case LX_SEEK_DATA:
    case LX_SEEK_HOLE:
        if (off < 0)
            return -ENXIO;
        return inode_seek_data(i, (uint64_t)off, whence == LX_SEEK_HOLE);
    default: return -EINVAL;
    }
    int64_t to;
    if (__builtin_add_overflow(base, off, &to) || to < 0)
        return -EINVAL;
    return to;
}

int64_t sys_lseek(const uint64_t *a)
{
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = -ESPIPE;
    uint32_t type = f->inode->mode & LX_S_IFMT;
    if (((f->mode & FILE_STREAM) == 0 && type == LX_S_IFCHR) || type == 0) {
        r = 0; /* null(4) and its like, epoll(7) and its like stay at 0 */
    } else if (file_has_pos(f)) {
        mutex_lock(&f->pos_lock);
        r = seek_target(f, (int64_t)a[1], (uint32_t)a[2]);
        if (r >= 0)
            f->pos = (uint64_t)r;
        mutex_unlock(&f->pos_lock);
    }
    file_put(f);
    return r;
}

/* --- copies inside the kernel --- */

#define COPY_CHUNK 16384u

struct copy {
    struct file *in, *out;
    uint64_t *in_pos, *out_pos; /* NULL: the file's own position */
    uint64_t left;
};

/* Up to one chunk; bytes moved, 0 at the end. What was read and could not be
 * written is read again next time: `in` is seekable. */
static int64_t copy_some(struct copy *c, void *buf, uint64_t *in_pos)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t at = *in_pos;
    uio_kernel(&u, &seg, buf, MIN(c->left, (uint64_t)COPY_CHUNK));
    int64_t got = c->in->ops->read(c->in, &u, &at);
    if (got <= 0)
        return got;
    uio_kernel(&u, &seg, buf, (uint64_t)got);
    int64_t put = file_write_at(c->out, &u, c->out_pos);
    if (put > 0)
        *in_pos += (uint64_t)put;
    return put;
}

static int64_t copy_loop(struct copy *c, uint64_t *in_pos)
{
    void *buf = kmalloc(COPY_CHUNK);
    if (buf == NULL)
        return -ENOMEM;
    int64_t done = 0;
    while (c->left > 0) {
        int64_t r = copy_some(c, buf, in_pos);
        if (r <= 0) {
            done = done > 0 ? done : r;
            break;
        }
        done += r;
        c->left -= (uint64_t)r;
        if (signal_pending(current()))
            break;
        sched_point();
    }
    kfree(buf);
    if (done > 0) {
        inotify_dentry(c->in->path.dentry, IN_ACCESS);
        inotify_dentry(c->out->path.dentry, IN_MODIFY);
    }
    return done;
}

static int64_t copy_run(struct copy *c)
{
    if ((c->in->mode & FILE_READ) == 0 || (c->out->mode & FILE_WRITE) == 0)
        return -EBADF;
    if ((c->in->inode->mode & LX_S_IFMT) != LX_S_IFREG)
        return c->in->inode->dir != NULL ? -EISDIR : -EINVAL;
    if (c->in_pos != NULL)
        return copy_loop(c, c->in_pos);
    /* Not under pos_lock: `out` may be the same file. */
    uint64_t pos = c->in->pos;
    int64_t r = copy_loop(c, &pos);
    if (r > 0)
        c->in->pos = pos;
    return r;
}

static int pos_get(uint64_t from, uint64_t *pos)
{
    if (copy_from_user(pos, uptr(from), sizeof(*pos)) < 0)
        return -EFAULT;
    return (int64_t)*pos < 0 ? -EINVAL : 0;
}

static int sendfile_check(const struct copy *c)
{
    if ((c->in->mode & FILE_READ) == 0 || (c->out->mode & FILE_WRITE) == 0)
        return -EBADF;
    if (c->in_pos != NULL && (c->in->mode & FILE_STREAM) != 0)
        return -ESPIPE;
    return (c->out->flags & LX_O_APPEND) != 0 ? -EINVAL : 0;
}

int64_t sys_sendfile(const uint64_t *a)
{
    uint64_t pos;
    if (a[2] != 0) {
        int r = pos_get(a[2], &pos);
        if (r < 0)
            return r;
    }
    struct copy c = {.in_pos = a[2] != 0 ? &pos : NULL,
                     .left = MIN(a[3], RW_MAX)};
    c.out = fd_get(arg_fd(a[0]));
    c.in = fd_get(arg_fd(a[1]));
    int64_t r = -EBADF;
    if (c.out != NULL && c.in != NULL)
        r = sendfile_check(&c);
    if (r == 0)
        r = copy_run(&c);
    if (c.out != NULL)
        file_put(c.out);
    if (c.in != NULL)
        file_put(c.in);
    if (r >= 0 && a[2] != 0 && put_user_u64(uptr(a[2]), pos) < 0)
        return -EFAULT;
    return r;
}

static int64_t copy_range_check(const struct copy *c, uint64_t size)
{
    if ((c->out->inode->mode & LX_S_IFMT) != LX_S_IFREG)
        return c->out->inode->dir != NULL ? -EISDIR : -EINVAL;
    if ((c->out->flags & LX_O_APPEND) != 0)
        return -EBADF;
    if (c->in->inode != c->out->inode)
        return 0;
    uint64_t in = c->in_pos != NULL ? *c->in_pos : c->in->pos;
    uint64_t out = c->out_pos != NULL ? *c->out_pos : c->out->pos;
    return in < out + size && out < in + size ? -EINVAL : 0;
}

int64_t sys_copy_file_range(const uint64_t *a)
{
    uint64_t in_pos = 0, out_pos = 0;
    if (a[5] != 0)
        return -EINVAL;
    int r = a[1] != 0 ? pos_get(a[1], &in_pos) : 0;
    if (r == 0 && a[3] != 0)
        r = pos_get(a[3], &out_pos);
    if (r < 0)
        return r == -EINVAL ? -EOVERFLOW : r;
    struct copy c = {.in_pos = a[1] != 0 ? &in_pos : NULL,
                     .out_pos = a[3] != 0 ? &out_pos : NULL,
                     .left = MIN(a[4], RW_MAX)};
    c.in = fd_get(arg_fd(a[0]));
    c.out = fd_get(arg_fd(a[2]));
    int64_t n = -EBADF;
    if (c.in != NULL && c.out != NULL) {
        n = copy_range_check(&c, c.left);
        if (n == 0)
            n = copy_run(&c);
    }
    if (c.in != NULL)
        file_put(c.in);
    if (c.out != NULL)
        file_put(c.out);
    if (n >= 0 && a[1] != 0 && put_user_u64(uptr(a[1]), in_pos) < 0)
        return -EFAULT;
    if (n >= 0 && a[3] != 0 && put_user_u64(uptr(a[3]), out_pos) < 0)
        return -EFAULT;
    return n;
}
