// SPDX-License-Identifier: Apache-2.0
/* futex(2). */
#include "guest/core/futex.h"

#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/timespec.h"

/* The wait's deadline: relative for WAIT, absolute for WAIT_BITSET. */
static int futex_deadline(uint32_t op, uint64_t at, nsec_t *deadline)
{
    struct lx_timespec ts;
    nsec_t ns;

    *deadline = NSEC_NEVER;
    if (at == 0)
        return 0;
    if (copy_from_user(&ts, uptr(at), sizeof(ts)) < 0)
        return -EFAULT;
    if (timespec_to_nsec(&ts, &ns) < 0)
        return -EINVAL;
    uint32_t cmd = op & LX_FUTEX_CMD_MASK;
    bool relative = cmd == LX_FUTEX_WAIT;
    bool wall = (op & LX_FUTEX_CLOCK_REALTIME) != 0 || cmd == LX_FUTEX_LOCK_PI;
    *deadline = relative ? timespec_after(clock_now(), ns)
                         : timespec_deadline(ns, wall);
    return 0;
}

/* A relative timeout must not start anew when a handler ran between. */
static int64_t futex_restart(struct task *t)
{
    const uint64_t *arg = t->restart.arg;
    int r = futex_wait(uptr(arg[0]), arg[1] != 0, (uint32_t)arg[2], UINT32_MAX,
                       arg[3]);

    return r == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : r;
}

static int64_t futex_do_wait(const uint64_t *a, uint32_t bits)
{
    uint32_t op = (uint32_t)a[1];
    nsec_t deadline;
    int r = futex_deadline(op, a[3], &deadline);

    if (r < 0)
        return r;
    bool shared = (op & LX_FUTEX_PRIVATE) == 0;
    r = futex_wait(uptr(a[0]), shared, (uint32_t)a[2], bits, deadline);
    if (r != -ERESTARTSYS || a[3] == 0 ||
        (op & LX_FUTEX_CMD_MASK) != LX_FUTEX_WAIT)
        return r;
    struct task *t = current();
    t->restart.fn = futex_restart;
    t->restart.arg[0] = a[0];
    t->restart.arg[1] = shared;
    t->restart.arg[2] = (uint32_t)a[2];
    t->restart.arg[3] = deadline;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t futex_do_requeue(const uint64_t *a, uint32_t cmd)
{
    struct futex_requeue q = {
        .from = uptr(a[0]),
        .to = uptr(a[4]),
        .shared = (a[1] & LX_FUTEX_PRIVATE) == 0,
        .wake = (uint32_t)a[2],
        .move = (uint32_t)a[3],
        .compare = cmd != LX_FUTEX_REQUEUE,
        .expect = (uint32_t)a[5],
    };

    if ((int32_t)a[2] < 0 || (int32_t)a[3] < 0)
        return -EINVAL;
    return cmd == LX_FUTEX_CMP_REQ_PI ? futex_requeue_pi(&q)
                                      : futex_requeue(&q);
}

static bool futex_takes_wall(uint32_t cmd)
{
    return cmd == LX_FUTEX_WAIT_BITSET || cmd == LX_FUTEX_WAIT_REQ_PI ||
           cmd == LX_FUTEX_LOCK_PI2;
}

/* Locks that are handed over: the word is the owner's tid. */
static int64_t futex_do_pi(const uint64_t *a, uint32_t cmd, bool shared)
{
    nsec_t deadline;
    int r = cmd == LX_FUTEX_UNLOCK_PI || cmd == LX_FUTEX_TRYLOCK_PI
                ? 0
                : futex_deadline((uint32_t)a[1], a[3], &deadline);

    if (r < 0)
        return r;
    switch (cmd) {
    case LX_FUTEX_UNLOCK_PI: return futex_unlock_pi(uptr(a[0]), shared);
    case LX_FUTEX_TRYLOCK_PI:
        return futex_lock_pi(uptr(a[0]), shared, NSEC_NEVER, true);
    case LX_FUTEX_WAIT_REQ_PI:
        return futex_wait_requeue_pi(uptr(a[0]), uptr(a[4]), shared,
                                     (uint32_t)a[2], deadline);
    default: return futex_lock_pi(uptr(a[0]), shared, deadline, false);
    }
}

int64_t sys_futex(const uint64_t *a)
{
    uint32_t op = (uint32_t)a[1];
    bool shared = (op & LX_FUTEX_PRIVATE) == 0;
    /* As Linux: waking "0" wakes one, negative numbers wake all. */
    uint32_t max = MAX((uint32_t)a[2], 1u);
    uint32_t cmd = op & LX_FUTEX_CMD_MASK;

    if ((op & LX_FUTEX_CLOCK_REALTIME) != 0 && !futex_takes_wall(cmd))
        return -ENOSYS;
    switch (cmd) {
    case LX_FUTEX_WAIT: return futex_do_wait(a, UINT32_MAX);
    case LX_FUTEX_WAIT_BITSET: return futex_do_wait(a, (uint32_t)a[5]);
    case LX_FUTEX_WAKE: return futex_wake(uptr(a[0]), shared, max, UINT32_MAX);
    case LX_FUTEX_WAKE_BITSET:
        return futex_wake(uptr(a[0]), shared, max, (uint32_t)a[5]);
    case LX_FUTEX_REQUEUE:
    case LX_FUTEX_CMP_REQUEUE:
    case LX_FUTEX_CMP_REQ_PI: return futex_do_requeue(a, cmd);
    case LX_FUTEX_LOCK_PI:
    case LX_FUTEX_LOCK_PI2:
    case LX_FUTEX_TRYLOCK_PI:
    case LX_FUTEX_UNLOCK_PI:
    case LX_FUTEX_WAIT_REQ_PI: return futex_do_pi(a, cmd, shared);
    case LX_FUTEX_WAKE_OP: {
        struct futex_wake_op w = {.a = uptr(a[0]),
                                  .b = uptr(a[4]),
                                  .shared = shared,
                                  .max_a = max,
                                  .max_b = MAX((uint32_t)a[3], 1u),
                                  .op = (uint32_t)a[5]};
        return futex_wake_op(&w);
    }
    default: return -ENOSYS;
    }
}
