// SPDX-License-Identifier: Apache-2.0
/*
 * Pipes and FIFOs: reading, writing, opening, closing. The ring is pipe_ring.c.
 * The pipe's mutex is held while bytes are copied from and to programs: a page
 * fault takes no pipe lock.
 */
#include "guest/fs/pipe.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/signal.h"

#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/pipe_impl.h"
#include "guest/fs/poll.h"

static const struct file_ops pipe_ops;

bool file_is_pipe(const struct file *f)
{
    return f->ops == &pipe_ops;
}

struct pipe *pipe_of(const struct file *f)
{
    return f->inode->pipe;
}

void pipe_free(struct inode *i)
{
    struct pipe *p = i->pipe;
    if (p == NULL)
        return;
    i->pipe = NULL;
    pipe_destroy(p);
}

/* --- read and write --- */

int pipe_sleep(struct pipe *p, struct waitq *q)
{
    struct waiter w;
    waiter_init(&w);
    waitq_add(q, &w); /* before the lock goes: no wake-up is lost */
    mutex_unlock(&p->lock);
    int r = wait_sleep(WAIT_SIGNALS, NSEC_NEVER);
    waiter_done(&w);
    mutex_lock(&p->lock);
    return r;
}

void pipe_wake_readers(struct pipe *p)
{
    waitq_wake(&p->read_wait, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
}

void pipe_wake_writers(struct pipe *p)
{
    if (pipe_room(p) >= PIPE_BUF)
        waitq_wake(&p->write_wait, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

static bool pipe_nonblock(const struct file *f, const struct uio *u)
{
    return u->nowait || (f->flags & LX_O_NONBLOCK) != 0;
}

static int64_t pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = pipe_of(f);
    (void)pos;
    if (u->left == 0)
        return 0;
    int64_t r;
    bool slept = false;
    mutex_lock(&p->lock);
    for (;;) {
        bool was_full = pipe_room(p) < PIPE_BUF;
        r = pipe_take(p, u);
        if (r != 0) {
            if (was_full && pipe_room(p) >= PIPE_BUF)
                waitq_wake(&p->write_wait, EPOLLOUT | EPOLLWRNORM, 1);
            break;
        }
        if (p->writers == 0)
            break; /* end of file */
        r = pipe_nonblock(f, u) ? -EAGAIN : pipe_sleep(p, &p->read_wait);
        if (r < 0)
            break;
        slept = true;
    }
    bool more = p->used > 0;
    mutex_unlock(&p->lock);
    /* The wake-up was ours alone: others wait for what we left. One that never
     * slept has nothing to pass on (an edge for epoll(7)). */
    if (more && slept && r > 0)
        waitq_wake(&p->read_wait, EPOLLIN | EPOLLRDNORM, 1);
    return r;
}

int64_t pipe_broken(int64_t done)
{
    struct lx_siginfo si;
    signal_info(&si, LX_SIGPIPE, LX_SI_USER);
    (void)signal_send_task(current(), &si);
    return done > 0 ? done : -EPIPE;
}

/* Bytes taken by the ring, 0: there is no room now. */
static int64_t pipe_write_some(struct pipe *p, struct uio *u, uint64_t total,
                               bool packet)
{
    uint32_t room = pipe_room(p);
    uint64_t max = packet ? MIN(u->left, (uint64_t)PIPE_BUF) : u->left;
    /* POSIX: up to PIPE_BUF bytes go in at once or not at all. */
    if (room == 0 || (total <= PIPE_BUF && room < u->left) ||
        (packet && room < max))
        return 0;
    int64_t r = pipe_give(p, u, max, packet);
    if (r > 0)
        waitq_wake(&p->read_wait, EPOLLIN | EPOLLRDNORM, 1);
    return r;
}

static int64_t pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = pipe_of(f);
    uint64_t total = u->left;
    int64_t done = 0;
    bool slept = false;
    (void)pos;
    mutex_lock(&p->lock);
    while (u->left > 0) {
        if (p->readers == 0) {
            mutex_unlock(&p->lock);
            return pipe_broken(done);
        }
        bool packet = (f->flags & LX_O_DIRECT) != 0;
        int64_t r = pipe_write_some(p, u, total, packet);
        if (r > 0) {
            done += r;
            continue;
        }
        if (r == 0)
            r = pipe_nonblock(f, u) ? -EAGAIN : pipe_sleep(p, &p->write_wait);
        if (r < 0) {
            done = done > 0 ? done : r;
            break;
        }
        slept = true;
    }
    bool room = pipe_room(p) >= PIPE_BUF;
    mutex_unlock(&p->lock);
    if (room && slept && done > 0) /* other writers may fit too */
        waitq_wake(&p->write_wait, EPOLLOUT | EPOLLWRNORM, 1);
    return done;
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = pipe_of(f);
    uint32_t bits = 0;
    if ((f->mode & FILE_READ) != 0)
        poll_add(pt, &p->read_wait);
    if ((f->mode & FILE_WRITE) != 0)
        poll_add(pt, &p->write_wait);
    /* Queued first, looked at second: no change is missed. The lock is not
     * taken, because this may be called where nothing may sleep. */
    uint32_t used = __atomic_load_n(&p->used, __ATOMIC_ACQUIRE);
    uint32_t readers = __atomic_load_n(&p->readers, __ATOMIC_ACQUIRE);
    uint32_t writers = __atomic_load_n(&p->writers, __ATOMIC_ACQUIRE);
    uint32_t seen = __atomic_load_n(&p->writer_opens, __ATOMIC_ACQUIRE);
    if ((f->mode & FILE_READ) != 0) {
        if (used > 0)
            bits |= EPOLLIN | EPOLLRDNORM;
        /* A FIFO that no writer has opened yet has not hung up. */
        if (writers == 0 && (uintptr_t)f->data != seen)
            bits |= EPOLLHUP;
    }
    if ((f->mode & FILE_WRITE) != 0) {
        if (pipe_room(p) >= PIPE_BUF)
            bits |= EPOLLOUT | EPOLLWRNORM;
        if (readers == 0)
            bits |= EPOLLERR;
    }
    return bits;
}

static int64_t pipe_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    if (cmd != LX_FIONREAD)
        return -ENOTTY;
    return put_user_u32(uptr(arg), pipe_of(f)->used);
}

static void pipe_release(struct file *f)
{
    struct pipe *p = pipe_of(f);
    mutex_lock(&p->lock);
    if ((f->mode & FILE_READ) != 0)
        p->readers--;
    if ((f->mode & FILE_WRITE) != 0)
        p->writers--;
    if (p->readers == 0 && p->writers == 0 && p->used > 0) {
        uint8_t *rest; /* nobody can read what is left */
        while (p->used > 0)
            pipe_consume(p, pipe_front(p, p->used, &rest));
    }
    mutex_unlock(&p->lock);
    waitq_wake(&p->read_wait, EPOLLHUP | EPOLLIN, WAKE_ALL);
    waitq_wake(&p->write_wait, EPOLLERR | EPOLLOUT, WAKE_ALL);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .mmap = file_no_mmap,
    .release = pipe_release,
};

/* --- capacity --- */

int64_t pipe_size(struct file *f)
{
    return pipe_of(f)->size;
}

int64_t pipe_set_size(struct file *f, uint64_t size)
{
    struct pipe *p = pipe_of(f);
    const struct process *proc = current()->proc;
    if (size > UINT32_MAX / 2)
        return -EINVAL;
    uint32_t want = (uint32_t)PAGE_SIZE;
    while (want < size)
        want *= 2;
    if (want > PIPE_SIZE_MAX && !cred_capable(proc, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    mutex_lock(&p->lock);
    int64_t r = want != p->size ? pipe_resize(p, want) : 0;
    if (r == 0)
        r = p->size;
    mutex_unlock(&p->lock);
    waitq_wake(&p->write_wait, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
    return r;
}

/* --- pipe(2), open of a FIFO --- */

int pipe_new(struct file **r, struct file **w, uint32_t flags)
{
    struct inode *i = anon_inode(LX_S_IFIFO | 0600, "pipe");
    if (i == NULL)
        return -ENOMEM;
    i->pipe = pipe_alloc();
    uint32_t status = flags & (LX_O_NONBLOCK | LX_O_DIRECT);
    *r = NULL;
    *w = NULL;
    if (i->pipe != NULL) {
        i->pipe->readers = 1;
        i->pipe->writers = 1;
        i->pipe->writer_opens = 1;
        *r = file_new(&pipe_ops, i, LX_O_RDONLY | status);
        *w = *r != NULL ? file_new(&pipe_ops, i, LX_O_WRONLY | status) : NULL;
    }
    inode_put(i);
    if (*w == NULL) {
        if (*r != NULL)
            file_put(*r);
        return -ENOMEM;
    }
    (*r)->mode |= FILE_STREAM;
    (*w)->mode |= FILE_STREAM;
    return 0;
}

/* The other end of `f`: how often it was opened, and is now. */
static uint32_t fifo_opens(const struct pipe *p, const struct file *f)
{
    return (f->mode & FILE_READ) != 0 ? p->writer_opens : p->reader_opens;
}

static uint32_t fifo_others(const struct pipe *p, const struct file *f)
{
    return (f->mode & FILE_READ) != 0 ? p->writers : p->readers;
}

/* fifo(7): wait until somebody opens the other end. p->lock held. */
static int fifo_wait(struct pipe *p, struct file *f)
{
    uint32_t before = fifo_opens(p, f);
    int r = 0;
    /* One that came and went counts, too. */
    while (r == 0 && fifo_others(p, f) == 0 && fifo_opens(p, f) == before)
        r = pipe_sleep(p, &p->open_wait);
    return r;
}

static int fifo_attach(struct inode *i)
{
    struct pipe *p = NULL;
    int r = 0;
    mutex_lock(&i->lock);
    if (i->pipe == NULL) {
        p = pipe_alloc();
        r = p != NULL ? 0 : -ENOMEM;
        i->pipe = p;
    }
    mutex_unlock(&i->lock);
    return r;
}

int fifo_open(struct file *f)
{
    const uint32_t both = FILE_READ | FILE_WRITE;
    int r = fifo_attach(f->inode);
    if (r < 0)
        return r;
    struct pipe *p = pipe_of(f);
    bool nonblock = (f->flags & LX_O_NONBLOCK) != 0;
    /* A pipe opened again by /proc/PID/fd/N waits for nobody. */
    bool fifo = anon_inode_kind(f->inode) == NULL;
    mutex_lock(&p->lock);
    if (fifo && (f->mode & both) == FILE_WRITE && nonblock && p->readers == 0) {
        mutex_unlock(&p->lock);
        return -ENXIO;
    }
    if ((f->mode & FILE_READ) != 0) {
        p->readers++;
        p->reader_opens++;
        f->data =
            (void *)(uintptr_t)(p->writers != 0 || !fifo ? p->writer_opens - 1
                                                         : p->writer_opens);
    }
    if ((f->mode & FILE_WRITE) != 0) {
        p->writers++;
        p->writer_opens++;
    }
    waitq_wake(&p->open_wait, 0, WAKE_ALL);
    if (fifo && (f->mode & both) != both && !nonblock)
        r = fifo_wait(p, f);
    mutex_unlock(&p->lock);
    f->ops = &pipe_ops;
    f->mode |= FILE_STREAM;
    if (r < 0)
        pipe_release(f); /* the caller drops the file without it */
    return r;
}
