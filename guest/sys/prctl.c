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
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_CAPBSET_DROP = 24,
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

/* No bounding or ambient set is kept: every capability is in the bound, none
 * is ambient. */
static int64_t prctl_caps(struct process *p, const uint64_t *a)
{
    switch ((int)a[0]) {
    case PR_CAPBSET_READ: return a[1] <= LX_CAP_LAST ? 1 : -EINVAL;
    case PR_CAPBSET_DROP:
        if (!cred_capable(p, LX_CAP_SETPCAP))
            return -EPERM;
        return -EINVAL; /* it could not be kept */
    case PR_GET_SECUREBITS: return 0;
    case PR_SET_SECUREBITS: return a[1] == 0 ? 0 : -EPERM;
    case PR_CAP_AMBIENT:
        if (a[1] == 1 || a[1] == 4) /* IS_SET, CLEAR_ALL */
            return 0;
        return a[1] == 2 || a[1] == 3 ? -EPERM : -EINVAL;
    default: return -EINVAL;
    }
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
    case PR_GET_KEEPCAPS: return p->keep_caps;
    case PR_SET_KEEPCAPS: return prctl_flag(&p->keep_caps, a[1]);
    case PR_SET_CHILD_SUBREAPER: p->subreaper = a[1] != 0; return 0;
    case PR_GET_CHILD_SUBREAPER: return put_user_u32(uptr(a[1]), p->subreaper);
    case PR_SET_NO_NEW_PRIVS:
        if (a[1] != 1 || (a[2] | a[3] | a[4]) != 0)
            return -EINVAL;
        p->cred.no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS: return p->cred.no_new_privs;
    default: return prctl_caps(p, a);
    }
}

int64_t sys_prctl(const uint64_t *a)
{
    switch ((int)a[0]) {
    case PR_SET_NAME: return prctl_set_name(a[1]);
    case PR_GET_NAME: return prctl_get_name(a[1]);
    case PR_GET_SECCOMP: return 0;
    case PR_SET_TIMERSLACK: return 0; /* timers are exact here */
    case PR_GET_TIMERSLACK: return 50000;
    case PR_SET_THP_DISABLE: return (a[2] | a[3] | a[4]) != 0 ? -EINVAL : 0;
    case PR_GET_THP_DISABLE: return 0;
    default: return prctl_process(current()->proc, a);
    }
}
