// SPDX-License-Identifier: Apache-2.0
/* Terminals as objects and as open files. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

#define TTY_PIECE  128 /* bytes of output processed at a time */
#define VTIME_UNIT (NSEC_PER_SEC / 10)

/* What stty(1) calls sane. */
static const struct lx_termios2 tty_sane = {
    .iflag = LX_ICRNL | LX_IXON | LX_IUTF8,
    .oflag = LX_OPOST | LX_ONLCR,
    .cflag = LX_B38400 | LX_CS8 | LX_CREAD | LX_HUPCL,
    .lflag = LX_ISIG | LX_ICANON | LX_ECHO | LX_ECHOE | LX_ECHOK | LX_ECHOCTL |
             LX_ECHOKE | LX_IEXTEN,
    .cc = {[LX_VINTR] = 3,
           [LX_VQUIT] = 28,
           [LX_VERASE] = 127,
           [LX_VKILL] = 21,
           [LX_VEOF] = 4,
           [LX_VMIN] = 1,
           [LX_VSTART] = 17,
           [LX_VSTOP] = 19,
           [LX_VSUSP] = 26,
           [LX_VREPRINT] = 18,
           [LX_VDISCARD] = 15,
           [LX_VWERASE] = 23,
           [LX_VLNEXT] = 22},
    .ispeed = 38400,
    .ospeed = 38400,
};

struct tty *tty_new(const struct tty_driver *drv, uint64_t rdev)
{
    struct tty *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return NULL;
    t->drv = drv;
    t->rdev = rdev;
    t->refs = 1;
    t->termios = tty_sane;
    t->out = &t->own_out;
    mutex_init(&t->lock);
    waitq_init(&t->in);
    waitq_init(&t->own_out);
    return t;
}

void tty_get(struct tty *t)
{
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void tty_put(struct tty *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    t->drv->free(t);
    if (t->session != NULL)
        session_put(t->session);
    kfree(t->buf);
    kfree(t);
}

uint64_t tty_rdev(const struct tty *t)
{
    return t->rdev;
}

int32_t tty_pgrp(const struct tty *t)
{
    return __atomic_load_n(&t->pgrp, __ATOMIC_RELAXED);
}

void tty_wakeup(struct tty *t)
{
    waitq_wake(t->out, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

void tty_set_winsize(struct tty *t, const struct lx_winsize *w)
{
    mutex_lock(&t->lock);
    bool changed = memcmp(&t->winsize, w, sizeof(*w)) != 0;
    t->winsize = *w;
    mutex_unlock(&t->lock);
    if (changed)
        signal_send_pgrp(t->pgrp, LX_SIGWINCH);
}

void tty_hangup(struct tty *t)
{
    mutex_lock(&t->lock);
    t->hung = true;
    t->stopped = false;
    ldisc_flush_input(t);
    mutex_unlock(&t->lock);
    tty_leave_session(t, true);
    waitq_wake(&t->in, EPOLLIN | EPOLLERR | EPOLLHUP, WAKE_ALL);
    waitq_wake(t->out, EPOLLOUT | EPOLLERR | EPOLLHUP, WAKE_ALL);
}

/* --- reading --- */

/* State of one read(2). */
struct tty_read {
    struct file *file;
    struct uio *uio;
    int64_t done;
    nsec_t deadline; /* raw with VTIME; NSEC_NEVER: none */
};

/* Copy what there is. 1: the read is complete, 0: more may come, -errno. */
static int read_copy(struct tty *t, struct tty_read *r)
{
    bool canon = (t->termios.lflag & LX_ICANON) != 0;
    while (r->uio->left > 0 && ldisc_pending(t)) {
        const char *at;
        uint32_t skip;
        bool eol;
        uint32_t max = (uint32_t)MIN(r->uio->left, (uint64_t)TTY_BUF_SIZE);
        uint32_t n = ldisc_peek(t, max, &at, &skip, &eol);
        int64_t put = n > 0 ? uio_put(r->uio, at, n) : 0;
        if (put < 0)
            return (int)put;
        ldisc_consume(t, put == n ? skip : (uint32_t)put);
        r->done += put;
        if (put != n || eol)
            return 1;
    }
    return r->uio->left == 0 || (canon && r->done > 0);
}

/* After a copy in raw mode: VMIN and VTIME. True: enough. */
static bool read_enough(const struct tty *t, struct tty_read *r, int64_t before)
{
    uint8_t min = t->termios.cc[LX_VMIN], time = t->termios.cc[LX_VTIME];
    if ((t->termios.lflag & LX_ICANON) != 0)
        return r->done > 0;
    if (min == 0 && (r->done > 0 || time == 0))
        return true;
    if (min > 0 && r->done >= min)
        return true;
    /* VTIME runs from the start with VMIN 0, else from the last byte. */
    if (time > 0 && ((min == 0 && r->deadline == NSEC_NEVER) ||
                     (min > 0 && r->done > before)))
        r->deadline = clock_now() + time * VTIME_UNIT;
    return false;
}

/* One step under the lock: 1 done, 0 wait, -errno. */
static int read_step(struct tty *t, struct tty_read *r)
{
    int64_t before = r->done;
    mutex_lock(&t->lock);
    int e = read_copy(t, r);
    if (e == 0 && read_enough(t, r, before))
        e = 1;
    if (e == 0 && t->hung)
        e = 1;
    if (e == 0 && (r->file->flags & LX_O_NONBLOCK) != 0)
        e = r->done > 0 ? 1 : -EAGAIN;
    mutex_unlock(&t->lock);
    return e;
}

static bool tty_input_ready(struct tty *t)
{
    mutex_lock(&t->lock);
    bool ready = ldisc_pending(t) || t->hung;
    mutex_unlock(&t->lock);
    return ready;
}

/* Sleeping and the terminal's mutex do not mix: the flag is looked at without
 * it first. */
static int tty_wait_input(struct tty *t, nsec_t deadline)
{
    struct waiter w;
    waiter_init(&w);
    int e = 0;
    for (;;) {
        waitq_add(&t->in, &w);
        uint32_t end = (t->termios.lflag & LX_ICANON) != 0 ? t->canon : t->head;
        if (end != t->tail || t->hung)
            break;
        e = wait_sleep(WAIT_SIGNALS, deadline);
        if (e < 0)
            break;
        if (tty_input_ready(t))
            break;
    }
    waiter_done(&w);
    return e;
}

static int64_t tty_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct tty *t = f->data;
    struct tty_read r = {.file = f, .uio = u, .deadline = NSEC_NEVER};
    (void)pos;
    if (t->hung)
        return 0;
    if (u->left == 0)
        return 0;
    for (;;) {
        int e = tty_check_job(t, LX_SIGTTIN);
        if (e == 0)
            e = read_step(t, &r);
        if (e == 0)
            e = tty_wait_input(t, r.deadline);
        if (e == -ETIMEDOUT)
            e = 1;
        if (e < 0)
            return r.done > 0 ? r.done : e;
        if (e > 0)
            return r.done;
    }
}

/* --- writing --- */

/* One piece. Bytes taken, 0: no room, -errno. */
static int64_t write_piece(struct tty *t, struct uio *u)
{
    char piece[TTY_PIECE];
    mutex_lock(&t->lock);
    int64_t n = 0;
    if (t->hung) {
        n = -EIO;
    } else if (!t->stopped) {
        uint32_t growth = ldisc_growth(t);
        uint64_t room = t->drv->room(t) / growth;
        n = (int64_t)MIN(room, MIN(u->left, (uint64_t)sizeof(piece)));
        if (t->drv->reserve != NULL &&
            !t->drv->reserve(t, (uint64_t)n * growth))
            n = -ENOMEM;
        if (n > 0)
            n = uio_get(u, piece, (uint64_t)n);
        if (n > 0)
            ldisc_output(t, piece, (uint32_t)n);
    }
    mutex_unlock(&t->lock);
    return n;
}

static bool tty_output_ready(struct tty *t)
{
    return t->hung || (!t->stopped && t->drv->room(t) >= ldisc_growth(t));
}

static int64_t tty_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct tty *t = f->data;
    int64_t done = 0;
    (void)pos;
    if ((t->termios.lflag & LX_TOSTOP) != 0) {
        int e = tty_check_job(t, LX_SIGTTOU);
        if (e < 0)
            return e;
    }
    while (u->left > 0) {
        int64_t n = write_piece(t, u);
        if (n == 0 && (f->flags & LX_O_NONBLOCK) != 0) {
            n = -EAGAIN;
        } else if (n == 0) {
            int e;
            WAIT_FOR(e, t->out, tty_output_ready(t), WAIT_SIGNALS, NSEC_NEVER);
            n = e;
        } else if (n > 0) {
            done += n;
        }
        if (n < 0)
            return done > 0 ? done : n;
    }
    return done;
}

/* --- the rest of the file --- */

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty *t = f->data;
    uint32_t r = 0;
    poll_add(pt, &t->in);
    poll_add(pt, t->out);
    mutex_lock(&t->lock);
    if (ldisc_readable(t))
        r |= EPOLLIN | EPOLLRDNORM;
    if (t->hung)
        r |= EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLHUP;
    if (tty_output_ready(t))
        r |= EPOLLOUT | EPOLLWRNORM;
    mutex_unlock(&t->lock);
    return r;
}

static int64_t tty_file_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    struct tty *t = f->data;
    return t->hung ? -EIO : tty_ioctl(t, cmd, arg);
}

static void tty_release(struct file *f)
{
    struct tty *t = f->data;
    mutex_lock(&t->lock);
    bool last = --t->files == 0;
    mutex_unlock(&t->lock);
    if (last)
        t->drv->closed(t);
    tty_put(t);
}

static const struct file_ops tty_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
    .mmap = file_no_mmap,
    .release = tty_release,
};

struct tty *tty_of_file(const struct file *f)
{
    return f->ops == &tty_ops ? f->data : NULL;
}

int tty_file_open(struct tty *t, struct file *f)
{
    mutex_lock(&t->lock);
    bool hung = t->hung;
    if (!hung)
        t->files++;
    mutex_unlock(&t->lock);
    if (hung)
        return -EIO;
    tty_get(t);
    f->ops = &tty_ops;
    f->data = t;
    f->mode |= FILE_STREAM;
    tty_open_job(t, f->flags);
    return 0;
}

/* --- /dev/tty and /dev/console --- */

static int dev_tty_open(struct file *f, uint64_t rdev)
{
    struct tty *t = NULL;
    (void)rdev;
    mutex_lock(&proc_lock);
    if (current()->proc->session->tty != NULL) {
        t = current()->proc->session->tty;
        tty_get(t);
    }
    mutex_unlock(&proc_lock);
    if (t == NULL)
        return -ENXIO;
    int r = tty_file_open(t, f);
    tty_put(t);
    return r;
}

static int dev_console_open(struct file *f, uint64_t rdev)
{
    (void)rdev;
    return tty_console != NULL ? tty_file_open(tty_console, f) : -ENXIO;
}

void tty_devices_register(void)
{
    dev_register(5, 0, 1, dev_tty_open);
    dev_register(5, 1, 1, dev_console_open);
    dev_register(5, 2, 1, ptmx_open);
    dev_register(136, 0, PTS_MAX, pts_open);
}
