// SPDX-License-Identifier: Apache-2.0
/*
 * Sleeping until something happens. A wait queue lives in the object waited
 * for; a waiter on the stack of the sleeper (or in an epoll entry).
 *
 *     struct waiter w;
 *     waiter_init(&w);
 *     for (;;) {
 *         waitq_add(&q, &w);              // state becomes SLEEPING first
 *         if (condition) { r = 0; break; }
 *         r = wait_sleep(WAIT_SIGNALS, deadline);
 *         if (r < 0) break;               // -ERESTARTSYS or -ETIMEDOUT
 *     }
 *     waiter_done(&w);                    // off every queue, state RUNNING
 */
#pragma once

#include "guest/core/list.h"
#include "guest/core/lock.h"

struct task;
struct waiter;

struct waitq {
    struct spinlock lock; /* irq-safe */
    struct list waiters;
};

struct waiter {
    struct list node;
    struct waitq *queue; /* where node is, or NULL; guarded by its lock */
    struct task *task;   /* to wake; NULL if only `wake` matters */
    /* Called under the queue's lock, any context, instead of waking `task`,
     * when not NULL. `events` are EPOLL* bits, 0: unspecified. True: somebody
     * was woken, so that an exclusive waiter counts. */
    bool (*wake)(struct waiter *w, uint32_t events);
    bool exclusive; /* waitq_wake(..., 1) wakes one of these */
};

void waitq_init(struct waitq *q);
void waiter_init(struct waiter *w);                /* for the current task */
void waitq_add(struct waitq *q, struct waiter *w); /* no-op if already on q */
void waiter_done(struct waiter *w);
/* For callback waiters: just take it off its queue. */
void waitq_remove(struct waiter *w);

/* Wake all non-exclusive waiters and up to `exclusive` exclusive ones; was
 * there one? Any context. */
bool waitq_wake(struct waitq *q, uint32_t events, unsigned exclusive);
#define WAKE_ALL (~0u)

enum wait_mode {
    WAIT_DEADLY = 0, /* only a fatal signal ends the sleep */
    WAIT_SIGNALS = 1
};

/* Give up the CPU until woken. 0: woken (check again); -ERESTARTSYS: a signal
 * is pending; -ETIMEDOUT: `deadline` (or NSEC_NEVER) passed. */
int wait_sleep(enum wait_mode mode, nsec_t deadline);

/* The common case in one line: wait on one queue until `cond`. `ret` is an
 * int lvalue. */
#define WAIT_FOR(ret, q, cond, mode, deadline)                                 \
    do {                                                                       \
        struct waiter wf_w;                                                    \
        waiter_init(&wf_w);                                                    \
        for (;;) {                                                             \
            waitq_add((q), &wf_w);                                             \
            (ret) = 0;                                                         \
            if (cond)                                                          \
                break;                                                         \
            (ret) = wait_sleep((mode), (deadline));                            \
            if ((ret) < 0)                                                     \
                break;                                                         \
        }                                                                      \
        waiter_done(&wf_w);                                                    \
    } while (0)
