// SPDX-License-Identifier: Apache-2.0
/*
 * Pipes and FIFOs: a ring of bytes whose pages are allocated when first used
 * and, except for the first one, freed when the pipe is empty; an empty pipe
 * starts again at its first byte, so small traffic touches one page.
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
#include "guest/fs/poll.h"

#define PIPE_BUF      4096u
#define PIPE_SIZE     65536u
#define PIPE_SIZE_MAX (1u << 20)

struct pipe {
    struct mutex lock; /* all but the queues */
    paddr_t *pages;    /* size / PAGE_SIZE, 0: not there */
    uint32_t size;     /* capacity, power of two pages */
    uint32_t start;    /* of the first byte, below size */
    uint32_t used;
    uint32_t readers, writers; /* open files */
    uint32_t reader_opens, writer_opens;
    struct waitq read_wait, write_wait, open_wait;
};

static const struct file_ops pipe_ops;

bool file_is_pipe(const struct file *f)
{
    return f->ops == &pipe_ops;
}

static struct pipe *pipe_of(const struct file *f)
{
    return f->inode->pipe;
}

static struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    p->pages = kzalloc(PIPE_SIZE / PAGE_SIZE * sizeof(paddr_t));
    if (p->pages == NULL) {
        kfree(p);
        return NULL;
    }
    p->size = PIPE_SIZE;
    mutex_init(&p->lock);
    waitq_init(&p->read_wait);
    waitq_init(&p->write_wait);
    waitq_init(&p->open_wait);
    return p;
}

static void pipe_free_pages(struct pipe *p, uint32_t from)
{
    for (uint32_t i = from; i < p->size / PAGE_SIZE; i++) {
        if (p->pages[i] != 0)
            page_put(p->pages[i]);
        p->pages[i] = 0;
    }
}

void pipe_free(struct inode *i)
{
    struct pipe *p = i->pipe;
    if (p == NULL)
        return;
    i->pipe = NULL;
    pipe_free_pages(p, 0);
    kfree(p->pages);
    kfree(p);
}

/* --- the ring; p->lock held --- */

static int64_t pipe_take(struct pipe *p, struct uio *u)
{
    int64_t done = 0;
    while (u->left > 0 && p->used > 0) {
        uint32_t in_page = p->start & (uint32_t)PAGE_MASK;
        uint32_t n = MIN(p->used, (uint32_t)PAGE_SIZE - in_page);
        const uint8_t *from = page_virt(p->pages[p->start / PAGE_SIZE]);
        int64_t r = uio_put(u, from + in_page, n);
        if (r <= 0)
            return done > 0 ? done : r;
        p->start = (p->start + (uint32_t)r) & (p->size - 1);
        p->used -= (uint32_t)r;
        done += r;
    }
    if (p->used == 0) {
        p->start = 0;
        pipe_free_pages(p, 1);
    }
    return done;
}

static int64_t pipe_give(struct pipe *p, struct uio *u)
{
    int64_t done = 0;
    while (u->left > 0 && p->used < p->size) {
        uint32_t end = (p->start + p->used) & (p->size - 1);
        uint32_t in_page = end & (uint32_t)PAGE_MASK;
        uint32_t n = MIN(p->size - p->used, (uint32_t)PAGE_SIZE - in_page);
        paddr_t *page = &p->pages[end / PAGE_SIZE];
        if (*page == 0)
            *page = page_alloc(0, 0);
        if (*page == 0)
            return done > 0 ? done : -ENOMEM;
        uint8_t *to = page_virt(*page);
        int64_t r = uio_get(u, to + in_page, n);
        if (r <= 0)
            return done > 0 ? done : r;
        p->used += (uint32_t)r;
        done += r;
    }
    return done;
}

/* --- read and write --- */

/* Give up the lock until *q is woken and `cond` may have changed. */
static int pipe_sleep(struct pipe *p, struct waitq *q)
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

static int64_t pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = pipe_of(f);
    (void)pos;
    if (u->left == 0)
        return 0;
    int64_t r;
    mutex_lock(&p->lock);
    for (;;) {
        bool was_full = p->size - p->used < PIPE_BUF;
        r = pipe_take(p, u);
        if (r != 0) {
            if (was_full && p->size - p->used >= PIPE_BUF)
                waitq_wake(&p->write_wait, EPOLLOUT | EPOLLWRNORM, 1);
            break;
        }
        if (p->writers == 0)
            break; /* end of file */
        r = (f->flags & LX_O_NONBLOCK) != 0 || u->nowait
                ? -EAGAIN
                : pipe_sleep(p, &p->read_wait);
        if (r < 0)
            break;
    }
    bool more = p->used > 0;
    mutex_unlock(&p->lock);
    if (more && r > 0) /* others wait for what we left */
        waitq_wake(&p->read_wait, EPOLLIN | EPOLLRDNORM, 1);
    return r;
}

static int64_t pipe_broken(int64_t done)
{
    struct lx_siginfo si;
    if (done > 0)
        return done;
    signal_info(&si, LX_SIGPIPE, LX_SI_USER);
    (void)signal_send_task(current(), &si);
    return -EPIPE;
}

/* Bytes taken by the ring, 0: there is no room now. */
static int64_t pipe_write_some(struct pipe *p, struct uio *u, uint64_t total)
{
    uint32_t room = p->size - p->used;
    /* POSIX: up to PIPE_BUF bytes go in at once or not at all. */
    if (room == 0 || (total <= PIPE_BUF && room < u->left))
        return 0;
    bool was_empty = p->used == 0;
    int64_t r = pipe_give(p, u);
    if (r > 0)
        waitq_wake(&p->read_wait, EPOLLIN | EPOLLRDNORM,
                   was_empty ? WAKE_ALL : 1);
    return r;
}

static int64_t pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = pipe_of(f);
    uint64_t total = u->left;
    int64_t done = 0;
    (void)pos;
    mutex_lock(&p->lock);
    while (u->left > 0) {
        if (p->readers == 0) {
            mutex_unlock(&p->lock);
            return pipe_broken(done);
        }
        int64_t r = pipe_write_some(p, u, total);
        if (r > 0) {
            done += r;
            continue;
        }
        if (r == 0)
            r = (f->flags & LX_O_NONBLOCK) != 0 || u->nowait
                    ? -EAGAIN
                    : pipe_sleep(p, &p->write_wait);
        if (r < 0) {
            done = done > 0 ? done : r;
            break;
        }
    }
    bool room = p->size - p->used >= PIPE_BUF;
    mutex_unlock(&p->lock);
    if (room && done > 0) /* other writers may fit too */
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
        if (p->size - MIN(used, p->size) >= PIPE_BUF)
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
    if (p->readers == 0 && p->writers == 0) {
        p->used = 0; /* nobody can read what is left */
        p->start = 0;
        pipe_free_pages(p, 0);
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

/* Move the contents to the front of a ring of `size` bytes. */
static int pipe_resize(struct pipe *p, uint32_t size)
{
    uint32_t count = size / (uint32_t)PAGE_SIZE;
    paddr_t *pages = kzalloc(count * sizeof(paddr_t));
    if (pages == NULL)
        return -ENOMEM;
    struct uio u;
    struct uio_seg seg;
    struct pipe n = {.pages = pages, .size = size};
    while (p->used > 0) {
        uint32_t in_page = p->start & (uint32_t)PAGE_MASK;
        uint32_t part = MIN(p->used, (uint32_t)PAGE_SIZE - in_page);
        uint8_t *from = page_virt(p->pages[p->start / PAGE_SIZE]);
        uio_kernel(&u, &seg, from + in_page, part);
        /* Fits: the caller checked. */
        if (pipe_give(&n, &u) != (int64_t)part)
            break; /* no memory: the rest of the page is lost with -ENOMEM */
        p->start = (p->start + part) & (p->size - 1);
        p->used -= part;
    }
    pipe_free_pages(p, 0);
    kfree(p->pages);
    p->pages = pages;
    p->size = size;
    p->start = 0;
    p->used = n.used;
    return 0;
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
    int64_t r = want < p->used ? -EBUSY : 0;
    if (r == 0 && want != p->size)
        r = pipe_resize(p, want);
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
    uint32_t status = flags & LX_O_NONBLOCK;
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
