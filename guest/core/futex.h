// SPDX-License-Identifier: Apache-2.0
/* Futexes. futex(2), get_robust_list(2). */
#pragma once

#include "guest/core/types.h"

struct task;

/* What a word in memory is called, the same for everybody who maps it. */
struct futex_key {
    uint64_t space; /* the inode of a shared mapping, else the aspace */
    uint64_t at;    /* byte offset in it, or address */
};

/* 0, -EINVAL (not aligned) or -EFAULT (not a program's address). With `shared`
 * a word in a shared mapping is named by its inode. No reference is kept: the
 * key is a name. */
int futex_key(uptr_t at, bool shared, struct futex_key *key);

/* Sleep while *at == val until woken with a bit of `bits` in common. 0, or
 * -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL. */
int futex_wait(uptr_t at, bool shared, uint32_t val, uint32_t bits,
               nsec_t deadline);
/* Wake up to `max`; how many, or -errno. */
int64_t futex_wake(uptr_t at, bool shared, uint32_t max, uint32_t bits);

struct futex_requeue {
    uptr_t from, to;
    bool shared;
    uint32_t wake, move; /* at most so many */
    bool compare;        /* *from must be `expect`, else -EAGAIN */
    uint32_t expect;
};
/* How many were woken (and with `compare`, or moved). */
int64_t futex_requeue(const struct futex_requeue *r);

/* FUTEX_WAKE_OP: change *b by `op`, wake `max_a` at a, and `max_b` at b if the
 * old value compares. */
struct futex_wake_op {
    uptr_t a, b;
    bool shared;
    uint32_t max_a, max_b;
    uint32_t op;
};
int64_t futex_wake_op(const struct futex_wake_op *w);

/* FUTEX_LOCK_PI, TRYLOCK_PI: 0, -EDEADLK, -ESRCH (no owner), -EINVAL, -EFAULT,
 * -ETIMEDOUT, -ERESTARTNOINTR; -EWOULDBLOCK with `only_try`. */
int futex_lock_pi(uptr_t at, bool shared, nsec_t deadline, bool only_try);
/* 0, -EPERM (not ours), -EINVAL, -EFAULT. */
int futex_unlock_pi(uptr_t at, bool shared);
/* FUTEX_WAIT_REQUEUE_PI: sleep while *at == val; 0 with the lock of `to`. */
int futex_wait_requeue_pi(uptr_t at, uptr_t to, bool shared, uint32_t val,
                          nsec_t deadline);
/* FUTEX_CMP_REQUEUE_PI; how many got the lock or wait for it now. */
int64_t futex_requeue_pi(const struct futex_requeue *r);

/* The current thread ends: robust list, then clear_tid. */
void futex_task_exit(struct task *t);
/* The same for its program, before the memory changes: exec. */
void futex_task_exec(struct task *t);
