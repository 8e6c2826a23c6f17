// SPDX-License-Identifier: Apache-2.0
/*
 * Pseudo-terminals: pty(7). The master side is a file on a queue that the
 * slave terminal's driver fills; what is written to it is the slave's input,
 * which waits in another queue when the line discipline is full.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

#define PTY_PAGES 8
#define PTY_PAGE  UINT32_C(4096)
#define PTY_RING  (PTY_PAGES * PTY_PAGE) /* power of two */
#define PTY_PIECE 256
#define PTS_MAJOR 136

/* A ring of pages, of which those exist that hold something. One puts, one
 * takes; free-running indexes. */
struct pty_queue {
    char *pages[PTY_PAGES];
    uint32_t head, tail;
};

/* Owned by its tty. What it holds for the two is at most PTY_RING each way, and
 * TTY_BUF_SIZE of the line discipline's; once read, a page or two. */
struct pty {
    struct tty *tty;
    uint32_t index;
    bool locked;          /* TIOCSPTLCK */
    bool slave_closed;    /* it was open once: nothing to read is EIO */
    bool packet;          /* TIOCPKT; written under tty.lock */
    uint8_t status;       /* LX_TIOCPKT_*, with it */
    struct mutex lock;    /* the master takes */
    struct pty_queue out; /* the slave puts, under tty.lock */
    struct pty_queue in;  /* input there was no room for: tty.lock */
    struct waitq waitq;   /* the master waits */
};

static struct mutex pts_lock = {.waiters = LIST_INIT(pts_lock.waiters)};
static struct pty *pts_table[PTS_MAX]; /* pts_lock; masters that are open */

/* --- one direction --- */

/* Both pair with the releases in queue_put and queue_skip. What is not the
 * caller's own is looked at last: more may have come, never less. */
static uint32_t queue_used(const struct pty_queue *q)
{
    uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&q->head, __ATOMIC_ACQUIRE) - tail;
}

/* A page is not entered again before all of it was taken. */
static uint32_t queue_room(const struct pty_queue *q)
{
    uint32_t head = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
    uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE);
    return PTY_RING - (head - tail + tail % PTY_PAGE);
}

/* Of index `i`, which is to be filled; NULL: memory is out. */
static char *queue_page(struct pty_queue *q, uint32_t i)
{
    char **page = &q->pages[i / PTY_PAGE % PTY_PAGES];
    if (*page == NULL)
        *page = kmalloc(PTY_PAGE);
    return *page;
}

static uint32_t queue_put(struct pty_queue *q, const char *from, size_t n)
{
    uint32_t take = (uint32_t)MIN(n, queue_room(q)), done = 0;
    while (done < take) {
        uint32_t at = (q->head + done) % PTY_PAGE;
        uint32_t step = MIN(take - done, PTY_PAGE - at);
        char *page = queue_page(q, q->head + done);
        if (page == NULL)
            break;
        memcpy(page + at, from + done, step);
        done += step;
    }
    __atomic_store_n(&q->head, q->head + done, __ATOMIC_RELEASE);
    return done;
}

/* The first bytes, as far as they are contiguous. */
static uint32_t queue_peek(const struct pty_queue *q, const char **at)
{
    uint32_t from = q->tail % PTY_PAGE;
    uint32_t used = queue_used(q);
    if (used == 0)
        return 0;
    *at = q->pages[q->tail / PTY_PAGE % PTY_PAGES] + from;
    return MIN(used, PTY_PAGE - from);
}

/* At most what queue_peek returned. */
static void queue_skip(struct pty_queue *q, uint32_t n)
{
    char **page = &q->pages[q->tail / PTY_PAGE % PTY_PAGES];
    if (n > 0 && (q->tail + n) % PTY_PAGE == 0) {
        kfree(*page);
        *page = NULL;
    }
    __atomic_store_n(&q->tail, q->tail + n, __ATOMIC_RELEASE);
}

static void queue_clear(struct pty_queue *q)
{
    const char *at;
    uint32_t n;
    while ((n = queue_peek(q, &at)) > 0)
        queue_skip(q, n);
}

static void queue_free(struct pty_queue *q)
{
    for (uint32_t i = 0; i < PTY_PAGES; i++)
        kfree(q->pages[i]);
}

/* --- slave side: tty_driver --- */

static size_t pty_room(struct tty *t)
{
    const struct pty *p = t->drv_data;
    return queue_room(&p->out);
}

static bool pty_reserve(struct tty *t, size_t n)
{
    struct pty *p = t->drv_data;
    for (size_t i = 0; i < n; i += PTY_PAGE - (p->out.head + i) % PTY_PAGE)
        if (queue_page(&p->out, p->out.head + (uint32_t)i) == NULL)
            return false;
    return true;
}

static size_t pty_out(struct tty *t, const void *data, size_t n)
{
    struct pty *p = t->drv_data;
    uint32_t taken = queue_put(&p->out, data, n);
    waitq_wake(&p->waitq, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
    return taken;
}

static size_t pty_queued(struct tty *t)
{
    (void)t;
    return 0;
}

/* What the line discipline takes now of what it refused before. */
static void pty_unthrottle(struct tty *t)
{
    struct pty *p = t->drv_data;
    const char *at;
    uint32_t n, taken;
    do {
        n = queue_peek(&p->in, &at);
        taken = (uint32_t)(n > 0 ? ldisc_input(t, at, n) : 0);
        queue_skip(&p->in, taken);
    } while (n > 0 && taken == n);
    waitq_wake(&p->waitq, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

static void pty_flush(struct tty *t)
{
    struct pty *p = t->drv_data;
    queue_clear(&p->in);
    waitq_wake(&p->waitq, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

static void pty_status(struct tty *t, uint8_t what)
{
    const uint8_t flow = LX_TIOCPKT_STOP | LX_TIOCPKT_START;
    const uint8_t keys = LX_TIOCPKT_NOSTOP | LX_TIOCPKT_DOSTOP;
    struct pty *p = t->drv_data;
    uint8_t now = p->status;
    if (!p->packet)
        return;
    if ((what & flow) != 0) /* the later one counts */
        now &= (uint8_t)~flow;
    if ((what & keys) != 0)
        now &= (uint8_t)~keys;
    __atomic_store_n(&p->status, now | what, __ATOMIC_RELEASE);
    waitq_wake(&p->waitq, EPOLLIN | EPOLLRDNORM | EPOLLPRI, WAKE_ALL);
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
    queue_free(&p->in);
    queue_free(&p->out);
    kfree(p);
}

static const struct tty_driver pty_driver = {
    .write = pty_out,
    .room = pty_room,
    .reserve = pty_reserve,
    .queued = pty_queued,
    .unthrottle = pty_unthrottle,
    .flush = pty_flush,
    .status = pty_status,
    .closed = pty_slave_closed,
    .free = pty_free,
};

/* --- master side: file_ops, data is struct tty * with a reference --- */

static struct pty *pty_of(const struct file *f)
{
    const struct tty *t = f->data;
    return t->drv_data;
}

/* TIOCPKT: there is something that master_status takes. */
static bool master_told(const struct pty *p)
{
    return __atomic_load_n(&p->packet, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&p->status, __ATOMIC_ACQUIRE) != 0;
}

static int64_t master_status(struct pty *p, struct uio *u)
{
    mutex_lock(&p->tty->lock);
    uint8_t status = master_told(p) ? p->status : 0;
    __atomic_store_n(&p->status, 0, __ATOMIC_RELEASE);
    mutex_unlock(&p->tty->lock);
    return status != 0 ? uio_put(u, &status, 1) : 0;
}

static int64_t master_copy(struct pty *p, struct uio *u)
{
    static const uint8_t head = LX_TIOCPKT_DATA;
    int64_t done = 0;
    mutex_lock(&p->lock);
    if (p->packet && queue_used(&p->out) > 0)
        done = uio_put(u, &head, 1);
    const char *at;
    uint32_t n;
    while (done >= 0 && u->left > 0 && (n = queue_peek(&p->out, &at)) > 0) {
        int64_t put = uio_put(u, at, n);
        if (put <= 0) {
            done = done > 0 ? done : put;
            break;
        }
        queue_skip(&p->out, (uint32_t)put);
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
        int64_t n = master_told(p) ? master_status(p, u) : 0;
        if (n == 0)
            n = master_copy(p, u);
        if (n > 0)
            tty_wakeup(p->tty);
        if (n != 0)
            return n;
        if (closed)
            return -EIO;
        if ((f->flags & LX_O_NONBLOCK) != 0)
            return -EAGAIN;
        int r;
        WAIT_FOR(r, &p->waitq,
                 queue_used(&p->out) > 0 || p->slave_closed || master_told(p),
                 WAIT_SIGNALS, NSEC_NEVER);
        if (r < 0)
            return r;
    }
}

/* One piece of input for the slave, whose files may all be closed. Bytes taken
 * (fewer than of `u` when memory is out), 0: some must be read first. */
static int64_t master_piece(struct pty *p, struct uio *u)
{
    char piece[PTY_PIECE];
    struct tty *t = p->tty;
    mutex_lock(&t->lock);
    int64_t n = MIN(queue_room(&p->in), (uint32_t)sizeof(piece));
    if (n > 0)
        n = uio_get(u, piece, (uint64_t)n);
    if (n > 0) {
        size_t size = (size_t)n, taken = 0;
        if (queue_used(&p->in) == 0)
            taken = ldisc_input(t, piece, size);
        taken += queue_put(&p->in, piece + taken, size - taken);
        n = taken > 0 ? (int64_t)taken : -ENOMEM;
    }
    mutex_unlock(&t->lock);
    return n;
}

static int64_t master_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pty *p = pty_of(f);
    int64_t done = 0;
    (void)pos;
    while (u->left > 0) {
        uint64_t left = u->left;
        int64_t n = master_piece(p, u);
        if (n == 0 && (f->flags & LX_O_NONBLOCK) != 0) {
            n = -EAGAIN;
        } else if (n == 0) {
            int r;
            WAIT_FOR(r, &p->waitq, queue_room(&p->in) > 0, WAIT_SIGNALS,
                     NSEC_NEVER);
            n = r;
        } else if (n > 0) {
            done += n;
            if ((uint64_t)n < left - u->left)
                return done;
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
    if (queue_used(&p->out) > 0)
        r |= EPOLLIN | EPOLLRDNORM;
    if (master_told(p))
        r |= EPOLLIN | EPOLLRDNORM | EPOLLPRI;
    if (p->slave_closed)
        r |= EPOLLHUP;
    if (queue_room(&p->in) > 0)
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

static void set_packet(struct pty *p, bool on)
{
    mutex_lock(&p->tty->lock);
    if (on && !p->packet)
        p->status = 0;
    __atomic_store_n(&p->packet, on, __ATOMIC_RELEASE);
    mutex_unlock(&p->tty->lock);
}

static int64_t master_signal(struct pty *p, int signo)
{
    if (signo != LX_SIGINT && signo != LX_SIGQUIT && signo != LX_SIGTSTP)
        return -EINVAL;
    signal_send_pgrp(p->tty->pgrp, signo);
    return 0;
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
    case LX_TIOCINQ: return put_user_u32(uptr(arg), queue_used(&p->out));
    case LX_TIOCGPGRP: /* of the slave */
        return put_user_u32(uptr(arg), (uint32_t)p->tty->pgrp);
    case LX_TIOCGSID:
        r = tty_session_id(p->tty, &id);
        return r < 0 ? r : put_user_u32(uptr(arg), (uint32_t)id);
    case LX_TIOCSCTTY:
    case LX_TIOCNOTTY: return -ENOTTY;
    case LX_TIOCPKT:
        if (copy_from_user(&v, uptr(arg), sizeof(v)) < 0)
            return -EFAULT;
        set_packet(p, v != 0);
        return 0;
    case LX_TIOCGPKT: return put_user_u32(uptr(arg), p->packet);
    case LX_TIOCSIG: return master_signal(p, (int)arg);
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
    struct tty *t = p != NULL ? tty_new(&pty_driver, 0) : NULL;
    if (t == NULL) {
        kfree(p);
        return NULL;
    }
    p->tty = t;
    p->locked = true;
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
