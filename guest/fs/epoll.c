// SPDX-License-Identifier: Apache-2.0
/*
 * Locks: nest_lock > epoll.lock (of an outer before an inner one) > the poll
 * functions of watched files; ready_lock and links_lock inside everything.
 * A wake-up of a watched file runs with that file's wait queue locked, in any
 * context, and only moves the entry to the ready list.
 */
#include "guest/fs/epoll.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"

#define EPOLL_DEPTH 5 /* epolls that watch epolls, as Linux allows */
#define EPOLL_FLAGS                                                            \
    (LX_EPOLLET | LX_EPOLLONESHOT | LX_EPOLLWAKEUP | LX_EPOLLEXCLUSIVE)
#define EPOLL_EXCLUSIVE_OK                                                     \
    (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | LX_EPOLLET | LX_EPOLLWAKEUP |  \
     LX_EPOLLEXCLUSIVE)

struct epoll {
    uint32_t refs; /* the file's, and who is about to take `lock` */
    struct mutex lock;
    struct list items;          /* lock */
    struct spinlock ready_lock; /* irq-safe */
    struct list ready;          /* struct epoll_item.ready */
    struct waitq waitq;         /* epoll_wait, and polls of our file */
    struct file *file;          /* ours; borrowed */
};

struct epoll_waiter { /* one per wait queue of the watched file */
    struct waiter waiter;
    struct epoll_item *item;
    struct epoll_waiter *next;
};

struct epoll_item {
    struct epoll *ep;
    struct file *file; /* no reference: epoll_file_released */
    int fd;
    uint32_t events; /* ready_lock; only flags left: disabled */
    uint64_t data;
    struct epoll_item *file_next; /* file.epolls; links_lock */
    struct list node;             /* ep->items */
    struct list ready;            /* ready_lock */
    struct epoll_waiter first;    /* most files have one queue */
    struct epoll_waiter *more;
};

static struct mutex nest_lock = {.waiters = LIST_INIT(nest_lock.waiters)};
static struct spinlock links_lock;
static const struct file_ops epoll_ops;

static struct epoll *epoll_of(const struct file *f)
{
    return f->ops == &epoll_ops ? f->data : NULL;
}

static void epoll_put(struct epoll *ep)
{
    if (__atomic_sub_fetch(&ep->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(ep);
}

/* Put on the ready list and tell those who wait: was there one? Any context. */
static bool item_ready(struct epoll_item *it, uint32_t events)
{
    struct epoll *ep = it->ep;
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    bool wanted = (it->events & ~EPOLL_FLAGS) != 0 &&
                  (events == 0 || (events & it->events) != 0);
    if (wanted && list_empty(&it->ready))
        list_add_tail(&ep->ready, &it->ready);
    spin_unlock_irq(&ep->ready_lock, flags);
    return wanted && waitq_wake(&ep->waitq, EPOLLIN | EPOLLRDNORM, 1);
}

static bool item_woken(struct waiter *w, uint32_t events)
{
    return item_ready(CONTAINER_OF(w, struct epoll_waiter, waiter)->item,
                      events);
}

/* --- entries; ep->lock is held --- */

struct item_table {
    struct poll_table pt;
    struct epoll_item *item;
    int error;
};

static void item_add_queue(struct poll_table *pt, struct waitq *q)
{
    struct item_table *t = CONTAINER_OF(pt, struct item_table, pt);
    struct epoll_waiter *w = &t->item->first;
    if (w->item != NULL) {
        w = kmalloc(sizeof(*w));
        if (w == NULL) {
            t->error = -ENOMEM;
            return;
        }
        w->next = t->item->more;
        t->item->more = w;
    }
    w->item = t->item;
    waiter_init(&w->waiter);
    w->waiter.wake = item_woken;
    w->waiter.exclusive = (t->item->events & LX_EPOLLEXCLUSIVE) != 0;
    waitq_add(q, &w->waiter);
}

static uint32_t item_poll(const struct epoll_item *it, struct poll_table *pt)
{
    uint32_t got = it->file->ops->poll(it->file, pt);
    return got & it->events;
}

static struct epoll_item *item_find(const struct epoll *ep,
                                    const struct file *f, int fd)
{
    spin_lock(&links_lock);
    struct epoll_item *it = f->epolls;
    while (it != NULL && (it->ep != ep || (fd >= 0 && it->fd != fd)))
        it = it->file_next;
    spin_unlock(&links_lock);
    return it;
}

static void item_unlink(struct epoll_item *it)
{
    spin_lock(&links_lock);
    for (struct epoll_item **at = &it->file->epolls; *at != NULL;
         at = &(*at)->file_next) {
        if (*at == it) {
            __atomic_store_n(at, it->file_next, __ATOMIC_RELEASE);
            break;
        }
    }
    spin_unlock(&links_lock);
}

/* The watched file may go away as soon as it is unlinked, so its queues come
 * first. */
static void item_remove(struct epoll_item *it)
{
    struct epoll *ep = it->ep;
    if (it->first.item != NULL)
        waitq_remove(&it->first.waiter);
    while (it->more != NULL) {
        struct epoll_waiter *w = it->more;
        it->more = w->next;
        waitq_remove(&w->waiter);
        kfree(w);
    }
    item_unlink(it);
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    list_remove(&it->ready);
    spin_unlock_irq(&ep->ready_lock, flags);
    list_remove(&it->node);
    kfree(it);
}

static int item_add(struct epoll *ep, int fd, struct file *target,
                    const struct lx_epoll_event *ev)
{
    struct epoll_item *it = kzalloc(sizeof(*it));
    if (it == NULL)
        return -ENOMEM;
    it->ep = ep;
    it->file = target;
    it->fd = fd;
    it->events = ev->events | EPOLLERR | EPOLLHUP;
    it->data = ev->data;
    list_init(&it->ready);
    list_add_tail(&ep->items, &it->node);
    spin_lock(&links_lock);
    it->file_next = target->epolls;
    target->epolls = it;
    spin_unlock(&links_lock);
    struct item_table t = {.pt.add = item_add_queue, .item = it};
    uint32_t got = item_poll(it, &t.pt);
    if (t.error != 0) {
        item_remove(it);
        return t.error;
    }
    if (got != 0)
        (void)item_ready(it, got);
    return 0;
}

static int item_modify(struct epoll_item *it, const struct lx_epoll_event *ev)
{
    if (((it->events | ev->events) & LX_EPOLLEXCLUSIVE) != 0)
        return -EINVAL;
    unsigned long flags = spin_lock_irq(&it->ep->ready_lock);
    it->events = ev->events | EPOLLERR | EPOLLHUP;
    it->data = ev->data;
    spin_unlock_irq(&it->ep->ready_lock, flags);
    uint32_t got = item_poll(it, NULL);
    if (got != 0)
        (void)item_ready(it, got);
    return 0;
}

/* --- nesting; nest_lock is held --- */

/* Length of the longest chain of epolls from `f` down, or -1 when it reaches
 * `ep` or is too long. Recursion is bounded by `left`. */
static int nest_down(const struct file *f, const struct epoll *ep, int left)
{
    struct epoll *inner = epoll_of(f);
    if (inner == NULL)
        return 0;
    if (inner == ep || left == 0)
        return -1;
    int longest = 0;
    mutex_lock(&inner->lock);
    LIST_FOR(at, &inner->items)
    {
        struct epoll_item *it = LIST_ENTRY(at, struct epoll_item, node);
        int n = nest_down(it->file, ep, left - 1);
        longest = n < 0 || longest < 0 ? -1 : MAX(longest, n);
    }
    mutex_unlock(&inner->lock);
    return longest < 0 ? -1 : longest + 1;
}

/* The same upwards: who watches `ep`. links_lock is held. */
static int nest_up(const struct epoll *ep, int left)
{
    int longest = 0;
    if (left == 0)
        return -1;
    for (const struct epoll_item *it = ep->file->epolls; it != NULL;
         it = it->file_next) {
        int n = nest_up(it->ep, left - 1);
        longest = n < 0 || longest < 0 ? -1 : MAX(longest, n);
    }
    return longest < 0 ? -1 : longest + 1;
}

static int nest_check(const struct epoll *ep, const struct file *target)
{
    int down = nest_down(target, ep, EPOLL_DEPTH);
    spin_lock(&links_lock);
    int up = nest_up(ep, EPOLL_DEPTH);
    spin_unlock(&links_lock);
    return down < 0 || up < 0 || up + down > EPOLL_DEPTH ? -ELOOP : 0;
}

/* --- epoll_ctl(2) --- */

static int control_locked(struct epoll *ep, int op, int fd, struct file *target,
                          const struct lx_epoll_event *ev)
{
    struct epoll_item *it = item_find(ep, target, fd);
    switch (op) {
    case LX_EPOLL_CTL_ADD:
        return it != NULL ? -EEXIST : item_add(ep, fd, target, ev);
    case LX_EPOLL_CTL_MOD: return it == NULL ? -ENOENT : item_modify(it, ev);
    case LX_EPOLL_CTL_DEL:
        if (it == NULL)
            return -ENOENT;
        item_remove(it);
        return 0;
    default: return -EINVAL;
    }
}

int epoll_control(struct file *f, int op, int fd, struct file *target,
                  const struct lx_epoll_event *ev)
{
    struct epoll *ep = epoll_of(f);
    if (target->ops->poll == file_always_ready)
        return -EPERM;
    if (ep == NULL || f == target)
        return -EINVAL;
    bool nested = epoll_of(target) != NULL;
    if (op != LX_EPOLL_CTL_DEL && (ev->events & LX_EPOLLEXCLUSIVE) != 0 &&
        (op == LX_EPOLL_CTL_MOD || nested ||
         (ev->events & ~EPOLL_EXCLUSIVE_OK) != 0))
        return -EINVAL;
    bool check = op == LX_EPOLL_CTL_ADD && (nested || f->epolls != NULL);
    int r = 0;
    if (check) {
        mutex_lock(&nest_lock);
        r = nest_check(ep, target);
    }
    if (r == 0) {
        mutex_lock(&ep->lock);
        r = control_locked(ep, op, fd, target, ev);
        mutex_unlock(&ep->lock);
    }
    if (check)
        mutex_unlock(&nest_lock);
    return r;
}

void epoll_file_released(struct file *f)
{
    for (;;) {
        spin_lock(&links_lock);
        struct epoll *ep = f->epolls != NULL ? f->epolls->ep : NULL;
        if (ep != NULL)
            __atomic_fetch_add(&ep->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(&links_lock);
        if (ep == NULL)
            return;
        mutex_lock(&ep->lock);
        struct epoll_item *it = item_find(ep, f, -1);
        if (it != NULL)
            item_remove(it);
        mutex_unlock(&ep->lock);
        epoll_put(ep);
    }
}

/* --- epoll_wait(2) --- */

static bool ready_any(struct epoll *ep)
{
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    bool any = !list_empty(&ep->ready);
    spin_unlock_irq(&ep->ready_lock, flags);
    return any;
}

/* Everything on the ready list moves to `to`. */
static void ready_take(struct epoll *ep, struct list *to)
{
    list_init(to);
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    if (!list_empty(&ep->ready)) {
        list_add_tail(&ep->ready, to);
        list_remove(&ep->ready);
    }
    spin_unlock_irq(&ep->ready_lock, flags);
}

/* First of `from`, off the list: a wake-up may queue it again meanwhile. */
static struct epoll_item *ready_pop(struct epoll *ep, struct list *from)
{
    struct epoll_item *it = NULL;
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    if (!list_empty(from)) {
        it = LIST_ENTRY(from->next, struct epoll_item, ready);
        list_remove(&it->ready);
    }
    spin_unlock_irq(&ep->ready_lock, flags);
    return it;
}

/* What was not looked at goes back, before what came meanwhile. */
static void ready_return(struct epoll *ep, struct list *from)
{
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    while (!list_empty(from)) {
        struct list *last = from->prev;
        list_remove(last);
        list_add_head(&ep->ready, last);
    }
    spin_unlock_irq(&ep->ready_lock, flags);
}

/* `it` was reported: what happens to it next. */
static void item_reported(struct epoll *ep, struct epoll_item *it)
{
    unsigned long flags = spin_lock_irq(&ep->ready_lock);
    if ((it->events & LX_EPOLLONESHOT) != 0) {
        it->events &= EPOLL_FLAGS;
        list_remove(&it->ready);
    } else if ((it->events & LX_EPOLLET) == 0 && list_empty(&it->ready)) {
        list_add_tail(&ep->ready, &it->ready);
    }
    spin_unlock_irq(&ep->ready_lock, flags);
}

static bool events_grow(struct epoll_events *e)
{
    unsigned room = MIN(e->room * 4, e->max);
    struct lx_epoll_event *at = NULL;
    if (e->room < e->max)
        at = kmalloc(room * sizeof(*at));
    if (at == NULL)
        return false;
    memcpy(at, e->at, e->room * sizeof(*at));
    kfree(e->grown);
    e->at = e->grown = at;
    e->room = room;
    return true;
}

static unsigned epoll_collect(struct epoll *ep, struct epoll_events *out)
{
    struct list todo;
    unsigned n = 0;
    mutex_lock(&ep->lock);
    ready_take(ep, &todo);
    while (!list_empty(&todo) && (n < out->room || events_grow(out))) {
        struct epoll_item *it = ready_pop(ep, &todo);
        if (it == NULL)
            break;
        uint32_t got = item_poll(it, NULL);
        if (got == 0)
            continue;
        out->at[n++] = (struct lx_epoll_event){.events = got, .data = it->data};
        item_reported(ep, it);
    }
    ready_return(ep, &todo);
    mutex_unlock(&ep->lock);
    return n;
}

static int epoll_sleep(struct epoll *ep, nsec_t deadline)
{
    int r;
    struct waiter w;
    waiter_init(&w);
    w.exclusive = true;
    for (;;) {
        waitq_add(&ep->waitq, &w);
        r = 0;
        if (ready_any(ep))
            break;
        r = wait_sleep(WAIT_SIGNALS, deadline);
        if (r < 0)
            break;
    }
    waiter_done(&w);
    return r;
}

int epoll_wait_events(struct file *f, struct epoll_events *out, nsec_t deadline)
{
    struct epoll *ep = epoll_of(f);
    if (ep == NULL)
        return -EINVAL;
    for (;;) {
        int n = ready_any(ep) ? (int)epoll_collect(ep, out) : 0;
        int r = n == 0 && deadline != 0 ? epoll_sleep(ep, deadline) : 0;
        if (n == 0 && r == 0 && deadline != 0)
            continue;
        /* One sleeper is woken per event: pass on what is left. */
        if (ready_any(ep))
            waitq_wake(&ep->waitq, EPOLLIN | EPOLLRDNORM, 1);
        if (r == -ETIMEDOUT)
            return 0;
        return r < 0 ? -EINTR : n;
    }
}

/* --- the file --- */

/* Readable if an entry is; entries found not to be ready leave the list. They
 * stay on it while we ask, so that a sleeper sees them. */
static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->data;
    uint32_t r = 0;
    poll_add(pt, &ep->waitq);
    mutex_lock(&ep->lock);
    while (r == 0 && ready_any(ep)) {
        struct epoll_item *it =
            LIST_ENTRY(ep->ready.next, struct epoll_item, ready);
        if (item_poll(it, NULL) == 0) {
            unsigned long flags = spin_lock_irq(&ep->ready_lock);
            list_remove(&it->ready);
            spin_unlock_irq(&ep->ready_lock, flags);
            if (item_poll(it, NULL) == 0)
                continue;
            (void)item_ready(it, 0); /* it came between the two */
        }
        r = EPOLLIN | EPOLLRDNORM;
    }
    mutex_unlock(&ep->lock);
    return r;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->data;
    mutex_lock(&ep->lock);
    while (!list_empty(&ep->items))
        item_remove(LIST_ENTRY(ep->items.next, struct epoll_item, node));
    mutex_unlock(&ep->lock);
    epoll_put(ep);
}

static const struct file_ops epoll_ops = {
    .read = file_no_read,
    .write = file_no_write,
    .poll = epoll_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = epoll_release,
};

int epoll_file_new(struct file **out)
{
    struct epoll *ep = kzalloc(sizeof(*ep));
    struct inode *i = anon_inode(0600, "eventpoll");
    struct file *f =
        ep != NULL && i != NULL ? file_new(&epoll_ops, i, LX_O_RDWR) : NULL;
    if (i != NULL)
        inode_put(i);
    if (f == NULL) {
        kfree(ep);
        return -ENOMEM;
    }
    ep->refs = 1;
    ep->file = f;
    mutex_init(&ep->lock);
    list_init(&ep->items);
    list_init(&ep->ready);
    waitq_init(&ep->waitq);
    f->mode |= FILE_STREAM;
    f->data = ep;
    *out = f;
    return 0;
}

bool epoll_entry(struct file *f, unsigned n, int *fd, uint32_t *events,
                 uint64_t *data)
{
    struct epoll *ep = epoll_of(f);
    bool found = false;
    if (ep == NULL)
        return false;
    mutex_lock(&ep->lock);
    LIST_FOR(at, &ep->items)
    {
        const struct epoll_item *it = LIST_ENTRY(at, struct epoll_item, node);
        if (n-- > 0)
            continue;
        *fd = it->fd;
        *events = it->events;
        *data = it->data;
        found = true;
        break;
    }
    mutex_unlock(&ep->lock);
    return found;
}
