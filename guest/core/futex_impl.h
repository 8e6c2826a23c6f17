// SPDX-License-Identifier: Apache-2.0
/* What the two kinds of futexes share: core/futex.c has the plain ones,
 * core/futex_pi.c those whose word names the owner. */
#pragma once

#include "guest/core/futex.h"
#include "guest/core/list.h"
#include "guest/core/lock.h"

struct futex_bucket {
    struct spinlock lock;
    struct list waiters; /* all zero until first used */
};

struct pi_waiter { /* on the sleeper's stack; pi_lock */
    struct list node;
    struct futex_key key;
    uptr_t at;
    struct task *task, *owner; /* owner: set while queued */
    bool queued;
    bool granted; /* atomic: it has the lock */
    bool inherit; /* of a dead owner: its name is to be put into the word */
};

struct futex_waiter {            /* on the sleeper's stack */
    struct list node;            /* bucket's lock */
    struct futex_bucket *bucket; /* atomic: where it is, changes by requeue */
    struct futex_key key;
    uint32_t bits;
    struct task *task;
    bool woken; /* atomic: the waker took it off and is done with it */
    struct pi_waiter *pi; /* FUTEX_WAIT_REQUEUE_PI: what it becomes, or NULL */
};

struct futex_bucket *futex_bucket(const struct futex_key *k);
void futex_lock(struct futex_bucket *b);
bool futex_same(const struct futex_key *a, const struct futex_key *b);
void futex_enqueue(struct futex_waiter *w);
/* Off the queue; true if a waker had taken it off before. */
bool futex_dequeue(struct futex_waiter *w);
/* Somebody sleeps on it as on a plain futex. */
bool futex_waited(const struct futex_key *k);

/* --- core/futex_pi.c --- */

/* Somebody waits for its owner. */
bool futex_pi_waited(const struct futex_key *k);
/* Whoever waits for `t`, which ends, gets the lock: FUTEX_OWNER_DIED. */
void futex_pi_exit(struct task *t);

/* The lock of all this, taken before a bucket's; interrupts are off. */
unsigned long pi_lock_all(void);
void pi_unlock_all(unsigned long flags);

/* The lock of `at` for `me`, pi_lock held: PI_ACQUIRED; 0 with whom to wait
 * for in *owner; -EFAULT, -EAGAIN: see pi_again(); -EDEADLK, -ESRCH, -EINVAL.
 * `waiters`: more will wait for `me`. */
#define PI_ACQUIRED 1
int pi_take(uptr_t at, const struct futex_key *key, const struct task *me,
            bool waiters, struct task **owner);
/* After the lock was let go, `r` from above: PI_AGAIN when it is to be tried
 * again as the page is there now, or the word changed; -EINTR: the task is to
 * die; or `r`. */
#define PI_AGAIN 2
int pi_again(uptr_t at, int r);
/* Would `me` wait for itself? */
bool pi_deadlock(const struct task *owner, const struct task *me);
/* `w` waits for `owner`. */
void pi_add(struct pi_waiter *w, struct task *owner);
/* Its task has the lock and goes on. */
void pi_grant(struct pi_waiter *w);
/* Sleep until granted: 0, -ETIMEDOUT, -ERESTARTSYS, -EFAULT. Not queued any
 * more. */
int pi_sleep(struct pi_waiter *w, nsec_t deadline);
