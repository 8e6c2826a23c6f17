// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/flock.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/kmem.h"
#include "guest/core/wait.h"
#include "guest/fs/inode.h"
#include "guest/fs/procfs.h"

/* One lock for all lists: taken rarely, and cycles of waiters cross inodes. */
static struct mutex flock_mutex = {.waiters = LIST_INIT(flock_mutex.waiters)};
static struct list blocked = LIST_INIT(blocked); /* struct flock_waiter */
static struct list lists = LIST_INIT(lists);     /* struct flock_list */

struct flock {
    struct list node;
    enum flock_kind kind;
    int type;
    uint64_t start, end; /* end included */
    const void *owner;
    int32_t pid;
};

struct flock_list {   /* of one inode */
    struct list node; /* in `lists` */
    const struct inode *inode;
    struct list locks;
    struct waitq wait;
};

struct flock_waiter { /* on the stack of who waits */
    struct list node;
    struct inode *inode;
    const struct flock_request *r;
};

/* POSIX and OFD locks are one name space, flock(2)'s is another. */
static bool flock_conflicts(const struct flock *l,
                            const struct flock_request *r)
{
    bool whole = l->kind == FLOCK_WHOLE;
    if (whole != (r->kind == FLOCK_WHOLE))
        return false;
    if (l->owner == r->owner && l->kind == r->kind)
        return false;
    if (l->type != LX_F_WRLCK && r->type != LX_F_WRLCK)
        return false;
    return l->start <= r->end && r->start <= l->end;
}

static struct flock *flock_find(struct inode *i, const struct flock_request *r)
{
    if (i->locks == NULL || r->type == LX_F_UNLCK)
        return NULL;
    struct flock *first = NULL;
    LIST_FOR(it, &i->locks->locks)
    {
        struct flock *l = LIST_ENTRY(it, struct flock, node);
        if (flock_conflicts(l, r) && (first == NULL || l->start < first->start))
            first = l;
    }
    return first;
}

void flock_test(struct inode *i, struct flock_request *r)
{
    mutex_lock(&flock_mutex);
    const struct flock *l = flock_find(i, r);
    r->type = LX_F_UNLCK;
    if (l != NULL) {
        r->type = l->type;
        r->start = l->start;
        r->end = l->end;
        r->pid = l->pid;
    }
    mutex_unlock(&flock_mutex);
}

/* Would waiting for `owner`'s lock close a circle back to `me`? POSIX locks
 * only, as in Linux; each owner waits for one lock per thread, the search is
 * bounded. */
static bool flock_deadlock(const void *me, const struct flock *holder)
{
    for (unsigned steps = 0; steps < 64; steps++) {
        if (holder->kind != FLOCK_POSIX)
            return false;
        if (holder->owner == me)
            return true;
        const struct flock *next = NULL;
        LIST_FOR(it, &blocked)
        {
            struct flock_waiter *w = LIST_ENTRY(it, struct flock_waiter, node);
            if (w->r->kind == FLOCK_POSIX && w->r->owner == holder->owner)
                next = flock_find(w->inode, w->r);
            if (next != NULL)
                break;
        }
        if (next == NULL)
            return false;
        holder = next;
    }
    return false;
}

static struct flock *flock_new(const struct flock_request *r)
{
    struct flock *l = kzalloc(sizeof(*l));
    if (l == NULL)
        return NULL;
    list_init(&l->node);
    l->kind = r->kind;
    l->type = r->type;
    l->start = r->start;
    l->end = r->end;
    l->owner = r->owner;
    l->pid = r->pid;
    return l;
}

static void flock_delete(struct flock *l)
{
    list_remove(&l->node);
    kfree(l);
}

/* Cut [r->start, r->end] out of one lock of the same owner. *spare is used
 * when the lock falls in two. */
static void flock_cut(struct flock *l, const struct flock_request *r,
                      struct flock **spare)
{
    if (l->end < r->start || r->end < l->start)
        return;
    bool before = l->start < r->start;
    bool after = l->end > r->end;
    if (before && after) {
        struct flock *rest = *spare;
        *spare = NULL;
        rest->kind = l->kind;
        rest->type = l->type;
        rest->owner = l->owner;
        rest->pid = l->pid;
        rest->start = r->end + 1;
        rest->end = l->end;
        list_add_head(&l->node, &rest->node);
        l->end = r->start - 1;
    } else if (before) {
        l->end = r->start - 1;
    } else if (after) {
        l->start = r->end + 1;
    } else {
        flock_delete(l);
    }
}

/* Take in neighbours of the same owner and type. */
static void flock_merge(struct list *locks, struct flock *l)
{
    LIST_FOR_SAFE(it, next, locks)
    {
        struct flock *o = LIST_ENTRY(it, struct flock, node);
        if (o == l || o->owner != l->owner || o->kind != l->kind ||
            o->type != l->type)
            continue;
        bool touches = (o->end == UINT64_MAX || o->end + 1 >= l->start) &&
                       (l->end == UINT64_MAX || l->end + 1 >= o->start);
        if (!touches)
            continue;
        l->start = MIN(l->start, o->start);
        l->end = MAX(l->end, o->end);
        flock_delete(o);
    }
}

/* No conflict is left: change the owner's locks. */
static int flock_apply(struct inode *i, const struct flock_request *r)
{
    struct flock *spare = flock_new(r);
    struct flock *fresh = r->type != LX_F_UNLCK ? flock_new(r) : NULL;
    if (spare == NULL || (fresh == NULL && r->type != LX_F_UNLCK)) {
        kfree(spare);
        kfree(fresh);
        return -ENOLCK;
    }
    struct flock_list *list = i->locks;
    LIST_FOR_SAFE(it, next, &list->locks)
    {
        struct flock *l = LIST_ENTRY(it, struct flock, node);
        if (l->owner == r->owner && l->kind == r->kind)
            flock_cut(l, r, &spare);
    }
    if (fresh != NULL) {
        list_add_tail(&list->locks, &fresh->node);
        flock_merge(&list->locks, fresh);
    }
    kfree(spare);
    waitq_wake(&list->wait, 0, WAKE_ALL);
    return 0;
}

/* Sleep until locks of the inode changed; flock_mutex is given up meanwhile. */
static int flock_sleep(struct inode *i, const struct flock_request *r)
{
    struct flock_waiter fw = {.inode = i, .r = r};
    struct waiter w;
    list_init(&fw.node);
    list_add_tail(&blocked, &fw.node);
    waiter_init(&w);
    waitq_add(&i->locks->wait, &w);
    mutex_unlock(&flock_mutex);
    int s = wait_sleep(WAIT_SIGNALS, NSEC_NEVER);
    waiter_done(&w);
    mutex_lock(&flock_mutex);
    list_remove(&fw.node);
    return s;
}

static int flock_list_make(struct inode *i)
{
    if (i->locks != NULL)
        return 0;
    struct flock_list *list = kzalloc(sizeof(*list));
    if (list == NULL)
        return -ENOLCK;
    list_init(&list->locks);
    waitq_init(&list->wait);
    list->inode = i;
    list_add_tail(&lists, &list->node);
    i->locks = list;
    return 0;
}

/* flock(2) converts by giving up the old lock first: it may be lost. */
static void flock_give_up(struct inode *i, const struct flock_request *r)
{
    if (r->kind != FLOCK_WHOLE || r->type == LX_F_UNLCK)
        return;
    LIST_FOR_SAFE(it, next, &i->locks->locks)
    {
        struct flock *l = LIST_ENTRY(it, struct flock, node);
        if (l->owner != r->owner || l->kind != r->kind || l->type == r->type)
            continue;
        flock_delete(l);
        waitq_wake(&i->locks->wait, 0, WAKE_ALL);
    }
}

int flock_set(struct inode *i, const struct flock_request *r, bool wait)
{
    mutex_lock(&flock_mutex);
    int s = flock_list_make(i);
    if (s == 0)
        flock_give_up(i, r);
    while (s == 0) {
        const struct flock *holder = flock_find(i, r);
        if (holder == NULL) {
            s = flock_apply(i, r);
            break;
        }
        if (!wait)
            s = -EAGAIN;
        else if (r->kind == FLOCK_POSIX && flock_deadlock(r->owner, holder))
            s = -EDEADLK;
        else
            s = flock_sleep(i, r);
    }
    mutex_unlock(&flock_mutex);
    return s;
}

void flock_release(struct inode *i, enum flock_kind kind, const void *owner)
{
    mutex_lock(&flock_mutex);
    bool any = false;
    if (i->locks != NULL) {
        LIST_FOR_SAFE(it, next, &i->locks->locks)
        {
            struct flock *l = LIST_ENTRY(it, struct flock, node);
            if (l->owner != owner || l->kind != kind)
                continue;
            flock_delete(l);
            any = true;
        }
        if (any)
            waitq_wake(&i->locks->wait, 0, WAKE_ALL);
    }
    mutex_unlock(&flock_mutex);
}

void flock_free(struct inode *i)
{
    if (i->locks == NULL)
        return;
    mutex_lock(&flock_mutex);
    list_remove(&i->locks->node);
    mutex_unlock(&flock_mutex);
    LIST_FOR_SAFE(it, next, &i->locks->locks)
    flock_delete(LIST_ENTRY(it, struct flock, node));
    kfree(i->locks);
    i->locks = NULL;
}

/* --- /proc/locks --- */

static void flock_line(struct text *t, unsigned n, const struct flock *l,
                       const struct flock_request *waits, const struct inode *i)
{
    static const char *const kinds[] = {
        [FLOCK_POSIX] = "POSIX ",
        [FLOCK_OFD] = "OFDLCK",
        [FLOCK_WHOLE] = "FLOCK ",
    };
    const struct flock_request r =
        waits != NULL ? *waits
                      : (struct flock_request){.kind = l->kind,
                                               .type = l->type,
                                               .start = l->start,
                                               .end = l->end,
                                               .pid = l->pid};
    text_printf(t, "%u: %s%s ADVISORY  %s %d %02x:%02x:%lu %lu ", n,
                waits != NULL ? "-> " : "", kinds[r.kind],
                r.type == LX_F_WRLCK ? "WRITE" : "READ", r.pid, i->sb->dev >> 8,
                i->sb->dev & 0xff, (unsigned long)i->ino,
                (unsigned long)r.start);
    if (r.end == UINT64_MAX)
        text_printf(t, "EOF\n");
    else
        text_printf(t, "%lu\n", (unsigned long)r.end);
}

/* Each lock, and behind it who waits for it. */
static void flock_lines(struct text *t, unsigned n, const struct flock *l,
                        const struct inode *i)
{
    flock_line(t, n, l, NULL, i);
    LIST_FOR(it, &blocked)
    {
        const struct flock_waiter *w =
            LIST_ENTRY(it, struct flock_waiter, node);
        if (w->inode == i && flock_find(w->inode, w->r) == l)
            flock_line(t, n, l, w->r, i);
    }
}

int proc_locks(struct text *t, const struct pseudo_ref *r)
{
    unsigned n = 0;
    (void)r;
    mutex_lock(&flock_mutex);
    LIST_FOR(it, &lists)
    {
        const struct flock_list *list = LIST_ENTRY(it, struct flock_list, node);
        LIST_FOR(at, &list->locks)
        flock_lines(t, ++n, LIST_ENTRY(at, struct flock, node), list->inode);
    }
    mutex_unlock(&flock_mutex);
    return 0;
}
