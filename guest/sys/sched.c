// SPDX-License-Identifier: Apache-2.0
/* Scheduling calls. Every task is SCHED_OTHER with nice 0 in the end: policies
 * and priorities are accepted where Linux accepts them, and kept. */
#include "guest/core/sched.h"

#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/timespec.h"

#define SCHED_OTHER         0
#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_DEADLINE      6
#define SCHED_RESET_ON_FORK 0x40000000
#define SLICE_NS            4000000
#define RR_SLICE_NS         100000000
#define POLICY_KEEP         -1 /* sched_setparam */

/* A reference to the thread, or NULL: ESRCH. */
static struct task *sched_target(uint64_t tid)
{
    mutex_lock(&proc_lock);
    struct task *t = (int32_t)tid == 0 ? current() : task_find((int32_t)tid);
    if (t != NULL)
        task_get(t);
    mutex_unlock(&proc_lock);
    return t;
}

int64_t sys_sched_yield(const uint64_t *a)
{
    (void)a;
    sched_yield();
    return 0;
}

int64_t sys_sched_setaffinity(const uint64_t *a)
{
    uint64_t mask = 0;

    if (copy_from_user(&mask, uptr(a[2]), MIN(a[1], sizeof(mask))) < 0)
        return -EFAULT;
    struct task *t = sched_target(a[0]);
    if (t == NULL)
        return -ESRCH;
    const struct cred *me = &current()->cred;
    const struct cred *to = &t->proc->cred;
    int r = -EPERM;
    if (me->euid == to->euid || me->euid == to->uid ||
        cred_capable(current()->proc, LX_CAP_SYS_NICE))
        r = sched_set_affinity(t, mask);
    task_put(t);
    return r;
}

int64_t sys_sched_getaffinity(const uint64_t *a)
{
    uint64_t possible = (UINT64_C(1) << cpu_possible) - 1;

    if (a[1] < sizeof(uint64_t) || (a[1] & 7) != 0)
        return -EINVAL;
    struct task *t = sched_target(a[0]);
    if (t == NULL)
        return -ESRCH;
    uint64_t mask = t->affinity & possible;
    task_put(t);
    if (put_user_u64(uptr(a[2]), mask) < 0)
        return -EFAULT;
    return sizeof(mask);
}

static int sched_policy_range(int policy, int32_t *min, int32_t *max)
{
    switch (policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        *min = 1;
        *max = 99;
        return 0;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
    case SCHED_DEADLINE:
        *min = 0;
        *max = 0;
        return 0;
    default: return -EINVAL;
    }
}

/* What CAP_SYS_NICE is not needed for. */
static bool sched_allowed(const struct task *t, int policy, int32_t priority,
                          bool reset)
{
    const struct cred *me = &current()->cred;
    const struct process *p = t->proc;
    uint64_t rtprio = p->rlimits[LX_RLIMIT_RTPRIO].cur;
    uint64_t nice = p->rlimits[LX_RLIMIT_NICE].cur;

    if (me->euid != p->cred.euid && me->euid != p->cred.uid)
        return false;
    if (t->reset_on_fork && !reset)
        return false;
    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return (policy == t->policy || rtprio != 0) &&
               (priority <= t->rt_priority || (uint64_t)priority <= rtprio);
    return t->policy != SCHED_IDLE || policy == SCHED_IDLE ||
           (uint64_t)(20 - p->nice) <= nice;
}

static int sched_set_task(struct task *t, int policy, int32_t priority)
{
    int32_t min, max;
    bool reset = (policy & SCHED_RESET_ON_FORK) != 0;

    if (policy == POLICY_KEEP) {
        policy = t->policy;
        reset = t->reset_on_fork;
    }
    policy &= ~SCHED_RESET_ON_FORK;
    /* A deadline comes with sched_setattr(2) only. */
    if (policy == SCHED_DEADLINE ||
        sched_policy_range(policy, &min, &max) < 0 || priority < min ||
        priority > max)
        return -EINVAL;
    if (t->proc == NULL || (!sched_allowed(t, policy, priority, reset) &&
                            !cred_capable(current()->proc, LX_CAP_SYS_NICE)))
        return -EPERM;
    t->policy = policy;
    t->rt_priority = priority;
    t->reset_on_fork = reset;
    return 0;
}

static int sched_set(uint64_t tid, int policy, uint64_t param)
{
    int32_t priority;

    if (param == 0 || (int32_t)tid < 0)
        return -EINVAL;
    if (copy_from_user(&priority, uptr(param), sizeof(priority)) < 0)
        return -EFAULT;
    struct task *t = sched_target(tid);
    if (t == NULL)
        return -ESRCH;
    int r = sched_set_task(t, policy, priority);
    task_put(t);
    return r;
}

int64_t sys_sched_setscheduler(const uint64_t *a)
{
    return (int)a[1] < 0 ? -EINVAL : sched_set(a[0], (int)a[1], a[2]);
}

int64_t sys_sched_setparam(const uint64_t *a)
{
    return sched_set(a[0], POLICY_KEEP, a[1]);
}

/* The thread of `tid`, with a reference: 0, -EINVAL or -ESRCH. */
static int sched_find(uint64_t tid, struct task **out)
{
    *out = (int32_t)tid < 0 ? NULL : sched_target(tid);
    if (*out != NULL)
        return 0;
    return (int32_t)tid < 0 ? -EINVAL : -ESRCH;
}

int64_t sys_sched_getscheduler(const uint64_t *a)
{
    struct task *t;
    int r = sched_find(a[0], &t);

    if (r < 0)
        return r;
    r = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    task_put(t);
    return r;
}

int64_t sys_sched_getparam(const uint64_t *a)
{
    struct task *t;
    int r = a[1] == 0 ? -EINVAL : sched_find(a[0], &t);

    if (r < 0)
        return r;
    uint32_t priority = (uint32_t)t->rt_priority;
    task_put(t);
    return put_user_u32(uptr(a[1]), priority);
}

int64_t sys_sched_get_priority_max(const uint64_t *a)
{
    int32_t min, max;

    return sched_policy_range((int)a[0], &min, &max) < 0 ? -EINVAL : max;
}

int64_t sys_sched_get_priority_min(const uint64_t *a)
{
    int32_t min, max;

    return sched_policy_range((int)a[0], &min, &max) < 0 ? -EINVAL : min;
}

int64_t sys_sched_rr_get_interval(const uint64_t *a)
{
    struct lx_timespec ts = {.nsec = SLICE_NS};
    struct task *t;
    int r = sched_find(a[0], &t);

    if (r < 0)
        return r;
    if (t->policy == SCHED_RR)
        ts.nsec = RR_SLICE_NS;
    else if (t->policy == SCHED_FIFO)
        ts.nsec = 0;
    task_put(t);
    return copy_to_user(uptr(a[1]), &ts, sizeof(ts));
}

int64_t sys_getcpu(const uint64_t *a)
{
    uint32_t cpu = arch_this_cpu()->id;

    if (a[0] != 0 && put_user_u32(uptr(a[0]), cpu) < 0)
        return -EFAULT;
    if (a[1] != 0 && put_user_u32(uptr(a[1]), 0) < 0)
        return -EFAULT;
    return 0;
}

/* --- nice values: kept per process, without effect on the round robin --- */

#define PRIO_PROCESS 0
#define PRIO_USER    2
#define NICE_MIN     (-20)
#define NICE_MAX     19

static bool nice_matches(const struct process *p, const uint64_t *a)
{
    const struct process *me = current()->proc;
    uint32_t who = (uint32_t)a[1];

    switch ((int)a[0]) {
    case PRIO_PROCESS: return who == 0 ? p == me : p->pid == (int32_t)who;
    case PRIO_USER:
        return p->cred.uid == (who == 0 ? current()->cred.uid : who);
    default: return p->pgid == (who == 0 ? me->pgid : (int32_t)who);
    }
}

int64_t sys_getpriority(const uint64_t *a)
{
    int32_t best = -ESRCH;

    if (a[0] > PRIO_USER)
        return -EINVAL;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        /* The raw call returns 20 - nice, so that it is never negative. */
        if (nice_matches(p, a))
            best = MAX(best, 20 - p->nice);
    }
    mutex_unlock(&proc_lock);
    return best;
}

static int nice_set(struct process *p, int32_t nice)
{
    const struct cred *c = &current()->cred;

    if (!cred_capable(current()->proc, LX_CAP_SYS_NICE)) {
        uint64_t max = p->rlimits[LX_RLIMIT_NICE].cur;
        if (c->euid != p->cred.uid && c->euid != p->cred.euid)
            return -EPERM;
        if (nice < p->nice && (uint64_t)(20 - nice) > max)
            return -EACCES;
    }
    p->nice = nice;
    return 0;
}

int64_t sys_setpriority(const uint64_t *a)
{
    int32_t nice = MIN(MAX((int32_t)a[2], NICE_MIN), NICE_MAX);
    int r = -ESRCH;

    if (a[0] > PRIO_USER)
        return -EINVAL;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (!nice_matches(p, a))
            continue;
        int e = nice_set(p, nice);
        if (e < 0 || r == -ESRCH)
            r = e;
    }
    mutex_unlock(&proc_lock);
    return r;
}

/* --- I/O priorities: kept per process; no disk has a queue --- */

#define IOPRIO_LEVELS 8u
#define IOPRIO_SHIFT  13

static int ioprio_check(uint32_t prio)
{
    uint32_t level = prio & ((1u << IOPRIO_SHIFT) - 1);

    switch (prio >> IOPRIO_SHIFT) {
    case 0: return level == 0 ? 0 : -EINVAL; /* none */
    case 1:                                  /* real time */
        if (!cred_capable(current()->proc, LX_CAP_SYS_NICE))
            return -EPERM;
        return level < IOPRIO_LEVELS ? 0 : -EINVAL;
    case 2: return level < IOPRIO_LEVELS ? 0 : -EINVAL; /* best effort */
    case 3: return 0;                                   /* idle */
    default: return -EINVAL;
    }
}

/* `which` counts from 1: process, group, user. */
static int ioprio_each(const uint64_t *a, const uint16_t *set)
{
    const uint64_t b[2] = {a[0] - 1, a[1]};
    int r = -ESRCH;

    if (a[0] < 1 || a[0] > 1 + PRIO_USER)
        return -EINVAL;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (!nice_matches(p, b))
            continue;
        if (set != NULL)
            p->ioprio = *set;
        r = set != NULL ? 0 : MAX(r, (int)p->ioprio);
    }
    mutex_unlock(&proc_lock);
    return r;
}

int64_t sys_ioprio_set(const uint64_t *a)
{
    uint16_t prio = (uint16_t)a[2];
    int r = ioprio_check((uint32_t)a[2]);

    return r < 0 ? r : ioprio_each(a, &prio);
}

int64_t sys_ioprio_get(const uint64_t *a)
{
    return ioprio_each(a, NULL);
}
