// SPDX-License-Identifier: Apache-2.0
/*
 * timerfd_create(2). A periodic timer is started again by the read that
 * collects its ticks, so an unread one costs nothing.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"
#include "abi/linux/proc.h"

#include "guest/core/kmem.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"
#include "guest/sys/timespec.h"

struct timerfd {
    struct mutex set;     /* changes of the timer */
    struct spinlock lock; /* irq-safe: the rest */
    struct waitq waitq;
    struct timer timer;
    nsec_t deadline; /* of the next tick; 0: disarmed */
    nsec_t interval;
    uint64_t ticks; /* not yet read, without the ones after `deadline` */
    bool expired;   /* the timer has run and was not started again */
    int clock;
};

static void timerfd_fire(struct timer *t)
{
    struct timerfd *d = CONTAINER_OF(t, struct timerfd, timer);
    unsigned long flags = spin_lock_irq(&d->lock);
    d->expired = true;
    d->ticks++;
    spin_unlock_irq(&d->lock, flags);
    waitq_wake(&d->waitq, EPOLLIN, WAKE_ALL);
}

/* Ticks so far, and the next period. set is held. */
static uint64_t timerfd_take(struct timerfd *d)
{
    bool again = false;
    unsigned long flags = spin_lock_irq(&d->lock);
    uint64_t n = d->ticks;
    if (d->expired) {
        nsec_t now = clock_now();
        d->expired = false;
        if (d->interval == 0) {
            d->deadline = 0;
        } else {
            uint64_t late =
                now > d->deadline ? (now - d->deadline) / d->interval : 0;
            n += late;
            d->deadline += (late + 1) * d->interval;
            again = true;
        }
    }
    d->ticks = 0;
    nsec_t deadline = d->deadline;
    spin_unlock_irq(&d->lock, flags);
    if (again)
        timer_start(&d->timer, deadline);
    return n;
}

static bool timerfd_ready(struct timerfd *d)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    bool ready = d->ticks > 0;
    spin_unlock_irq(&d->lock, flags);
    return ready;
}

static int64_t timerfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct timerfd *d = f->data;
    uint64_t n = 0;
    (void)pos;
    if (u->left < sizeof(n))
        return -EINVAL;
    while (n == 0) {
        int r = 0;
        if (!timerfd_ready(d)) {
            if ((f->flags & LX_O_NONBLOCK) != 0)
                return -EAGAIN;
            WAIT_FOR(r, &d->waitq, timerfd_ready(d), WAIT_SIGNALS, NSEC_NEVER);
        }
        if (r < 0)
            return r;
        mutex_lock(&d->set);
        n = timerfd_take(d);
        mutex_unlock(&d->set);
    }
    return uio_put(u, &n, sizeof(n));
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *d = f->data;
    poll_add(pt, &d->waitq);
    return timerfd_ready(d) ? EPOLLIN : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *d = f->data;
    (void)timer_stop(&d->timer);
    kfree(d);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .write = file_no_write,
    .poll = timerfd_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = timerfd_release,
};

int timerfd_new(int clock, uint32_t flags, struct file **out)
{
    struct timerfd *d = kzalloc(sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    mutex_init(&d->set);
    waitq_init(&d->waitq);
    timer_init(&d->timer, timerfd_fire);
    d->clock = clock;
    int r = event_file_new(&timerfd_ops, "timerfd",
                           LX_O_RDWR | (flags & LX_TFD_NONBLOCK), d, out);
    if (r < 0)
        kfree(d);
    return r;
}

static void timerfd_show(struct timerfd *d, struct lx_itimerspec *out)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    nsec_t now = clock_now(), next = d->deadline;
    if (next != 0 && next <= now) /* of a period nobody has read */
        next = d->interval == 0
                   ? 0
                   : next + ((now - next) / d->interval + 1) * d->interval;
    out->interval = timespec_from_nsec(d->interval);
    out->value = timespec_from_nsec(next > now ? next - now : 0);
    spin_unlock_irq(&d->lock, flags);
}

static void timerfd_arm(struct timerfd *d, nsec_t deadline, nsec_t interval)
{
    (void)timer_stop(&d->timer);
    unsigned long flags = spin_lock_irq(&d->lock);
    d->deadline = deadline;
    d->interval = interval;
    d->ticks = 0;
    d->expired = false;
    spin_unlock_irq(&d->lock, flags);
    if (deadline != 0)
        timer_start(&d->timer, deadline);
}

int timerfd_set(struct file *f, uint32_t flags, const struct lx_itimerspec *to,
                struct lx_itimerspec *old)
{
    struct timerfd *d = f->data;
    nsec_t value, interval;
    if (f->ops != &timerfd_ops || timespec_to_nsec(&to->value, &value) < 0 ||
        timespec_to_nsec(&to->interval, &interval) < 0)
        return -EINVAL;
    nsec_t deadline = 0;
    bool wall =
        d->clock == LX_CLOCK_REALTIME || d->clock == LX_CLOCK_REALTIME_ALARM;
    if (value != 0 && (flags & LX_TFD_TIMER_ABSTIME) != 0)
        deadline = MAX(timespec_deadline(value, wall), UINT64_C(1));
    else if (value != 0)
        deadline = timespec_after(clock_now(), value);
    mutex_lock(&d->set);
    timerfd_show(d, old);
    timerfd_arm(d, deadline, interval);
    mutex_unlock(&d->set);
    return 0;
}

int timerfd_get(struct file *f, struct lx_itimerspec *now)
{
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    timerfd_show(f->data, now);
    return 0;
}
