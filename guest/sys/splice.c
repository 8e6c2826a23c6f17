// SPDX-License-Identifier: Apache-2.0
/*
 * splice(2), tee(2), vmsplice(2). Bytes go between a pipe's pages and the other
 * file without a buffer in between. The other file is asked with the pipe
 * locked, so it must not sleep: it is told so (uio.nowait), and waiting for
 * it happens by poll, without the lock.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/pipe.h"
#include "guest/fs/pipe_impl.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

#define SPLICE_NONBLOCK 2u
#define SPLICE_MORE     4u
#define SPLICE_ALL      15u
#define QUEUES          4 /* of one file: more than any has */

/* --- wait until a file is ready --- */

struct ready_wait {
    struct poll_table pt;
    struct waiter w[QUEUES];
    unsigned count;
};

static void ready_add(struct poll_table *pt, struct waitq *q)
{
    struct ready_wait *r = CONTAINER_OF(pt, struct ready_wait, pt);
    if (r->count == QUEUES)
        return;
    waiter_init(&r->w[r->count]);
    waitq_add(q, &r->w[r->count++]);
}

static int wait_ready(struct file *f, uint32_t events)
{
    for (;;) {
        struct ready_wait r = {.pt.add = ready_add};
        uint32_t bits = f->ops->poll(f, &r.pt);
        bool ready = (bits & (events | EPOLLERR | EPOLLHUP)) != 0;
        int e = ready ? 0 : wait_sleep(WAIT_SIGNALS, NSEC_NEVER);
        for (unsigned i = 0; i < r.count; i++)
            waiter_done(&r.w[i]);
        if (ready || e < 0)
            return e;
    }
}

/* --- a pipe and another file --- */

struct splice {
    struct file *in, *out;
    uint64_t *pos; /* of the one that is no pipe; NULL: its own */
    uint64_t left;
    bool nonblock; /* do not wait for the pipe */
    bool more;     /* SPLICE_F_MORE */
    bool tee;
};

static bool file_nonblock(const struct file *f)
{
    return (f->flags & LX_O_NONBLOCK) != 0;
}

/* p->lock held: 0 when there is something, or never will be. */
static int wait_data(struct pipe *p, bool nonblock)
{
    while (p->used == 0 && p->writers > 0) {
        int r = nonblock ? -EAGAIN : pipe_sleep(p, &p->read_wait);
        if (r < 0)
            return r;
    }
    return 0;
}

static int wait_room(struct pipe *p, bool nonblock)
{
    while (pipe_room(p) == 0 && p->readers > 0) {
        int r = nonblock ? -EAGAIN : pipe_sleep(p, &p->write_wait);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One piece of the pipe into `out`; p->lock held. */
static int64_t out_some(struct splice *s, struct pipe *p)
{
    struct uio u;
    struct uio_seg seg;
    uint8_t *at;
    uint32_t n = pipe_front(p, s->left, &at);
    uio_kernel(&u, &seg, at, n);
    u.nowait = true;
    u.more = s->more || (n < s->left && n < p->used);
    int64_t r = file_write_at(s->out, &u, s->pos);
    if (r > 0)
        pipe_consume(p, (uint32_t)r);
    return r;
}

static int64_t splice_out(struct splice *s)
{
    struct pipe *p = pipe_of(s->in);
    int64_t done = 0, r = 0;
    mutex_lock(&p->lock);
    while (s->left > 0) {
        if (done == 0)
            r = wait_data(p, s->nonblock);
        if (r < 0 || p->used == 0)
            break;
        r = out_some(s, p);
        if (r == -EAGAIN && !file_nonblock(s->out)) {
            mutex_unlock(&p->lock);
            r = wait_ready(s->out, EPOLLOUT);
            mutex_lock(&p->lock);
            if (r == 0)
                continue;
        }
        if (r <= 0)
            break;
        done += r;
        s->left -= (uint64_t)r;
    }
    pipe_wake_writers(p);
    mutex_unlock(&p->lock);
    return done > 0 ? done : r;
}

/* One piece of `in` into the pipe; p->lock held. 0: no more, or no room. */
static int64_t in_some(struct splice *s, struct pipe *p)
{
    struct uio u;
    struct uio_seg seg;
    uint8_t *at;
    int error = 0;
    uint32_t n = pipe_room(p) > 0 ? pipe_back(p, s->left, &at, &error) : 0;
    if (n == 0)
        return error;
    uio_kernel(&u, &seg, at, n);
    u.nowait = true;
    int64_t r = file_read_at(s->in, &u, s->pos);
    if (r > 0)
        p->used += (uint32_t)r;
    return r;
}

static int64_t in_all(struct splice *s, struct pipe *p)
{
    int64_t done = 0, r = 0;
    while (s->left > 0) {
        r = in_some(s, p);
        if (r <= 0)
            break;
        done += r;
        s->left -= (uint64_t)r;
    }
    if (done > 0)
        pipe_wake_readers(p);
    return done > 0 ? done : r;
}

static int64_t splice_in(struct splice *s)
{
    struct pipe *p = pipe_of(s->out);
    bool wait = !s->nonblock && !file_nonblock(s->in);
    for (;;) {
        mutex_lock(&p->lock);
        int64_t r = wait_room(p, s->nonblock);
        bool broken = r == 0 && p->readers == 0;
        if (r == 0 && !broken)
            r = in_all(s, p);
        mutex_unlock(&p->lock);
        if (broken)
            return pipe_broken(0);
        if (r != -EAGAIN || !wait)
            return r;
        r = wait_ready(s->in, EPOLLIN);
        if (r < 0)
            return r;
    }
}

/* --- two pipes --- */

static void lock_two(struct pipe *a, struct pipe *b)
{
    mutex_lock(a < b ? &a->lock : &b->lock);
    mutex_lock(a < b ? &b->lock : &a->lock);
}

/* Both locked. 1: wait (again), else the result. */
static int64_t pipes_once(struct splice *s, struct pipe *p, struct pipe *q)
{
    if (q->readers == 0)
        return -EPIPE;
    if (p->used == 0)
        return p->writers == 0 ? 0 : -ERESTART;
    if (pipe_room(q) == 0)
        return -ERESTART;
    int64_t r = pipe_copy(p, q, 0, s->left);
    if (r > 0)
        pipe_wake_readers(q);
    for (int64_t left = r; !s->tee && left > 0;) {
        uint8_t *at;
        uint32_t n = pipe_front(p, (uint64_t)left, &at);
        pipe_consume(p, n);
        left -= n;
    }
    if (!s->tee)
        pipe_wake_writers(p);
    return r;
}

static int64_t splice_pipes(struct splice *s)
{
    struct pipe *p = pipe_of(s->in), *q = pipe_of(s->out);
    for (;;) {
        mutex_lock(&p->lock);
        int64_t r = wait_data(p, s->nonblock);
        mutex_unlock(&p->lock);
        if (r < 0)
            return r;
        mutex_lock(&q->lock);
        r = wait_room(q, s->nonblock);
        mutex_unlock(&q->lock);
        if (r < 0)
            return r;
        lock_two(p, q);
        r = pipes_once(s, p, q);
        mutex_unlock(&p->lock);
        mutex_unlock(&q->lock);
        if (r == -EPIPE)
            return pipe_broken(0);
        if (r != -ERESTART) /* ours alone: somebody was faster */
            return r;
    }
}

/* --- the calls --- */

static bool splice_able(const struct file *f)
{
    uint32_t type = f->inode->mode & LX_S_IFMT;
    return type == LX_S_IFREG || type == LX_S_IFSOCK || type == LX_S_IFCHR;
}

static int splice_pos(const struct file *f, uint64_t user, uint64_t *pos)
{
    if (user == 0)
        return 0;
    if (copy_from_user(pos, uptr(user), sizeof(*pos)) < 0)
        return -EFAULT;
    return (f->mode & FILE_STREAM) != 0 || (int64_t)*pos < 0 ? -EINVAL : 0;
}

static int64_t splice_files(struct splice *s, uint64_t in_pos, uint64_t out_pos)
{
    bool from = file_is_pipe(s->in), to = file_is_pipe(s->out);
    uint64_t pos = 0, user = from ? out_pos : in_pos;
    if ((from && in_pos != 0) || (to && out_pos != 0))
        return -ESPIPE;
    if ((s->in->mode & FILE_READ) == 0 || (s->out->mode & FILE_WRITE) == 0)
        return -EBADF;
    if (from && to) {
        s->nonblock |= file_nonblock(s->in) || file_nonblock(s->out);
        return s->in->inode == s->out->inode ? -EINVAL : splice_pipes(s);
    }
    if (!from && !to)
        return -EINVAL;
    struct file *other = from ? s->out : s->in;
    int r = splice_pos(other, user, &pos);
    if (r < 0)
        return r;
    if (!splice_able(other) || (from && (other->flags & LX_O_APPEND) != 0))
        return -EINVAL;
    s->pos = user != 0 ? &pos : NULL;
    s->nonblock |= file_nonblock(from ? s->in : s->out);
    int64_t n = from ? splice_out(s) : splice_in(s);
    if (n > 0 && user != 0 && put_user_u64(uptr(user), pos) < 0)
        return -EFAULT;
    return n;
}

static int64_t tee_files(struct splice *s)
{
    if ((s->in->mode & FILE_READ) == 0 || (s->out->mode & FILE_WRITE) == 0)
        return -EBADF;
    if (!file_is_pipe(s->in) || !file_is_pipe(s->out) ||
        s->in->inode == s->out->inode)
        return -EINVAL;
    s->nonblock |= file_nonblock(s->in) || file_nonblock(s->out);
    return splice_pipes(s);
}

static void splice_put(struct splice *s)
{
    if (s->in != NULL)
        file_put(s->in);
    if (s->out != NULL)
        file_put(s->out);
}

int64_t sys_splice(const uint64_t *a)
{
    struct splice s = {.left = MIN(a[4], RW_MAX)};
    int64_t r = -EBADF;
    if (a[4] == 0)
        return 0;
    if ((a[5] & ~(uint64_t)SPLICE_ALL) != 0)
        return -EINVAL;
    s.nonblock = (a[5] & SPLICE_NONBLOCK) != 0;
    s.more = (a[5] & SPLICE_MORE) != 0;
    s.in = fd_get(arg_fd(a[0]));
    s.out = fd_get(arg_fd(a[2]));
    if (s.in != NULL && s.out != NULL)
        r = splice_files(&s, a[1], a[3]);
    splice_put(&s);
    return r;
}

int64_t sys_tee(const uint64_t *a)
{
    struct splice s = {.left = MIN(a[2], RW_MAX), .tee = true};
    int64_t r = -EBADF;
    if ((a[3] & ~(uint64_t)SPLICE_ALL) != 0)
        return -EINVAL;
    if (a[2] == 0)
        return 0;
    s.nonblock = (a[3] & SPLICE_NONBLOCK) != 0;
    s.in = fd_get(arg_fd(a[0]));
    s.out = fd_get(arg_fd(a[1]));
    if (s.in != NULL && s.out != NULL)
        r = tee_files(&s);
    splice_put(&s);
    return r;
}

/* Waits for room for something, then takes what fits. */
static int64_t vmsplice_write(struct file *f, struct uio *u, bool nonblock)
{
    uint64_t none = 0;
    for (;;) {
        u->nowait = true;
        int64_t r = f->ops->write(f, u, &none);
        if (r != -EAGAIN || nonblock || file_nonblock(f))
            return r;
        r = wait_ready(f, EPOLLOUT);
        if (r < 0)
            return r;
    }
}

/* Pages are copied, not given: what a program may observe is the same. */
int64_t sys_vmsplice(const uint64_t *a)
{
    struct uio u;
    struct uio_seg *segs;
    uint64_t none = 0;
    if ((a[3] & ~(uint64_t)SPLICE_ALL) != 0)
        return -EINVAL;
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = uio_user_vec(&u, &segs, uptr(a[1]), a[2]);
    bool nonblock = (a[3] & SPLICE_NONBLOCK) != 0;
    u.nowait = nonblock;
    if (r == 0 && u.left > 0 && !file_is_pipe(f))
        r = -EBADF;
    else if (r == 0 && u.left > 0)
        r = (f->mode & FILE_WRITE) != 0 ? vmsplice_write(f, &u, nonblock)
                                        : f->ops->read(f, &u, &none);
    kfree(segs);
    file_put(f);
    return r;
}
