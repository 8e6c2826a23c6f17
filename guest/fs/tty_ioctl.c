// SPDX-License-Identifier: Apache-2.0
/* ioctl(2) of terminals: tty_ioctl(4). */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

#define DRAIN_STEP UINT64_C(2000000) /* ns between looks */

/* tcdrain(3). */
static int drain(struct tty *t)
{
    while (t->drv->queued(t) > 0 && !t->hung) {
        int r;
        WAIT_FOR(r, &t->own_out, t->drv->queued(t) == 0, WAIT_SIGNALS,
                 clock_now() + DRAIN_STEP);
        if (r == -ERESTARTSYS)
            return r;
    }
    return 0;
}

static int64_t get_termios(struct tty *t, uptr_t to, size_t size)
{
    mutex_lock(&t->lock);
    struct lx_termios2 now = t->termios;
    mutex_unlock(&t->lock);
    return copy_to_user(to, &now, size);
}

static int64_t get_termio(struct tty *t, uptr_t to)
{
    mutex_lock(&t->lock);
    const struct lx_termios2 *now = &t->termios;
    struct lx_termio old = {.iflag = (uint16_t)now->iflag,
                            .oflag = (uint16_t)now->oflag,
                            .cflag = (uint16_t)now->cflag,
                            .lflag = (uint16_t)now->lflag,
                            .line = now->line};
    memcpy(old.cc, now->cc, sizeof(old.cc));
    mutex_unlock(&t->lock);
    return copy_to_user(to, &old, sizeof(old));
}

static uint32_t low_half(uint32_t was, uint16_t low)
{
    return (was & 0xffff0000u) | low;
}

/* What a program gives changes *to. The size tells which
 * structure it is; the two newer ones start alike. */
static int read_termios(struct lx_termios2 *to, uptr_t from, size_t size)
{
    struct lx_termio old;
    if (size != sizeof(old))
        return copy_from_user(to, from, size);
    if (copy_from_user(&old, from, sizeof(old)) < 0)
        return -EFAULT;
    to->iflag = low_half(to->iflag, old.iflag);
    to->oflag = low_half(to->oflag, old.oflag);
    to->cflag = low_half(to->cflag, old.cflag);
    to->lflag = low_half(to->lflag, old.lflag);
    to->line = old.line;
    memcpy(to->cc, old.cc, sizeof(old.cc));
    return 0;
}

static uint32_t keep_fixed(uint32_t was, uint32_t to, uint32_t fixed)
{
    return (to & ~fixed) | (was & fixed);
}

/* lock is held. */
static void keep_termios(const struct tty *t, struct lx_termios2 *to)
{
    const struct lx_termios *fixed = &t->fixed;
    const struct lx_termios2 *was = &t->termios;
    to->iflag = keep_fixed(was->iflag, to->iflag, fixed->iflag);
    to->oflag = keep_fixed(was->oflag, to->oflag, fixed->oflag);
    to->cflag = keep_fixed(was->cflag, to->cflag, fixed->cflag);
    to->lflag = keep_fixed(was->lflag, to->lflag, fixed->lflag);
    if (fixed->line != 0)
        to->line = was->line;
    for (unsigned i = 0; i < LX_NCCS; i++)
        if (fixed->cc[i] != 0)
            to->cc[i] = was->cc[i];
}

static int64_t ioctl_fixed(struct tty *t, bool set, uptr_t at)
{
    struct lx_termios fixed;
    if (set && !cred_capable(current()->proc, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (set && copy_from_user(&fixed, at, sizeof(fixed)) < 0)
        return -EFAULT;
    mutex_lock(&t->lock);
    if (set)
        t->fixed = fixed;
    else
        fixed = t->fixed;
    mutex_unlock(&t->lock);
    return set ? 0 : copy_to_user(at, &fixed, sizeof(fixed));
}

/* lock is held. */
static void flush_input(struct tty *t)
{
    if (t->drv->flush != NULL)
        t->drv->flush(t);
    ldisc_flush_input(t);
    ldisc_consume(t, 0);
    if (t->drv->status != NULL)
        t->drv->status(t, LX_TIOCPKT_FLUSHREAD);
}

static int64_t set_termios(struct tty *t, uptr_t from, size_t size, bool wait,
                           bool flush)
{
    int r = tty_check_job(t, LX_SIGTTOU);
    if (r < 0)
        return r;
    mutex_lock(&t->lock);
    struct lx_termios2 to = t->termios;
    mutex_unlock(&t->lock);
    if (read_termios(&to, from, size) < 0)
        return -EFAULT;
    if (wait)
        r = drain(t);
    if (r < 0)
        return r;
    mutex_lock(&t->lock);
    if (flush)
        flush_input(t);
    keep_termios(t, &to);
    ldisc_set_termios(t, &to);
    mutex_unlock(&t->lock);
    return 0;
}

static int64_t set_winsize(struct tty *t, uptr_t from)
{
    struct lx_winsize w;
    if (copy_from_user(&w, from, sizeof(w)) < 0)
        return -EFAULT;
    tty_set_winsize(t, &w);
    return 0;
}

static int64_t flush(struct tty *t, uint64_t what)
{
    int r = tty_check_job(t, LX_SIGTTOU);
    if (r < 0)
        return r;
    if (what > LX_TCIOFLUSH)
        return -EINVAL;
    /* Output is with the driver already; only input can be forgotten. */
    mutex_lock(&t->lock);
    if (what != LX_TCOFLUSH)
        flush_input(t);
    if (what != LX_TCIFLUSH && t->drv->status != NULL)
        t->drv->status(t, LX_TIOCPKT_FLUSHWRITE);
    mutex_unlock(&t->lock);
    return 0;
}

static void flow_char(struct tty *t, unsigned which)
{
    mutex_lock(&t->lock);
    char c = (char)t->termios.cc[which];
    if (c != '\0')
        (void)t->drv->write(t, &c, 1);
    mutex_unlock(&t->lock);
}

static int64_t flow(struct tty *t, uint64_t what)
{
    int r = tty_check_job(t, LX_SIGTTOU);
    if (r < 0)
        return r;
    switch (what) {
    case LX_TCOOFF:
    case LX_TCOON:
        mutex_lock(&t->lock);
        ldisc_stop(t, what == LX_TCOOFF);
        mutex_unlock(&t->lock);
        return 0;
    case LX_TCIOFF: flow_char(t, LX_VSTOP); return 0;
    case LX_TCION: flow_char(t, LX_VSTART); return 0;
    default: return -EINVAL;
    }
}

static int64_t ioctl_job(struct tty *t, uint32_t cmd, uint64_t arg)
{
    int32_t v;
    int r;
    switch (cmd) {
    case LX_TIOCSCTTY: return tty_set_controlling(t, arg == 1);
    case LX_TIOCNOTTY: return tty_give_up(t);
    case LX_TIOCGPGRP:
        if (!tty_is_mine(t))
            return -ENOTTY;
        return put_user_u32(uptr(arg), (uint32_t)t->pgrp);
    case LX_TIOCSPGRP:
        if (copy_from_user(&v, uptr(arg), sizeof(v)) < 0)
            return -EFAULT;
        return tty_set_pgrp(t, v);
    case LX_TIOCGSID:
        if (!tty_is_mine(t))
            return -ENOTTY;
        r = tty_session_id(t, &v);
        return r < 0 ? r : put_user_u32(uptr(arg), (uint32_t)v);
    default: return -ENOTTY;
    }
}

static int64_t ioctl_count(struct tty *t, uint32_t cmd, uint64_t arg)
{
    mutex_lock(&t->lock);
    uint32_t n = cmd == LX_TIOCINQ ? ldisc_count(t) : 0;
    mutex_unlock(&t->lock);
    if (cmd == LX_TIOCOUTQ)
        n = (uint32_t)t->drv->queued(t);
    return put_user_u32(uptr(arg), n);
}

static int64_t ioctl_termios(struct tty *t, uint32_t cmd, uptr_t at)
{
    const size_t old = sizeof(struct lx_termios);
    const size_t new = sizeof(struct lx_termios2);
    const size_t oldest = sizeof(struct lx_termio);
    switch (cmd) {
    case LX_TCGETS: return get_termios(t, at, old);
    case LX_TCGETS2: return get_termios(t, at, new);
    case LX_TCSETS: return set_termios(t, at, old, false, false);
    case LX_TCSETSW: return set_termios(t, at, old, true, false);
    case LX_TCSETSF: return set_termios(t, at, old, true, true);
    case LX_TIOCGLCKTRMIOS: return ioctl_fixed(t, false, at);
    case LX_TIOCSLCKTRMIOS: return ioctl_fixed(t, true, at);
    case LX_TCGETA: return get_termio(t, at);
    case LX_TCSETA: return set_termios(t, at, oldest, false, false);
    case LX_TCSETAW: return set_termios(t, at, oldest, true, false);
    case LX_TCSETAF: return set_termios(t, at, oldest, true, true);
    case LX_TCSETS2: return set_termios(t, at, new, false, false);
    case LX_TCSETSW2: return set_termios(t, at, new, true, false);
    case LX_TCSETSF2: return set_termios(t, at, new, true, true);
    default: return -ENOTTY;
    }
}

int64_t tty_ioctl(struct tty *t, uint32_t cmd, uint64_t arg)
{
    uint32_t zero;
    switch (cmd) {
    case LX_TIOCGWINSZ:
        return copy_to_user(uptr(arg), &t->winsize, sizeof(t->winsize));
    case LX_TIOCSWINSZ: return set_winsize(t, uptr(arg));
    case LX_TIOCSCTTY:
    case LX_TIOCNOTTY:
    case LX_TIOCGPGRP:
    case LX_TIOCSPGRP:
    case LX_TIOCGSID: return ioctl_job(t, cmd, arg);
    case LX_TIOCINQ:
    case LX_TIOCOUTQ: return ioctl_count(t, cmd, arg);
    case LX_TCFLSH: return flush(t, arg);
    case LX_TCXONC: return flow(t, arg);
    case LX_TCSBRK: /* a break itself means nothing here */
    case LX_TCSBRKP: return drain(t);
    case LX_TIOCSTI: return -EIO; /* as Linux with legacy_tiocsti=0 */
    case LX_TIOCEXCL:
    case LX_TIOCNXCL: return 0; /* root opens it all the same */
    case LX_TIOCGEXCL: return put_user_u32(uptr(arg), 0);
    case LX_TIOCGETD: return put_user_u32(uptr(arg), 0);
    case LX_TIOCSETD:
        if (copy_from_user(&zero, uptr(arg), sizeof(zero)) < 0)
            return -EFAULT;
        return zero == 0 ? 0 : -EINVAL;
    case LX_TIOCGDEV: return put_user_u32(uptr(arg), (uint32_t)t->rdev);
    default: return ioctl_termios(t, cmd, uptr(arg));
    }
}
