// SPDX-License-Identifier: Apache-2.0
/* signalfd(2): reading pending signals of whoever reads. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"

#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"

struct polled { /* a process whose wait queue an epoll may still be on */
    struct process *proc; /* reference held */
    struct polled *next;
};

struct signalfd {
    uint64_t mask; /* signals that are read; atomic */
    struct spinlock lock;
    struct polled *polled;
};

static bool signalfd_ready(const struct signalfd *s)
{
    const struct task *t = current();
    uint64_t set = __atomic_load_n(&t->pending.set, __ATOMIC_RELAXED) |
                   __atomic_load_n(&t->proc->pending.set, __ATOMIC_RELAXED);
    return (set & s->mask) != 0;
}

static void signalfd_fill(struct lx_signalfd_siginfo *out,
                          const struct lx_siginfo *si)
{
    *out = (struct lx_signalfd_siginfo){
        .signo = (uint32_t)si->signo,
        .err = si->err,
        .code = si->code,
    };
    if (si->code == LX_SI_TIMER) {
        out->tid = (uint32_t)si->timerid;
        out->overrun = (uint32_t)si->overrun;
        out->value_ptr = si->timer_value;
        out->value_int = (int32_t)si->timer_value;
        return;
    }
    bool fault = si->signo == LX_SIGSEGV || si->signo == LX_SIGBUS ||
                 si->signo == LX_SIGILL || si->signo == LX_SIGFPE ||
                 si->signo == LX_SIGTRAP;
    if (si->code > 0 && si->code != LX_SI_KERNEL && fault) {
        out->addr = si->addr;
        out->addr_lsb = (uint16_t)si->addr_lsb;
        return;
    }
    out->pid = (uint32_t)si->pid;
    out->uid = si->uid;
    if (si->signo == LX_SIGCHLD && si->code > 0) {
        out->status = si->chld.status;
        out->utime = (uint64_t)si->chld.utime;
        out->stime = (uint64_t)si->chld.stime;
    } else {
        out->value_ptr = si->value;
        out->value_int = (int32_t)si->value;
    }
}

static int64_t signalfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct signalfd *s = f->data;
    struct lx_signalfd_siginfo out;
    int64_t done = 0;
    (void)pos;
    if (u->left < sizeof(out))
        return -EINVAL;
    while (u->left >= sizeof(out)) {
        struct lx_siginfo si;
        int r = 0;
        int signo = signal_dequeue(current(), s->mask, &si);
        if (signo == 0 && done > 0)
            break;
        if (signo == 0 && (f->flags & LX_O_NONBLOCK) != 0)
            return -EAGAIN;
        if (signo == 0)
            WAIT_FOR(r, &current()->proc->sigwait, signalfd_ready(s),
                     WAIT_SIGNALS, NSEC_NEVER);
        if (r < 0)
            return r;
        if (signo == 0)
            continue;
        signalfd_fill(&out, &si);
        int64_t n = uio_put(u, &out, sizeof(out));
        if (n != sizeof(out))
            return done > 0 ? done : -EFAULT;
        done += n;
    }
    return done;
}

/* An epoll entry stays on the queue of the process that added it, so that
 * process object must outlive this file. */
static bool signalfd_hold(struct signalfd *s, struct process *p)
{
    struct polled *n = kmalloc(sizeof(*n));
    if (n == NULL)
        return false;
    n->proc = p;
    spin_lock(&s->lock);
    bool known = false;
    for (const struct polled *at = s->polled; at != NULL; at = at->next)
        known = known || at->proc == p;
    if (!known) {
        process_get(p);
        n->next = s->polled;
        s->polled = n;
        n = NULL;
    }
    spin_unlock(&s->lock);
    kfree(n);
    return true;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
    struct signalfd *s = f->data;
    struct process *p = current()->proc;
    if (pt != NULL && signalfd_hold(s, p))
        poll_add(pt, &p->sigwait);
    return signalfd_ready(s) ? EPOLLIN : 0;
}

static void signalfd_release(struct file *f)
{
    struct signalfd *s = f->data;
    while (s->polled != NULL) {
        struct polled *p = s->polled;
        s->polled = p->next;
        process_put(p->proc);
        kfree(p);
    }
    kfree(s);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .write = file_no_write,
    .poll = signalfd_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = signalfd_release,
};

static uint64_t signalfd_valid(uint64_t mask)
{
    return mask & ~(SIG_BIT(LX_SIGKILL) | SIG_BIT(LX_SIGSTOP));
}

int signalfd_new(uint64_t mask, uint32_t flags, struct file **out)
{
    struct signalfd *s = kzalloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->mask = signalfd_valid(mask);
    int r = event_file_new(&signalfd_ops, "signalfd",
                           LX_O_RDWR | (flags & LX_SFD_NONBLOCK), s, out);
    if (r < 0)
        kfree(s);
    return r;
}

int signalfd_set(struct file *f, uint64_t mask)
{
    struct signalfd *s = f->data;
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    __atomic_store_n(&s->mask, signalfd_valid(mask), __ATOMIC_RELAXED);
    waitq_wake(&current()->proc->sigwait, 0, WAKE_ALL);
    return 0;
}

bool signalfd_mask(const struct file *f, uint64_t *mask)
{
    const struct signalfd *s = f->data;
    if (f->ops != &signalfd_ops)
        return false;
    *mask = s->mask;
    return true;
}
