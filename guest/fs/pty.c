// SPDX-License-Identifier: Apache-2.0
/*
 * Pseudo-terminals: pty(7). The master side is a file on a ring that the
 * slave terminal's driver fills; what is written to it is the slave's input.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

#define PTY_RING  4096 /* power of two */
#define PTY_PIECE 256
#define PTS_MAJOR 136

struct pty { /* owned by its tty */
    struct tty *tty;
    uint32_t index;
    bool locked;        /* TIOCSPTLCK */
    bool slave_closed;  /* it was open once: master gets EIO */
    struct mutex lock;  /* reading the ring */
    char *ring;         /* the slave's output; free-running indexes */
    uint32_t head;      /* by the slave, under tty.lock */
    uint32_t tail;      /* by the master, under lock */
    struct waitq waitq; /* the master waits */
    bool input_room;    /* the slave may take input again; atomic */
};

static struct mutex pts_lock = {.waiters = LIST_INIT(pts_lock.waiters)};
static struct pty *pts_table[PTS_MAX]; /* pts_lock; masters that are open */

/* --- slave side: tty_driver --- */

static uint32_t ring_used(const struct pty *p)
{
    /* Pairs with the releases in pty_out and master_read. */
    return __atomic_load_n(&p->head, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&p->tail, __ATOMIC_ACQUIRE);
}

static size_t pty_room(struct tty *t)
{
    return PTY_RING - ring_used(t->drv_data);
}

static size_t pty_out(struct tty *t, const void *data, size_t n)
{
    struct pty *p = t->drv_data;
    const char *from = data;
    uint32_t take = (uint32_t)MIN(n, pty_room(t));
    for (uint32_t i = 0; i < take; i++)
        p->ring[(p->head + i) % PTY_RING] = from[i];
    __atomic_store_n(&p->head, p->head + take, __ATOMIC_RELEASE);
    waitq_wake(&p->waitq, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
    return take;
}

static size_t pty_queued(struct tty *t)
{
    (void)t;
    return 0;
}

static void pty_unthrottle(struct tty *t)
{
    struct pty *p = t->drv_data;
    __atomic_store_n(&p->input_room, true, __ATOMIC_RELEASE);
    waitq_wake(&p->waitq, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

static void pty_slave_closed(struct tty *t)
{
    struct pty *p = t->drv_data;
    p->slave_closed = true;
    waitq_wake(&p->waitq, EPOLLIN | EPOLLHUP, WAKE_ALL);
}

static void pty_free(struct tty *t)
{
    struct pty *p = t->drv_data;
    if (p == NULL)
        return;
    kfree(p->ring);
    kfree(p);
}

static const struct tty_driver pty_driver = {
    .write = pty_out,
    .room = pty_room,
    .queued = pty_queued,
    .unthrottle = pty_unthrottle,
    .closed = pty_slave_closed,
    .free = pty_free,
};

/* --- master side: file_ops, data is struct tty * with a reference --- */

static struct pty *pty_of(const struct file *f)
{
    const struct tty *t = f->data;
    return t->drv_data;
}

static int64_t master_copy(struct pty *p, struct uio *u)
{
    int64_t done = 0;
    mutex_lock(&p->lock);
    while (u->left > 0 && ring_used(p) > 0) {
        uint32_t at = p->tail % PTY_RING;
        uint32_t n = MIN(ring_used(p), PTY_RING - at);
        int64_t put = uio_put(u, p->ring + at, n);
        if (put <= 0) {
            done = done > 0 ? done : put;
            break;
        }
        __atomic_store_n(&p->tail, p->tail + (uint32_t)put, __ATOMIC_RELEASE);
        done += put;
    }
    mutex_unlock(&p->lock);
    return done;
}

static int64_t master_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pty *p = pty_of(f);
    (void)pos;
    if (u->left == 0)
        return 0;
    for (;;) {
        bool closed = p->slave_closed;
        int64_t n = master_copy(p, u);
        if (n > 0)
            tty_wakeup(p->tty);
        if (n != 0)
            return n;
        if (closed)
            return -EIO;
        if ((f->flags & LX_O_NONBLOCK) != 0)
            return -EAGAIN;
        int r;
        WAIT_FOR(r, &p->waitq, ring_used(p) > 0 || p->slave_closed,
                 WAIT_SIGNALS, NSEC_NEVER);
        if (r < 0)
            return r;
    }
}

/* All of a piece: `n` was what the terminal had room for, so the loop runs
 * again only if its mode changed meanwhile. */
static int master_feed(struct pty *p, const char *piece, size_t n)
{
    for (;;) {
        __atomic_store_n(&p->input_room, false, __ATOMIC_SEQ_CST);
        size_t taken = tty_input(p->tty, piece, n);
        piece += taken;
        n -= taken;
        if (n == 0)
            break;
        int r;
        WAIT_FOR(r, &p->waitq,
                 __atomic_load_n(&p->input_room, __ATOMIC_ACQUIRE) ||
                     p->slave_closed,
                 WAIT_SIGNALS, NSEC_NEVER);
        if (r < 0 || p->slave_closed)
            return r < 0 ? r : -EIO;
    }
    __atomic_store_n(&p->input_room, true, __ATOMIC_RELEASE);
    return 0;
}

/* One piece of input for the slave: bytes taken, 0: it must be read first. */
static int64_t master_piece(struct pty *p, struct uio *u)
{
    char piece[PTY_PIECE];
    __atomic_store_n(&p->input_room, false, __ATOMIC_SEQ_CST);
    size_t room = tty_input_room(p->tty);
    if (room == 0)
        return 0;
    int64_t n = uio_get(u, piece, MIN(room, sizeof(piece)));
    if (n <= 0) {
        __atomic_store_n(&p->input_room, true, __ATOMIC_RELEASE);
        return n;
    }
    int r = master_feed(p, piece, (size_t)n);
    return r < 0 ? r : n;
}

static int64_t master_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pty *p = pty_of(f);
    int64_t done = 0;
    (void)pos;
    if (p->slave_closed)
        return -EIO;
    while (u->left > 0) {
        int64_t n = master_piece(p, u);
        if (n == 0 && (f->flags & LX_O_NONBLOCK) != 0) {
            n = -EAGAIN;
        } else if (n == 0) {
            int r;
            WAIT_FOR(r, &p->waitq,
                     __atomic_load_n(&p->input_room, __ATOMIC_ACQUIRE) ||
                         p->slave_closed,
                     WAIT_SIGNALS, NSEC_NEVER);
            n = r == 0 && p->slave_closed ? -EIO : r;
        } else if (n > 0) {
            done += n;
        }
        if (n < 0)
            return done > 0 ? done : n;
    }
    return done;
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
    struct pty *p = pty_of(f);
    uint32_t r = 0;
    poll_add(pt, &p->waitq);
    if (ring_used(p) > 0)
        r |= EPOLLIN | EPOLLRDNORM;
    if (p->slave_closed)
        r |= EPOLLHUP;
    if (__atomic_load_n(&p->input_room, __ATOMIC_ACQUIRE))
        r |= EPOLLOUT | EPOLLWRNORM;
    return r;
}

static int64_t open_peer(struct pty *p, uint64_t flags)
{
    char name[32];
    struct file *f;
    (void)ksnprintf(name, sizeof(name), "/dev/pts/%u", p->index);
    int r = file_open(AT_FDCWD, name, (uint32_t)flags, 0, 0, &f);
    if (r < 0)
        return r;
    int fd = fd_install(f, 0, (flags & LX_O_CLOEXEC) != 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

static int64_t master_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    struct pty *p = pty_of(f);
    uint32_t v;
    int32_t id;
    int r;
    switch (cmd) {
    case LX_TIOCGPTN: return put_user_u32(uptr(arg), p->index);
    case LX_TIOCSPTLCK:
        if (copy_from_user(&v, uptr(arg), sizeof(v)) < 0)
            return -EFAULT;
        p->locked = v != 0;
        return 0;
    case LX_TIOCGPTLCK: return put_user_u32(uptr(arg), p->locked);
    case LX_TIOCGPTPEER: return open_peer(p, arg);
    case LX_TIOCINQ: return put_user_u32(uptr(arg), ring_used(p));
    case LX_TIOCGPGRP: /* of the slave */
        return put_user_u32(uptr(arg), (uint32_t)p->tty->pgrp);
    case LX_TIOCGSID:
        r = tty_session_id(p->tty, &id);
        return r < 0 ? r : put_user_u32(uptr(arg), (uint32_t)id);
    case LX_TIOCSCTTY:
    case LX_TIOCNOTTY:
    case LX_TIOCGPKT:
    case LX_TIOCPKT: return -ENOTTY;
    default: return tty_ioctl(p->tty, cmd, arg);
    }
}

static void master_release(struct file *f)
{
    struct tty *t = f->data;
    struct pty *p = t->drv_data;
    mutex_lock(&pts_lock);
    pts_table[p->index] = NULL;
    mutex_unlock(&pts_lock);
    devpts_remove(p->index);
    tty_hangup(t);
    tty_put(t);
}

static const struct file_ops master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .mmap = file_no_mmap,
    .release = master_release,
};

/* --- opening --- */

static struct tty *pty_new(void)
{
    struct pty *p = kzalloc(sizeof(*p));
    char *ring = kmalloc(PTY_RING);
    struct tty *t = p != NULL && ring != NULL ? tty_new(&pty_driver, 0) : NULL;
    if (t == NULL) {
        kfree(p);
        kfree(ring);
        return NULL;
    }
    p->tty = t;
    p->ring = ring;
    p->locked = true;
    p->input_room = true;
    mutex_init(&p->lock);
    waitq_init(&p->waitq);
    t->drv_data = p;
    return t;
}

/* The lowest free number. */
static int pts_add(struct pty *p)
{
    int r = -ENOSPC;
    mutex_lock(&pts_lock);
    for (uint32_t i = 0; i < PTS_MAX; i++) {
        if (pts_table[i] != NULL)
            continue;
        pts_table[i] = p;
        p->index = i;
        p->tty->rdev = LX_MKDEV(PTS_MAJOR, i);
        r = 0;
        break;
    }
    mutex_unlock(&pts_lock);
    return r;
}

int ptmx_open(struct file *f, uint64_t rdev)
{
    struct tty *t = pty_new();
    (void)rdev;
    if (t == NULL)
        return -ENOMEM;
    struct pty *p = t->drv_data;
    int r = pts_add(p);
    if (r == 0) {
        r = devpts_add(p->index, current()->cred.fsuid);
        if (r < 0) {
            mutex_lock(&pts_lock);
            pts_table[p->index] = NULL;
            mutex_unlock(&pts_lock);
        }
    }
    if (r < 0) {
        tty_put(t);
        return r;
    }
    f->ops = &master_ops;
    f->data = t;
    f->mode |= FILE_STREAM;
    return 0;
}

int pts_open(struct file *f, uint64_t rdev)
{
    uint32_t index = LX_MINOR(rdev);
    struct tty *t = NULL;
    int r = -EIO;
    mutex_lock(&pts_lock);
    struct pty *p = index < PTS_MAX ? pts_table[index] : NULL;
    if (p != NULL && !p->locked) {
        t = p->tty;
        tty_get(t);
    }
    mutex_unlock(&pts_lock);
    if (t == NULL)
        return r;
    r = tty_file_open(t, f);
    if (r == 0)
        p->slave_closed = false;
    tty_put(t);
    return r;
}
