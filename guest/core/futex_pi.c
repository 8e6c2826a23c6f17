// SPDX-License-Identifier: Apache-2.0
/*
 * Futexes whose word names the owner: FUTEX_LOCK_PI and the like. The kernel
 * hands the lock to the waiter of the highest real-time priority that came
 * first, so that nobody gets in between. There is one run queue for all
 * priorities, and so none to inherit.
 *
 * pi_lock guards everything here. It is held, interrupts off, while the word
 * is looked at: such an access does not fault pages in but gives -EFAULT, and
 * then everything starts again once the page is there.
 */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/futex_impl.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"

#define PI_BUCKETS   64
#define PI_CHAIN_MAX 1024 /* owners that wait for owners, as Linux */

static struct spinlock pi_lock;
static struct list pi_table[PI_BUCKETS]; /* struct pi_waiter.node */
static uint32_t pi_count;                /* atomic: queued */

/* --- waiters; pi_lock held --- */

static struct list *pi_bucket(const struct futex_key *k)
{
    uint64_t h = (k->space ^ (k->at >> 2)) * UINT64_C(0x9e3779b97f4a7c15);
    struct list *l = &pi_table[h >> 58];

    if (l->next == NULL)
        list_init(l);
    return l;
}

/* The waiter that is next, or NULL. */
static struct pi_waiter *pi_first(const struct futex_key *k)
{
    LIST_FOR(it, pi_bucket(k))
    {
        struct pi_waiter *w = LIST_ENTRY(it, struct pi_waiter, node);
        if (futex_same(&w->key, k))
            return w;
    }
    return NULL;
}

static void pi_set_owner(struct pi_waiter *w, struct task *owner)
{
    if (w->owner != NULL)
        w->owner->pi_waits--;
    w->owner = owner;
    if (owner != NULL)
        owner->pi_waits++;
}

static void pi_remove(struct pi_waiter *w)
{
    list_remove(&w->node);
    w->queued = false;
    (void)__atomic_sub_fetch(&pi_count, 1, __ATOMIC_RELAXED);
    w->task->pi_blocked = NULL;
    pi_set_owner(w, NULL);
}

void pi_add(struct pi_waiter *w, struct task *owner)
{
    struct list *l = pi_bucket(&w->key);
    struct list *before = l;

    LIST_FOR(it, l)
    {
        const struct pi_waiter *o = LIST_ENTRY(it, struct pi_waiter, node);
        if (futex_same(&o->key, &w->key) && !o->inherit &&
            o->task->rt_priority < w->task->rt_priority) {
            before = it;
            break;
        }
    }
    list_add_tail(before, &w->node); /* before `before` */
    w->queued = true;
    (void)__atomic_add_fetch(&pi_count, 1, __ATOMIC_RELAXED);
    w->task->pi_blocked = w;
    pi_set_owner(w, owner);
}

bool pi_deadlock(const struct task *owner, const struct task *me)
{
    for (unsigned i = 0; i < PI_CHAIN_MAX; i++) {
        if (owner == me)
            return true;
        if (owner->pi_blocked == NULL || owner->pi_blocked->granted)
            return false;
        owner = owner->pi_blocked->owner;
    }
    return true;
}

void pi_grant(struct pi_waiter *w)
{
    struct task *t = w->task;

    task_get(t);
    __atomic_store_n(&w->granted, true, __ATOMIC_SEQ_CST);
    (void)sched_wake(t);
    task_put(t);
}

unsigned long pi_lock_all(void)
{
    return spin_lock_irq(&pi_lock);
}

void pi_unlock_all(unsigned long flags)
{
    spin_unlock_irq(&pi_lock, flags);
}

bool futex_pi_waited(const struct futex_key *k)
{
    if (__atomic_load_n(&pi_count, __ATOMIC_RELAXED) == 0)
        return false;
    unsigned long flags = pi_lock_all();
    bool any = pi_first(k) != NULL;
    pi_unlock_all(flags);
    return any;
}

/* --- the word --- */

int pi_again(uptr_t at, int r)
{
    uint32_t v, old;

    if (r != -EFAULT && r != -EAGAIN)
        return r;
    if (signal_fatal_pending(current()))
        return -EINTR;
    if (r == -EFAULT &&
        (user_load32(at, &v) < 0 || user_cmpxchg32(at, v, v, &old) < 0))
        return -EFAULT;
    sched_point();
    return PI_AGAIN;
}

/* From `was` to `to`: 0, -EFAULT, or -EAGAIN as it was something else. */
static int pi_change(uptr_t at, uint32_t was, uint32_t to)
{
    uint32_t old;

    if (user_cmpxchg32(at, was, to, &old) < 0)
        return -EFAULT;
    return old == was ? 0 : -EAGAIN;
}

/* The task that the word names, which nobody waits for yet. */
static int pi_find_owner(uptr_t at, uint32_t word, struct task **owner)
{
    uint32_t now;
    struct task *t = task_find_get((int32_t)(word & LX_FUTEX_TID_MASK));

    if (t != NULL) {
        /* It cannot end without pi_lock. */
        bool gone = t->pi_gone;
        task_put(t);
        if (!gone) {
            *owner = t;
            return 0;
        }
    }
    /* It may have said that it died since we looked. */
    if (user_load32(at, &now) < 0)
        return -EFAULT;
    return now == word ? -ESRCH : -EAGAIN;
}

int pi_take(uptr_t at, const struct futex_key *key, const struct task *me,
            bool waiters, struct task **owner)
{
    uint32_t word;

    if (user_load32(at, &word) < 0)
        return -EFAULT;
    uint32_t tid = word & LX_FUTEX_TID_MASK;
    const struct pi_waiter *top = pi_first(key);
    if (tid == (uint32_t)me->tid)
        return -EDEADLK;
    if (top != NULL) {
        *owner = top->owner;
        bool named = tid == (uint32_t)top->owner->tid ||
                     (word & LX_FUTEX_OWNER_DIED) != 0 || top->inherit;
        return named ? 0 : -EINVAL;
    }
    if (tid == 0) {
        uint32_t to = (word & LX_FUTEX_OWNER_DIED) | (uint32_t)me->tid |
                      (waiters ? LX_FUTEX_WAITERS : 0);
        int r = pi_change(at, word, to);
        return r < 0 ? r : PI_ACQUIRED;
    }
    int r = pi_change(at, word, word | LX_FUTEX_WAITERS);
    return r < 0 ? r : pi_find_owner(at, word | LX_FUTEX_WAITERS, owner);
}

/* --- lock --- */

/* The dead owner's name is in the word yet: ours is put there. */
static int pi_inherit(struct pi_waiter *w)
{
    for (;;) {
        unsigned long flags = pi_lock_all();
        uint32_t word;
        uint32_t to =
            (uint32_t)w->task->tid | LX_FUTEX_WAITERS | LX_FUTEX_OWNER_DIED;
        int r = user_load32(w->at, &word) < 0 ? -EFAULT
                                              : pi_change(w->at, word, to);
        if (r == 0)
            pi_remove(w);
        pi_unlock_all(flags);
        r = pi_again(w->at, r);
        if (r == PI_AGAIN)
            continue;
        if (r == 0)
            return 0;
        flags = pi_lock_all(); /* the memory is gone, or we are to die */
        pi_remove(w);
        pi_unlock_all(flags);
        return r;
    }
}

/* The sleep ended with `r`. */
static int pi_finish(struct pi_waiter *w, int r)
{
    unsigned long flags = pi_lock_all();
    bool granted = w->granted;

    if (!granted && w->queued)
        pi_remove(w);
    pi_unlock_all(flags);
    if (!granted)
        return r;
    return w->inherit ? pi_inherit(w) : 0;
}

int pi_sleep(struct pi_waiter *w, nsec_t deadline)
{
    int r = 0;

    while (r == 0) {
        sched_prepare(TASK_SLEEPING);
        if (__atomic_load_n(&w->granted, __ATOMIC_ACQUIRE))
            break;
        r = wait_sleep(WAIT_SIGNALS, deadline);
    }
    sched_unprepare();
    return pi_finish(w, r);
}

/* Queued, to sleep: 0. PI_ACQUIRED or -errno otherwise. */
static int pi_try(struct pi_waiter *w, bool only_try)
{
    for (;;) {
        struct task *owner = NULL;
        unsigned long flags = pi_lock_all();
        int r = pi_take(w->at, &w->key, w->task, false, &owner);
        if (r == 0 && only_try) {
            pi_unlock_all(flags);
            return -EWOULDBLOCK;
        }
        if (r == 0 && pi_deadlock(owner, w->task))
            r = -EDEADLK;
        if (r == 0)
            pi_add(w, owner);
        pi_unlock_all(flags);
        r = pi_again(w->at, r);
        if (r != PI_AGAIN)
            return r;
    }
}

int futex_lock_pi(uptr_t at, bool shared, nsec_t deadline, bool only_try)
{
    struct pi_waiter w = {.at = at, .task = current()};
    int r = futex_key(at, shared, &w.key);

    list_init(&w.node);
    if (r == 0 && futex_waited(&w.key))
        r = -EINVAL; /* a plain futex to somebody */
    if (r == 0)
        r = pi_try(&w, only_try);
    if (r == PI_ACQUIRED)
        return 0;
    if (r == 0)
        r = pi_sleep(&w, deadline);
    return r == -ERESTARTSYS || r == -EINTR ? -ERESTARTNOINTR : r;
}

/* --- unlock --- */

/* To the next waiter. */
static int pi_pass(uptr_t at, const struct futex_key *key, uint32_t word,
                   struct pi_waiter *top)
{
    struct task *to = top->task;

    if (top->owner != current())
        return -EINVAL;
    int r = pi_change(at, word, (uint32_t)to->tid | LX_FUTEX_WAITERS);
    if (r < 0)
        return r;
    pi_remove(top);
    LIST_FOR(it, pi_bucket(key))
    {
        struct pi_waiter *w = LIST_ENTRY(it, struct pi_waiter, node);
        if (futex_same(&w->key, key))
            pi_set_owner(w, to);
    }
    pi_grant(top);
    return 0;
}

int futex_unlock_pi(uptr_t at, bool shared)
{
    struct futex_key key;

    for (;;) {
        uint32_t word;
        if (user_load32(at, &word) < 0)
            return -EFAULT;
        if ((word & LX_FUTEX_TID_MASK) != (uint32_t)current()->tid)
            return -EPERM;
        int r = futex_key(at, shared, &key);
        if (r < 0)
            return r;
        unsigned long flags = pi_lock_all();
        struct pi_waiter *top = pi_first(&key);
        r = top != NULL ? pi_pass(at, &key, word, top) : pi_change(at, word, 0);
        pi_unlock_all(flags);
        r = pi_again(at, r);
        if (r != PI_AGAIN)
            return r;
    }
}

/* --- the end of a thread --- */

/* All that wait with `first`, which is next, wait for it now. */
static void pi_bequeath(struct pi_waiter *first)
{
    LIST_FOR(it, pi_bucket(&first->key))
    {
        struct pi_waiter *w = LIST_ENTRY(it, struct pi_waiter, node);
        if (futex_same(&w->key, &first->key))
            pi_set_owner(w, first->task);
    }
    /* It stays queued until the word has its name. */
    first->inherit = true;
    pi_grant(first);
}

void futex_pi_exit(struct task *t)
{
    unsigned long flags = pi_lock_all();

    t->pi_gone = true;
    for (unsigned i = 0; i < PI_BUCKETS && t->pi_waits != 0; i++) {
        struct list *it = pi_table[i].next;
        while (it != NULL && it != &pi_table[i]) {
            struct pi_waiter *w = LIST_ENTRY(it, struct pi_waiter, node);
            it = it->next;
            if (w->owner == t)
                pi_bequeath(w);
        }
    }
    pi_unlock_all(flags);
}
