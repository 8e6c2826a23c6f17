// SPDX-License-Identifier: Apache-2.0
/* Facts about the system, limits, random bytes. */
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/core/uts.h"
#include "guest/sys/calls_proc.h"

int64_t sys_uname(const uint64_t *a)
{
    struct lx_utsname u;

    uts_get(&u);
    if ((current()->proc->personality & 0x0020000) != 0) /* UNAME26 */
        (void)kstrcpy(u.release, "2.6.61-limpet", sizeof(u.release));
    return copy_to_user(uptr(a[0]), &u, sizeof(u));
}

static int64_t uts_from_user(const uint64_t *a,
                             int (*set)(const char *name, size_t size))
{
    char name[LX_UTS_SIZE];
    int64_t size = (int32_t)a[1];

    if (!cred_capable(current()->proc, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (size < 0 || size >= LX_UTS_SIZE)
        return -EINVAL;
    if (copy_from_user(name, uptr(a[0]), (size_t)size) < 0)
        return -EFAULT;
    return set(name, (size_t)size);
}

int64_t sys_sethostname(const uint64_t *a)
{
    return uts_from_user(a, uts_set_hostname);
}

int64_t sys_setdomainname(const uint64_t *a)
{
    return uts_from_user(a, uts_set_domainname);
}

int64_t sys_sysinfo(const uint64_t *a)
{
    struct lx_sysinfo s = {.mem_unit = 1};
    struct page_stats pages;
    uint32_t load[3];

    page_stats(&pages);
    sched_loadavg(load);
    s.uptime = (int64_t)(clock_now() / NSEC_PER_SEC);
    for (unsigned i = 0; i < 3; i++)
        s.loads[i] = ((uint64_t)load[i] << 16) / 100;
    s.totalram = pages.total * PAGE_SIZE;
    s.freeram = pages.free * PAGE_SIZE;
    s.sharedram = pages.cached * PAGE_SIZE;
    s.procs = (uint16_t)MIN(process_count_threads(), (uint32_t)UINT16_MAX);
    return copy_to_user(uptr(a[0]), &s, sizeof(s));
}

#define GETRANDOM_FLAGS                                                        \
    7u /* NONBLOCK, RANDOM, INSECURE: seeded from the host */
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u
#define NR_OPEN       1048576u /* fs.nr_open */

int64_t sys_getrandom(const uint64_t *a)
{
    uint8_t block[256];
    uint64_t size = MIN(a[1], (uint64_t)INT32_MAX);
    uint64_t done = 0;

    if ((a[2] & ~(uint64_t)GETRANDOM_FLAGS) != 0 ||
        (a[2] & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    while (done < size) {
        size_t n = MIN(size - done, sizeof(block));
        krandom(block, n);
        if (copy_to_user(uptr(a[0] + done), block, n) < 0)
            return done != 0 ? (int64_t)done : -EFAULT;
        done += n;
        sched_point();
        if (signal_pending(current()))
            break;
    }
    memset(block, 0, sizeof(block));
    return (int64_t)done;
}

int64_t sys_personality(const uint64_t *a)
{
    struct process *p = current()->proc;
    uint32_t old = p->personality;

    if ((uint32_t)a[0] != UINT32_MAX)
        p->personality = (uint32_t)a[0];
    return old;
}

/* The kernel's messages go to the monitor; a program sees an empty log. */
int64_t sys_syslog(const uint64_t *a)
{
    int type = (int)a[0];
    bool privileged = cred_capable(current()->proc, LX_CAP_SYSLOG);

    if (type < 0 || type > 10)
        return -EINVAL;
    if (!privileged && type != 3 && type != 10)
        return -EPERM;
    return 0; /* nothing read, nothing there, size 0 */
}

int64_t sys_seccomp(const uint64_t *a)
{
    (void)a;
    return -EINVAL;
}

int64_t sys_arch_prctl(const uint64_t *a)
{
    return arch_sys_prctl(a);
}

/* --- limits --- */

static int limit_set(struct process *p, unsigned which,
                     const struct lx_rlimit64 *l)
{
    if (l->cur > l->max)
        return -EINVAL;
    if (which == LX_RLIMIT_NOFILE && l->max > NR_OPEN)
        return -EPERM;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    bool raise = l->max > p->rlimits[which].max;
    bool ok = !raise || cred_capable(current()->proc, LX_CAP_SYS_RESOURCE);
    if (ok)
        p->rlimits[which] = *l;
    spin_unlock_irq(&p->sig_lock, flags);
    if (ok && which == LX_RLIMIT_CPU)
        cputimer_start(p);
    return ok ? 0 : -EPERM;
}

static struct lx_rlimit64 limit_get(struct process *p, unsigned which)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct lx_rlimit64 l = p->rlimits[which];

    spin_unlock_irq(&p->sig_lock, flags);
    return l;
}

static bool limit_allowed(const struct process *p)
{
    const struct process *me = current()->proc;
    const struct cred *c = &current()->cred;

    return p == me || cred_capable(me, LX_CAP_SYS_RESOURCE) ||
           (c->uid == p->cred.uid && c->uid == p->cred.euid &&
            c->uid == p->cred.suid);
}

int64_t sys_prlimit64(const uint64_t *a)
{
    struct lx_rlimit64 l, old = {0};
    int r = 0;

    if (a[1] >= RLIMIT_COUNT)
        return -EINVAL;
    unsigned which = (unsigned)a[1];
    if (a[2] != 0 && copy_from_user(&l, uptr(a[2]), sizeof(l)) < 0)
        return -EFAULT;
    mutex_lock(&proc_lock);
    struct process *p =
        (int32_t)a[0] == 0 ? current()->proc : process_find((int32_t)a[0]);
    if (p == NULL)
        r = -ESRCH;
    else if (!limit_allowed(p))
        r = -EPERM;
    if (r == 0)
        old = limit_get(p, which);
    if (r == 0 && a[2] != 0)
        r = limit_set(p, which, &l);
    mutex_unlock(&proc_lock);
    if (r == 0 && a[3] != 0 && copy_to_user(uptr(a[3]), &old, sizeof(old)) < 0)
        return -EFAULT;
    return r;
}

int64_t sys_getrlimit(const uint64_t *a)
{
    if (a[0] >= RLIMIT_COUNT)
        return -EINVAL;
    struct lx_rlimit64 l = limit_get(current()->proc, (unsigned)a[0]);
    return copy_to_user(uptr(a[1]), &l, sizeof(l));
}

int64_t sys_setrlimit(const uint64_t *a)
{
    struct lx_rlimit64 l;

    if (a[0] >= RLIMIT_COUNT)
        return -EINVAL;
    if (copy_from_user(&l, uptr(a[1]), sizeof(l)) < 0)
        return -EFAULT;
    return limit_set(current()->proc, (unsigned)a[0], &l);
}
