// SPDX-License-Identifier: Apache-2.0
/*
 * Condition variables of PI mutexes: FUTEX_WAIT_REQUEUE_PI sleeps on a plain
 * futex, and FUTEX_CMP_REQUEUE_PI gives the sleepers the mutex or lets them
 * wait for it, without waking them in between.
 */
#include "abi/linux/errno.h"

#include "guest/core/futex_impl.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"

/* --- waiting --- */

static int requeue_check(uptr_t at, uint32_t val)
{
    uint32_t now;

    if (user_load32(at, &now) < 0)
        return -EFAULT;
    return now == val ? 0 : -EAGAIN;
}

/* Woken with `r`: off the plain queue, unless it was moved or granted. */
static bool requeue_left(struct futex_waiter *w)
{
    unsigned long flags = pi_lock_all();
    bool moved = w->woken; /* changes under both locks */

    pi_unlock_all(flags);
    return moved || futex_dequeue(w);
}

int futex_wait_requeue_pi(uptr_t at, uptr_t to, bool shared, uint32_t val,
                          nsec_t deadline)
{
    struct pi_waiter pi = {.at = to, .task = current()};
    struct futex_waiter w = {.bits = UINT32_MAX, .task = current(), .pi = &pi};
    int r = at.v == to.v ? -EINVAL : futex_key(at, shared, &w.key);

    list_init(&w.node);
    list_init(&pi.node);
    if (r == 0)
        r = futex_key(to, shared, &pi.key);
    if (r == 0 && futex_same(&w.key, &pi.key))
        r = -EINVAL;
    if (r == 0)
        r = requeue_check(at, val);
    if (r < 0)
        return r;
    futex_enqueue(&w);
    r = requeue_check(at, val);
    while (r == 0) {
        sched_prepare(TASK_SLEEPING);
        if (__atomic_load_n(&w.woken, __ATOMIC_ACQUIRE))
            break;
        r = wait_sleep(WAIT_SIGNALS, deadline);
    }
    sched_unprepare();
    if (!requeue_left(&w))
        return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
    r = pi_sleep(&pi, deadline);
    /* The condition was signalled: not to be waited for again. */
    return r == -ERESTARTSYS ? -EWOULDBLOCK : r;
}

/* --- moving --- */

struct requeue {
    const struct futex_requeue *ask;
    struct futex_key from, to;
    struct futex_bucket *bucket; /* of `from` */
    int64_t count;
};

/* The next to move, both locks held: NULL, or -EINVAL in *r if it waits for
 * something else. */
static struct futex_waiter *requeue_next(const struct requeue *q, int *r)
{
    LIST_FOR(it, &q->bucket->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(it, struct futex_waiter, node);
        if (!futex_same(&w->key, &q->from))
            continue;
        if (w->pi == NULL || !futex_same(&w->pi->key, &q->to)) {
            *r = -EINVAL;
            return NULL;
        }
        return w;
    }
    return NULL;
}

/* One waiter gets the lock or is queued for it: 1, 0 if there was none. */
static int requeue_one(struct requeue *q)
{
    int r = 0;
    struct task *owner = NULL;
    struct futex_waiter *w = requeue_next(q, &r);

    if (w == NULL)
        return r;
    struct pi_waiter *pi = w->pi;
    r = pi_take(q->ask->to, &q->to, pi->task, q->ask->move != 0, &owner);
    if (r == 0 && pi_deadlock(owner, pi->task))
        r = -EDEADLK;
    if (r < 0)
        return r == -EAGAIN ? -EFAULT : r; /* again, too */
    list_remove(&w->node);
    if (r != PI_ACQUIRED)
        pi_add(pi, owner);
    /* The sleeper looks at it under pi_lock, which we hold. */
    __atomic_store_n(&w->woken, true, __ATOMIC_RELEASE);
    if (r == PI_ACQUIRED)
        pi_grant(pi);
    return 1;
}

/* -EFAULT: again. */
static int requeue_step(struct requeue *q)
{
    uint32_t now;
    unsigned long flags = pi_lock_all();
    int r = 0;

    futex_lock(q->bucket);
    if (q->count == 0 && user_load32(q->ask->from, &now) < 0)
        r = -EFAULT;
    else if (q->count == 0 && now != q->ask->expect)
        r = -EWOULDBLOCK;
    else
        r = requeue_one(q);
    spin_unlock(&q->bucket->lock);
    pi_unlock_all(flags);
    return r;
}

int64_t futex_requeue_pi(const struct futex_requeue *ask)
{
    struct requeue q = {.ask = ask};
    int r = ask->wake != 1 || ask->from.v == ask->to.v ? -EINVAL : 0;

    if (r == 0)
        r = futex_key(ask->from, ask->shared, &q.from);
    if (r == 0)
        r = futex_key(ask->to, ask->shared, &q.to);
    if (r == 0 && futex_same(&q.from, &q.to))
        r = -EINVAL;
    if (r < 0)
        return r;
    q.bucket = futex_bucket(&q.from);
    /* One of them gets the lock, if it is free; `move` more. */
    while (q.count < (int64_t)ask->move + 1) {
        uint32_t word;
        r = requeue_step(&q);
        if (r == -EFAULT && user_load32(ask->from, &word) == 0)
            r = pi_again(ask->to, r);
        if (r == PI_AGAIN)
            continue;
        if (r <= 0)
            break;
        q.count++;
        sched_point();
    }
    return r < 0 ? r : q.count;
}
