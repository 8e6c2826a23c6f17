// SPDX-License-Identifier: Apache-2.0
/*
 * SIGIO, and SIGURG of sockets, which needs no O_ASYNC but an owner. Who
 * watches a file is on its wait queues, as epoll is. A wake-up comes under
 * locks that must not be held while a signal is sent: so it only starts a timer
 * that is due at once.
 */
#include "guest/fs/fasync.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"

#define QUEUES 3 /* that one file polls on */

/* sigaction(2): si_code and si_band. */
#define POLL_IN  1
#define POLL_OUT 2
#define POLL_ERR 4
#define POLL_PRI 5
#define POLL_HUP 6

struct fasync;

struct fasync_waiter {
    struct waiter waiter;
    struct fasync *fa;
};

struct fasync {
    struct file *file;
    struct timer timer;
    struct fasync_waiter waiters[QUEUES];
    unsigned count;
    bool io; /* atomic: O_ASYNC */
    int32_t fd;
    uint32_t events; /* atomic: since the last signal; EPOLL* */
};

static struct mutex fasync_lock = {.waiters = LIST_INIT(fasync_lock.waiters)};

/* --- sending --- */

static bool fasync_allowed(const struct fasync_to *to, const struct process *p)
{
    const struct cred *c = &p->cred;

    return to->euid == 0 || to->euid == c->suid || to->euid == c->uid ||
           to->uid == c->suid || to->uid == c->uid;
}

struct fasync_send { /* to a group */
    const struct fasync_to *to;
    const struct lx_siginfo *si;
};

static int fasync_send_one(const struct fasync_to *to, struct process *p,
                           struct task *t, const struct lx_siginfo *si)
{
    if (!fasync_allowed(to, p))
        return 0;
    return t != NULL ? signal_send_task(t, si) : signal_send(p, si);
}

static void fasync_send_group(struct process *p, void *arg)
{
    const struct fasync_send *s = arg;

    if (p->pgid == s->to->pid)
        (void)fasync_send_one(s->to, p, NULL, s->si);
}

static int fasync_send(const struct fasync_to *to, const struct lx_siginfo *si)
{
    if (to->type == FASYNC_PGRP) {
        struct fasync_send s = {to, si};
        process_each(fasync_send_group, &s);
        return 0;
    }
    struct task *t = task_find_get(to->pid);
    if (t == NULL)
        return 0;
    int r = fasync_send_one(to, t->proc, to->type == FASYNC_TID ? t : NULL, si);
    task_put(t);
    return r;
}

static void fasync_tell(const struct fasync *fa, int32_t code, uint32_t band)
{
    const struct fasync_to *to = &fa->file->owner;
    struct lx_siginfo si;

    if (to->pid == 0)
        return;
    if (to->signo != 0) {
        signal_info(&si, to->signo, code);
        si.band = band;
        si.fd = fa->fd;
        if (fasync_send(to, &si) == 0)
            return;
    }
    signal_info(&si, LX_SIGIO, LX_SI_KERNEL); /* the queue is full, too */
    (void)fasync_send(to, &si);
}

/* SIGURG, and what F_SETSIG asked for. */
static void fasync_tell_urgent(const struct fasync *fa, bool io)
{
    const struct fasync_to *to = &fa->file->owner;
    struct lx_siginfo si;

    if (to->pid == 0)
        return;
    signal_info(&si, LX_SIGURG, LX_SI_KERNEL);
    (void)fasync_send(to, &si);
    if (io && to->signo != 0)
        fasync_tell(fa, POLL_PRI, EPOLLPRI | EPOLLRDBAND);
}

static void fasync_fn(struct timer *t)
{
    struct fasync *fa = CONTAINER_OF(t, struct fasync, timer);
    uint32_t e = __atomic_exchange_n(&fa->events, 0, __ATOMIC_ACQ_REL);
    bool io = __atomic_load_n(&fa->io, __ATOMIC_ACQUIRE);

    if ((e & POLL_URGENT) != 0)
        fasync_tell_urgent(fa, io);
    if (!io)
        return;
    if ((fa->file->flags & LX_O_ACCMODE) == LX_O_RDONLY)
        e &= ~EPOLLOUT;
    if ((fa->file->flags & LX_O_ACCMODE) == LX_O_WRONLY)
        e &= ~EPOLLIN;
    if ((e & EPOLLIN) != 0)
        fasync_tell(fa, POLL_IN, EPOLLIN | EPOLLRDNORM);
    else if ((e & EPOLLHUP) != 0)
        fasync_tell(fa, POLL_HUP, EPOLLHUP | EPOLLERR);
    if ((e & EPOLLOUT) != 0)
        fasync_tell(fa, POLL_OUT, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    else if ((e & EPOLLERR) != 0)
        fasync_tell(fa, POLL_ERR, EPOLLERR);
}

/* --- watching --- */

static bool fasync_woken(struct waiter *w, uint32_t events)
{
    struct fasync *fa = CONTAINER_OF(w, struct fasync_waiter, waiter)->fa;

    if ((events & POLL_URGENT) == 0 &&
        !__atomic_load_n(&fa->io, __ATOMIC_ACQUIRE))
        return false;
    (void)__atomic_fetch_or(&fa->events, events, __ATOMIC_ACQ_REL);
    timer_start(&fa->timer, clock_now());
    return true;
}

struct fasync_table {
    struct poll_table pt;
    struct fasync *fa;
};

static void fasync_add(struct poll_table *pt, struct waitq *q)
{
    struct fasync *fa = CONTAINER_OF(pt, struct fasync_table, pt)->fa;

    if (fa->count == QUEUES)
        return;
    struct fasync_waiter *w = &fa->waiters[fa->count++];
    w->fa = fa;
    waiter_init(&w->waiter);
    w->waiter.wake = fasync_woken;
    waitq_add(q, &w->waiter);
}

/* Once; fasync_lock is held. */
static int fasync_start(struct file *f)
{
    if (f->async != NULL)
        return 0;
    struct fasync *fa = kzalloc(sizeof(*fa));
    struct fasync_table t = {{fasync_add}, fa};

    if (fa == NULL)
        return -ENOMEM;
    fa->file = f;
    timer_init(&fa->timer, fasync_fn);
    f->async = fa;
    (void)f->ops->poll(f, &t.pt);
    return 0;
}

void fasync_release(struct file *f)
{
    struct fasync *fa = f->async;

    if (fa == NULL)
        return;
    for (unsigned i = 0; i < fa->count; i++)
        waitq_remove(&fa->waiters[i].waiter);
    (void)timer_stop(&fa->timer);
    f->async = NULL;
    kfree(fa);
}

int fasync_set(struct file *f, int fd, bool on)
{
    uint32_t type = f->inode->mode & LX_S_IFMT;
    bool can = type == LX_S_IFIFO || type == LX_S_IFCHR || type == LX_S_IFSOCK;
    int r = 0;

    if (!can)
        return 0;
    mutex_lock(&fasync_lock);
    if (on)
        r = fasync_start(f);
    if (r == 0 && f->async != NULL) {
        f->async->fd = fd;
        __atomic_store_n(&f->async->io, on, __ATOMIC_RELEASE);
    }
    mutex_unlock(&fasync_lock);
    return r;
}

int fasync_set_owner(struct file *f, int32_t type, int32_t pid)
{
    bool there = pid == 0;

    if (type < FASYNC_TID || type > FASYNC_PGRP || pid < 0)
        return -EINVAL;
    mutex_lock(&proc_lock);
    if (type != FASYNC_PGRP && pid != 0)
        there = task_find(pid) != NULL;
    LIST_FOR(it, &proc_list)
    if (type == FASYNC_PGRP &&
        LIST_ENTRY(it, struct process, all_node)->pgid == pid)
        there = true;
    mutex_unlock(&proc_lock);
    if (!there)
        return -ESRCH;
    if ((f->inode->mode & LX_S_IFMT) == LX_S_IFSOCK) {
        mutex_lock(&fasync_lock);
        int r = fasync_start(f);
        mutex_unlock(&fasync_lock);
        if (r < 0)
            return r;
    }
    const struct cred *c = &current()->cred;
    f->owner = (struct fasync_to){.type = type,
                                  .pid = pid,
                                  .uid = c->uid,
                                  .euid = c->euid,
                                  .signo = f->owner.signo};
    return 0;
}
