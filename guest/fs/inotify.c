// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/inotify.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/path.h"
#include "guest/fs/poll.h"

#define INSTANCES_MAX 128u       /* fs.inotify.max_user_instances */
#define WATCHES_MAX   65536u     /* max_user_watches */
#define EVENTS_MAX    16384u     /* max_queued_events */
#define BYTES_MAX     (8u << 20) /* queued in all instances */
#define NAME_ROUND    16u        /* names are padded to the event's size */
#define IN_ALL_BITS                                                            \
    (IN_ALL_EVENTS | 0x2000u | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |       \
     IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD |          \
     IN_ISDIR | IN_ONESHOT)

struct inotify_wire { /* struct inotify_event */
    int32_t wd;
    uint32_t mask, cookie;
    uint32_t len; /* of the name that follows, padded */
};

struct inotify_event {
    struct list node;
    struct inotify_wire wire;
    uint32_t size; /* of this allocation */
    char name[];
};

struct inotify {
    struct waitq waitq;
    struct list events, watches;
    uint32_t event_count, watch_count;
    uint32_t bytes; /* what reads of all events would give: FIONREAD */
    int32_t next_wd;
};

struct inotify_watch {
    struct list inode_node, own_node;
    struct inotify *in;
    struct inode *inode;   /* reference held */
    struct dentry *dentry; /* reference held; NULL: unlinked */
    int32_t wd;
    uint32_t mask;
};

struct inotify_list { /* of an inode; freed with its last watch */
    struct list watches;
};

/* Guards all instances, watches and inode.watches. */
static struct spinlock inotify_lock;
static uint32_t inotify_instances, inotify_bytes;
uint32_t inotify_watches;

/* --- queues; inotify_lock held --- */

static bool event_repeats(const struct inotify *in,
                          const struct inotify_wire *w, const char *name)
{
    if (list_empty(&in->events))
        return false;
    const struct inotify_event *e =
        LIST_ENTRY(in->events.prev, struct inotify_event, node);
    if (e->wire.wd != w->wd || e->wire.mask != w->mask ||
        e->wire.cookie != w->cookie || (e->wire.len != 0) != (name != NULL))
        return false;
    return name == NULL || strcmp(e->name, name) == 0;
}

static struct inotify_event *event_new(const struct inotify_wire *w,
                                       const char *name)
{
    size_t n = name != NULL ? strlen(name) + 1 : 0;
    size_t len = (n + NAME_ROUND - 1) / NAME_ROUND * NAME_ROUND;
    size_t size = sizeof(struct inotify_event) + len;
    if (inotify_bytes + size > BYTES_MAX)
        return NULL;
    struct inotify_event *e = kzalloc(size);
    if (e == NULL)
        return NULL;
    e->wire = *w;
    e->wire.len = (uint32_t)len;
    e->size = (uint32_t)size;
    if (n != 0)
        memcpy(e->name, name, n);
    return e;
}

static void event_add(struct inotify *in, struct inotify_event *e)
{
    list_add_tail(&in->events, &e->node);
    in->event_count++;
    in->bytes += (uint32_t)sizeof(e->wire) + e->wire.len;
    inotify_bytes += e->size;
}

static void event_take(struct inotify *in, struct inotify_event *e)
{
    list_remove(&e->node);
    in->event_count--;
    in->bytes -= (uint32_t)sizeof(e->wire) + e->wire.len;
    inotify_bytes -= e->size;
}

static void event_queue(struct inotify *in, int32_t wd, uint32_t mask,
                        uint32_t cookie, const char *name)
{
    struct inotify_wire w = {wd, mask, cookie, 0};
    if (event_repeats(in, &w, name))
        return;
    struct inotify_event *e =
        in->event_count < EVENTS_MAX ? event_new(&w, name) : NULL;
    if (e == NULL) { /* lost: say so, once */
        w = (struct inotify_wire){-1, IN_Q_OVERFLOW, 0, 0};
        if (event_repeats(in, &w, NULL))
            return;
        e = kzalloc(sizeof(*e));
        if (e == NULL)
            return;
        e->wire = w;
        e->size = sizeof(*e);
    }
    event_add(in, e);
    waitq_wake(&in->waitq, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
}

/* --- watches --- */

/* Out of all lists; the caller drops its references unlocked. */
static void watch_unlink(struct inotify_watch *w)
{
    struct inotify_list *l = w->inode->watches;
    list_remove(&w->inode_node);
    list_remove(&w->own_node);
    w->in->watch_count--;
    __atomic_fetch_sub(&inotify_watches, 1, __ATOMIC_RELAXED);
    if (list_empty(&l->watches)) {
        w->inode->watches = NULL;
        kfree(l);
    }
}

static void watch_free(struct inotify_watch *w)
{
    if (w->dentry != NULL)
        dentry_put(w->dentry);
    inode_put(w->inode);
    kfree(w);
}

/* One event for everybody who watches `i`; IN_EXCL_UNLINK in `mask`: its name
 * is gone. One-shot watches that fired are collected in *dead. */
static void watch_tell(struct inode *i, uint32_t mask, uint32_t cookie,
                       const char *name, struct list *dead)
{
    if (i->watches == NULL)
        return;
    LIST_FOR_SAFE(it, next, &i->watches->watches)
    {
        struct inotify_watch *w =
            LIST_ENTRY(it, struct inotify_watch, inode_node);
        bool last =
            list_empty(&i->watches->watches) || next == &i->watches->watches;
        if ((w->mask & mask & IN_ALL_EVENTS) == 0 ||
            (w->mask & mask & IN_EXCL_UNLINK) != 0)
            continue;
        event_queue(w->in, w->wd, mask & ~IN_EXCL_UNLINK, cookie, name);
        if ((w->mask & IN_ONESHOT) != 0) {
            event_queue(w->in, w->wd, IN_IGNORED, 0, NULL);
            watch_unlink(w);
            list_add_tail(dead, &w->own_node);
        }
        if (last)
            break; /* the list itself may be gone */
    }
}

static void watch_free_list(struct list *dead)
{
    LIST_FOR_SAFE(it, next, dead)
    {
        watch_free(LIST_ENTRY(it, struct inotify_watch, own_node));
    }
}

void inotify_tell_name(struct inode *dir, uint32_t mask, uint32_t cookie,
                       const char *name)
{
    struct list dead = LIST_INIT(dead);
    spin_lock(&inotify_lock);
    watch_tell(dir, mask, cookie, name, &dead);
    spin_unlock(&inotify_lock);
    watch_free_list(&dead);
}

void inotify_tell_inode(struct inode *i, uint32_t mask)
{
    inotify_tell_name(i, i->dir != NULL ? mask | IN_ISDIR : mask, 0, NULL);
}

void inotify_tell_dentry(struct dentry *d, uint32_t mask)
{
    struct inode *i = d->inode;
    struct inode *dir = NULL;
    char name[NAME_MAX + 1];
    if (i == NULL)
        return;
    uint32_t bits = i->dir != NULL ? mask | IN_ISDIR : mask;
    spin_lock(&dentry_lock);
    if (d->parent != NULL && d->parent != d && d->parent->inode != NULL &&
        d->parent->inode->watches != NULL) {
        dir = d->parent->inode;
        inode_get(dir);
        (void)kstrcpy(name, d->name, sizeof(name));
    }
    if (d->unhashed)
        bits |= IN_EXCL_UNLINK;
    spin_unlock(&dentry_lock);
    if (dir != NULL) {
        inotify_tell_name(dir, bits, 0, name);
        inode_put(dir);
    }
    inotify_tell_name(i, bits, 0, NULL);
}

uint32_t inotify_cookie(void)
{
    static uint32_t cookie;
    return __atomic_add_fetch(&cookie, 1, __ATOMIC_RELAXED);
}

void inotify_unlinked(struct inode *i)
{
    struct dentry *d;
    if (!inotify_any())
        return;
    do {
        d = NULL;
        spin_lock(&inotify_lock);
        if (i->watches != NULL) {
            LIST_FOR(it, &i->watches->watches)
            {
                struct inotify_watch *w =
                    LIST_ENTRY(it, struct inotify_watch, inode_node);
                d = d == NULL ? w->dentry : d;
                if (w->dentry == d)
                    w->dentry = NULL;
                if (d != NULL)
                    break;
            }
        }
        spin_unlock(&inotify_lock);
        if (d != NULL)
            dentry_put(d);
    } while (d != NULL);
}

void inotify_gone(struct inode *i)
{
    struct list dead = LIST_INIT(dead);
    if (!inotify_any())
        return;
    inotify_tell_name(i, IN_DELETE_SELF, 0, NULL);
    spin_lock(&inotify_lock);
    while (i->watches != NULL) {
        struct inotify_watch *w = LIST_ENTRY(i->watches->watches.next,
                                             struct inotify_watch, inode_node);
        event_queue(w->in, w->wd, IN_IGNORED, 0, NULL);
        watch_unlink(w);
        list_add_tail(&dead, &w->own_node);
    }
    spin_unlock(&inotify_lock);
    watch_free_list(&dead);
}

/* --- the file --- */

/* The first event if it fits `room`; NULL and *r = 0 (none) or -EINVAL. */
static struct inotify_event *inotify_next(struct inotify *in, uint64_t room,
                                          int64_t *r)
{
    struct inotify_event *e = NULL;
    *r = 0;
    spin_lock(&inotify_lock);
    if (!list_empty(&in->events)) {
        e = LIST_ENTRY(in->events.next, struct inotify_event, node);
        if (sizeof(e->wire) + e->wire.len > room) {
            e = NULL;
            *r = -EINVAL;
        } else {
            event_take(in, e);
        }
    }
    spin_unlock(&inotify_lock);
    return e;
}

/* Bytes of the events that fit; 0: there are none. */
static int64_t inotify_copy(struct inotify *in, struct uio *u)
{
    int64_t done = 0, r;
    struct inotify_event *e;
    while ((e = inotify_next(in, u->left, &r)) != NULL) {
        int64_t want = (int64_t)sizeof(e->wire) + e->wire.len;
        bool ok =
            uio_put(u, &e->wire, sizeof(e->wire)) == (int64_t)sizeof(e->wire) &&
            (e->wire.len == 0 ||
             uio_put(u, e->name, e->wire.len) == e->wire.len);
        kfree(e);
        if (!ok)
            return done > 0 ? done : -EFAULT;
        done += want;
    }
    return done > 0 ? done : r;
}

static int64_t inotify_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct inotify *in = f->data;
    (void)pos;
    int64_t n = inotify_copy(in, u);
    if (n == 0 && ((f->flags & LX_O_NONBLOCK) != 0 || u->nowait))
        return -EAGAIN;
    if (n == 0) {
        int r;
        WAIT_FOR(r, &in->waitq, (n = inotify_copy(in, u)) != 0, WAIT_SIGNALS,
                 NSEC_NEVER);
        if (r < 0)
            return r;
    }
    return n;
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
    struct inotify *in = f->data;
    poll_add(pt, &in->waitq);
    spin_lock(&inotify_lock);
    bool any = !list_empty(&in->events);
    spin_unlock(&inotify_lock);
    return any ? EPOLLIN | EPOLLRDNORM : 0;
}

#define IOCTL_FIONREAD 0x541bu

static int64_t inotify_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    const struct inotify *in = f->data;
    if (cmd != IOCTL_FIONREAD)
        return -ENOTTY;
    return put_user_u32(uptr(arg), in->bytes);
}

static void inotify_release(struct file *f)
{
    struct inotify *in = f->data;
    struct list dead = LIST_INIT(dead);
    spin_lock(&inotify_lock);
    while (!list_empty(&in->watches)) {
        struct inotify_watch *w =
            LIST_ENTRY(in->watches.next, struct inotify_watch, own_node);
        watch_unlink(w);
        list_add_tail(&dead, &w->own_node);
    }
    while (!list_empty(&in->events)) {
        struct inotify_event *e =
            LIST_ENTRY(in->events.next, struct inotify_event, node);
        event_take(in, e);
        kfree(e);
    }
    spin_unlock(&inotify_lock);
    watch_free_list(&dead);
    __atomic_fetch_sub(&inotify_instances, 1, __ATOMIC_RELAXED);
    kfree(in);
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .write = file_no_write,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .mmap = file_no_mmap,
    .release = inotify_release,
};

int inotify_new(uint32_t flags, struct file **out)
{
    uint32_t n = __atomic_fetch_add(&inotify_instances, 1, __ATOMIC_RELAXED);
    struct inotify *in = n < INSTANCES_MAX ? kzalloc(sizeof(*in)) : NULL;
    int r = n < INSTANCES_MAX ? -ENOMEM : -EMFILE;
    if (in != NULL) {
        waitq_init(&in->waitq);
        list_init(&in->events);
        list_init(&in->watches);
        in->next_wd = 1;
        r = event_file_new(&inotify_ops, "inotify",
                           LX_O_RDONLY | (flags & LX_O_NONBLOCK), in, out);
    }
    if (r < 0) {
        kfree(in);
        __atomic_fetch_sub(&inotify_instances, 1, __ATOMIC_RELAXED);
    }
    return r;
}

static struct inotify_watch *watch_find(struct inotify *in,
                                        const struct inode *i)
{
    LIST_FOR(it, &in->watches)
    {
        struct inotify_watch *w =
            LIST_ENTRY(it, struct inotify_watch, own_node);
        if (w->inode == i)
            return w;
    }
    return NULL;
}

/* A watch that is there: its wd, or -EEXIST. 0: it is not. */
static int watch_change(struct inotify *in, struct inode *i, uint32_t mask)
{
    struct inotify_watch *w = watch_find(in, i);
    if (w == NULL)
        return 0;
    if ((mask & IN_MASK_CREATE) != 0)
        return -EEXIST;
    uint32_t old = (mask & IN_MASK_ADD) != 0 ? w->mask : 0;
    w->mask = old | mask;
    return w->wd;
}

/* `w` and `l` are taken over when they were needed (set to NULL). */
static int watch_attach(struct inotify *in, const struct path *p, uint32_t mask,
                        struct inotify_watch **w, struct inotify_list **l)
{
    struct inode *i = p->dentry->inode;
    int wd = watch_change(in, i, mask);
    if (wd != 0)
        return wd;
    if (inotify_watches >= WATCHES_MAX || in->next_wd == INT32_MAX)
        return -ENOSPC;
    if (i->watches == NULL) {
        list_init(&(*l)->watches);
        i->watches = *l;
        *l = NULL;
    }
    struct inotify_watch *n = *w;
    *w = NULL;
    *n = (struct inotify_watch){.in = in, .inode = i, .mask = mask};
    inode_get(i);
    n->dentry = p->dentry;
    dentry_get(p->dentry);
    n->wd = in->next_wd++;
    list_add_tail(&i->watches->watches, &n->inode_node);
    list_add_tail(&in->watches, &n->own_node);
    in->watch_count++;
    __atomic_fetch_add(&inotify_watches, 1, __ATOMIC_RELAXED);
    return n->wd;
}

int inotify_check(const struct file *f, uint32_t mask)
{
    if (f->ops != &inotify_ops || (mask & IN_ALL_BITS) == 0 ||
        (mask & ~IN_ALL_BITS) != 0 ||
        (mask & (IN_MASK_ADD | IN_MASK_CREATE)) ==
            (IN_MASK_ADD | IN_MASK_CREATE))
        return -EINVAL;
    return 0;
}

int inotify_add(struct file *f, const struct path *p, uint32_t mask)
{
    struct inotify_watch *w = kzalloc(sizeof(*w));
    struct inotify_list *l = kzalloc(sizeof(*l));
    int r = -ENOMEM;
    if (w != NULL && l != NULL) {
        spin_lock(&inotify_lock);
        r = watch_attach(f->data, p, mask, &w, &l);
        spin_unlock(&inotify_lock);
    }
    kfree(w);
    kfree(l);
    return r;
}

int inotify_remove(struct file *f, int32_t wd)
{
    struct inotify *in = f->data;
    struct inotify_watch *found = NULL;
    if (f->ops != &inotify_ops)
        return -EINVAL;
    spin_lock(&inotify_lock);
    LIST_FOR(it, &in->watches)
    {
        struct inotify_watch *w =
            LIST_ENTRY(it, struct inotify_watch, own_node);
        if (w->wd == wd)
            found = w;
    }
    if (found != NULL) {
        event_queue(in, wd, IN_IGNORED, 0, NULL);
        watch_unlink(found);
    }
    spin_unlock(&inotify_lock);
    if (found == NULL)
        return -EINVAL;
    watch_free(found);
    return 0;
}

static void inotify_describe(const struct inotify *in, struct inotify_info *to)
{
    LIST_FOR(it, &in->watches)
    {
        const struct inotify_watch *w =
            LIST_ENTRY(it, struct inotify_watch, own_node);
        *to++ = (struct inotify_info){
            .wd = w->wd,
            .mask = w->mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT),
            .dev = w->inode->sb->dev,
            .ino = w->inode->ino,
        };
    }
}

int inotify_list(const struct file *f, struct inotify_info **out)
{
    struct inotify_info *list = NULL;
    uint32_t room = 0;
    *out = NULL;
    if (f->ops != &inotify_ops)
        return 0;
    const struct inotify *in = f->data;
    for (;;) {
        spin_lock(&inotify_lock);
        uint32_t count = in->watch_count;
        if (count <= room)
            inotify_describe(in, list);
        spin_unlock(&inotify_lock);
        if (count <= room) {
            *out = list;
            return (int)count;
        }
        kfree(list);
        list = kmalloc(count * sizeof(*list));
        if (list == NULL)
            return -ENOMEM;
        room = count;
    }
}
