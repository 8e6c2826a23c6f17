// SPDX-License-Identifier: Apache-2.0
/* prctl(2). */
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"

enum prctl_op {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG = 2,
    PR_GET_DUMPABLE = 3,
    PR_SET_DUMPABLE = 4,
    PR_GET_KEEPCAPS = 7,
    PR_SET_KEEPCAPS = 8,
    PR_GET_TIMING = 13,
    PR_SET_TIMING = 14,
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_CAPBSET_DROP = 24,
    PR_GET_TSC = 25,
    PR_SET_TSC = 26,
    PR_GET_SECUREBITS = 27,
    PR_SET_SECUREBITS = 28,
    PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK = 30,
    PR_SET_CHILD_SUBREAPER = 36,
    PR_GET_CHILD_SUBREAPER = 37,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS = 39,
    PR_SET_THP_DISABLE = 41,
    PR_GET_THP_DISABLE = 42,
    PR_CAP_AMBIENT = 47,
};

#define TIMER_SLACK_NS 50000

static int64_t prctl_set_name(uint64_t at)
{
    struct task *t = current();
    char name[TASK_NAME_SIZE];
    int64_t n = strncpy_from_user(name, uptr(at), sizeof(name));

    if (n == -ENAMETOOLONG) { /* longer names are cut */
        if (copy_from_user(name, uptr(at), sizeof(name) - 1) < 0)
            return -EFAULT;
        name[sizeof(name) - 1] = '\0';
    } else if (n < 0) {
        return n;
    }
    (void)kstrcpy(t->name, name, sizeof(t->name));
    return 0;
}

static int64_t prctl_get_name(uint64_t at)
{
    char name[TASK_NAME_SIZE] = {0};

    (void)kstrcpy(name, current()->name, sizeof(name));
    return copy_to_user(uptr(at), name, sizeof(name));
}

/* Stores a flag that must be 0 or 1. */
static int64_t prctl_flag(bool *flag, uint64_t value)
{
    if (value > 1)
        return -EINVAL;
    *flag = value != 0;
    return 0;
}

static int64_t prctl_pdeathsig(struct process *p, uint64_t signo)
{
    if (signo > SIG_COUNT)
        return -EINVAL;
    p->pdeath_sig = (int32_t)signo;
    return 0;
}

enum prctl_ambient {
    AMBIENT_IS_SET = 1,
    AMBIENT_RAISE = 2,
    AMBIENT_LOWER = 3,
    AMBIENT_CLEAR_ALL = 4,
};

static int64_t prctl_ambient(struct cred *c, const uint64_t *a)
{
    uint64_t bit = UINT64_C(1) << (a[2] & 63);

    if (a[1] == AMBIENT_CLEAR_ALL) {
        if ((a[2] | a[3] | a[4]) != 0)
            return -EINVAL;
        c->ambient = 0;
        return 0;
    }
    if (a[1] < AMBIENT_IS_SET || a[1] > AMBIENT_LOWER || (a[3] | a[4]) != 0 ||
        a[2] > LX_CAP_LAST)
        return -EINVAL;
    if (a[1] == AMBIENT_IS_SET)
        return (c->ambient & bit) != 0;
    if (a[1] == AMBIENT_LOWER) {
        c->ambient &= ~bit;
        return 0;
    }
    if ((c->permitted & c->inheritable & bit) == 0 ||
        (c->securebits & CRED_NO_AMBIENT) != 0)
        return -EPERM;
    c->ambient |= bit;
    return 0;
}

static int64_t prctl_securebits(struct cred *c, uint64_t bits)
{
    uint64_t old = c->securebits;
    uint64_t locked = (old & CRED_SECURELOCKS) >> 1;

    if ((locked & (old ^ bits)) != 0 || (old & CRED_SECURELOCKS & ~bits) != 0 ||
        (bits & ~(uint64_t)CRED_SECUREBITS) != 0 ||
        !cred_capable(current()->proc, LX_CAP_SETPCAP))
        return -EPERM;
    c->securebits = (uint32_t)bits;
    return 0;
}

static int64_t prctl_keepcaps(struct cred *c, uint64_t on)
{
    if (on > 1)
        return -EINVAL;
    if ((c->securebits & (CRED_KEEP_CAPS << 1)) != 0)
        return -EPERM;
    c->securebits &= ~CRED_KEEP_CAPS;
    if (on != 0)
        c->securebits |= CRED_KEEP_CAPS;
    return 0;
}

static int64_t prctl_bounding_drop(struct cred *c, uint64_t cap)
{
    if (!cred_capable(current()->proc, LX_CAP_SETPCAP))
        return -EPERM;
    if (cap > LX_CAP_LAST)
        return -EINVAL;
    c->bounding &= ~(UINT64_C(1) << cap);
    return 0;
}

static int64_t prctl_cred(struct cred *c, const uint64_t *a)
{
    switch ((int)a[0]) {
    case PR_GET_KEEPCAPS: return (c->securebits & CRED_KEEP_CAPS) != 0;
    case PR_SET_KEEPCAPS: return prctl_keepcaps(c, a[1]);
    case PR_CAPBSET_READ:
        return a[1] <= LX_CAP_LAST ? (int64_t)(c->bounding >> a[1] & 1)
                                   : -EINVAL;
    case PR_CAPBSET_DROP: return prctl_bounding_drop(c, a[1]);
    case PR_GET_SECUREBITS: return c->securebits;
    case PR_SET_SECUREBITS: return prctl_securebits(c, a[1]);
    case PR_CAP_AMBIENT: return prctl_ambient(c, a);
    case PR_SET_NO_NEW_PRIVS:
        if (a[1] != 1 || (a[2] | a[3] | a[4]) != 0)
            return -EINVAL;
        c->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS: return c->no_new_privs;
    default: return -EINVAL;
    }
}

/* What the thread alone has. */
static int64_t prctl_thread(const uint64_t *a)
{
    struct cred c = current()->cred;
    int64_t r = prctl_cred(&c, a);

    if (r >= 0)
        cred_commit(&c);
    return r;
}

/* Flags of the process. */
static int64_t prctl_process(struct process *p, const uint64_t *a)
{
    switch ((int)a[0]) {
    case PR_SET_PDEATHSIG: return prctl_pdeathsig(p, a[1]);
    case PR_GET_PDEATHSIG:
        return put_user_u32(uptr(a[1]), (uint32_t)p->pdeath_sig);
    case PR_GET_DUMPABLE: return p->dumpable;
    case PR_SET_DUMPABLE: return prctl_flag(&p->dumpable, a[1]);
    case PR_SET_CHILD_SUBREAPER: p->subreaper = a[1] != 0; return 0;
    case PR_GET_CHILD_SUBREAPER: return put_user_u32(uptr(a[1]), p->subreaper);
    case PR_SET_THP_DISABLE: /* only kept: 2 MiB leaves cost no memory here */
        if ((a[2] | a[3] | a[4]) != 0)
            return -EINVAL;
        p->thp_disable = a[1] != 0;
        return 0;
    case PR_GET_THP_DISABLE: return p->thp_disable;
    default: return prctl_thread(a);
    }
}

static int64_t prctl_slack(const struct task *t)
{
    uint64_t mine = t->timer_slack != 0 ? t->timer_slack : t->timer_slack_of;

    return mine != 0 ? (int64_t)mine : TIMER_SLACK_NS;
}

int64_t sys_prctl(const uint64_t *a)
{
    switch ((int)a[0]) {
    case PR_SET_NAME: return prctl_set_name(a[1]);
    case PR_GET_NAME: return prctl_get_name(a[1]);
    case PR_GET_SECCOMP: return 0;
    case PR_GET_TIMING: return 0;
    case PR_SET_TIMING: return a[1] == 0 ? 0 : -EINVAL;
    case PR_GET_TSC: return put_user_u32(uptr(a[1]), 1); /* may be read */
    case PR_SET_TSC: return a[1] == 1 ? 0 : -EINVAL;
    case PR_SET_TIMERSLACK: /* only kept: timers are exact here */
        current()->timer_slack = (int64_t)a[1] > 0 ? a[1] : 0;
        return 0;
    case PR_GET_TIMERSLACK: return prctl_slack(current());
    default: return prctl_process(current()->proc, a);
    }
}
