// SPDX-License-Identifier: Apache-2.0
/* Clocks, sleeping, CPU time. */
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/rusage.h"
#include "guest/sys/timespec.h"

#define TICK_NS (NSEC_PER_SEC / 100)

static struct lx_timeval timeval_of(nsec_t ns)
{
    return (struct lx_timeval){.sec = (int64_t)(ns / NSEC_PER_SEC),
                               .usec = (int64_t)(ns % NSEC_PER_SEC / 1000)};
}

static nsec_t time_process(struct process *p)
{
    nsec_t utime, stime;

    process_times(p, &utime, &stime);
    return utime + stime;
}

/* CPU-time clocks of other processes and threads: pid inverted above bit 3,
 * bit 2 set for a thread, low bits 2 (clock_getcpuclockid(3)). */
static int time_cpu_clock(int32_t id, nsec_t *out)
{
    int32_t pid = ~(id >> 3);
    bool thread = (id & 4) != 0;
    int r = -EINVAL;

    if ((id & 3) == 3)
        return -EINVAL;
    mutex_lock(&proc_lock);
    const struct task *t = pid == 0 ? current() : task_find(pid);
    if (t != NULL && thread && t->proc == current()->proc) {
        *out = sched_cpu_time(t);
        r = 0;
    } else if (t != NULL && !thread) {
        *out = time_process(t->proc);
        r = 0;
    }
    mutex_unlock(&proc_lock);
    return r;
}

static int time_clock(int32_t id, nsec_t *out)
{
    if (id < 0)
        return time_cpu_clock(id, out);
    switch (id) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_TAI: *out = clock_wall(); return 0;
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_MONOTONIC_COARSE:
    case LX_CLOCK_BOOTTIME: *out = clock_now(); return 0;
    case LX_CLOCK_PROCESS_CPUTIME:
        *out = time_process(current()->proc);
        return 0;
    case LX_CLOCK_THREAD_CPUTIME: *out = sched_cpu_time(current()); return 0;
    default: return -EINVAL;
    }
}

static int time_put(uint64_t to, nsec_t ns)
{
    struct lx_timespec ts = timespec_from_nsec(ns);

    return copy_to_user(uptr(to), &ts, sizeof(ts));
}

int64_t sys_clock_gettime(const uint64_t *a)
{
    nsec_t ns;
    int r = time_clock((int32_t)a[0], &ns);

    return r < 0 ? r : time_put(a[1], ns);
}

int64_t sys_clock_getres(const uint64_t *a)
{
    nsec_t ns;
    int r = time_clock((int32_t)a[0], &ns);

    if (r < 0 || a[1] == 0)
        return r;
    return time_put(a[1], 1);
}

static int64_t time_set_wall(const struct lx_timespec *ts)
{
    nsec_t ns;

    if (timespec_to_nsec(ts, &ns) < 0)
        return -EINVAL;
    if (!cred_capable(current()->proc, LX_CAP_SYS_TIME))
        return -EPERM;
    clock_set_wall(ns);
    return 0;
}

int64_t sys_clock_settime(const uint64_t *a)
{
    struct lx_timespec ts;

    if ((int32_t)a[0] != LX_CLOCK_REALTIME)
        return -EINVAL;
    if (copy_from_user(&ts, uptr(a[1]), sizeof(ts)) < 0)
        return -EFAULT;
    return time_set_wall(&ts);
}

int64_t sys_settimeofday(const uint64_t *a)
{
    struct lx_timeval tv;

    if (a[0] == 0)
        return 0; /* only the zone, which is the library's business */
    if (copy_from_user(&tv, uptr(a[0]), sizeof(tv)) < 0)
        return -EFAULT;
    if (tv.usec < 0 || tv.usec >= 1000000)
        return -EINVAL;
    return time_set_wall(
        &(struct lx_timespec){.sec = tv.sec, .nsec = tv.usec * 1000});
}

int64_t sys_gettimeofday(const uint64_t *a)
{
    struct lx_timeval tv = timeval_of(clock_wall());

    if (a[0] != 0 && copy_to_user(uptr(a[0]), &tv, sizeof(tv)) < 0)
        return -EFAULT;
    return a[1] != 0 ? clear_user(uptr(a[1]), 8) : 0;
}

int64_t sys_time(const uint64_t *a)
{
    uint64_t sec = clock_wall() / NSEC_PER_SEC;

    if (a[0] != 0 && put_user_u64(uptr(a[0]), sec) < 0)
        return -EFAULT;
    return (int64_t)sec;
}

/* --- sleeping --- */

/* 0 when `deadline` has passed, else -ERESTARTSYS. */
static int time_sleep(nsec_t deadline)
{
    struct waitq q;
    int r;

    waitq_init(&q);
    WAIT_FOR(r, &q, false, WAIT_SIGNALS, deadline);
    return r == -ETIMEDOUT ? 0 : r;
}

/* A relative sleep goes on with what is left when no handler ran (a stop, for
 * one): restart.arg is the deadline and where to tell the rest. */
static int64_t time_sleep_rest(struct task *t)
{
    nsec_t deadline = t->restart.arg[0];
    int r = time_sleep(deadline);

    if (r == 0)
        return 0;
    nsec_t now = clock_now();
    if (t->restart.arg[1] != 0 &&
        time_put(t->restart.arg[1], deadline > now ? deadline - now : 0) < 0)
        return -EFAULT;
    t->restart.fn = time_sleep_rest;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t time_sleep_user(uint64_t ts_at, uint64_t rest_at, int32_t clock,
                               bool absolute)
{
    struct task *t = current();
    struct lx_timespec ts;
    nsec_t ns;

    if (copy_from_user(&ts, uptr(ts_at), sizeof(ts)) < 0)
        return -EFAULT;
    if (timespec_to_nsec(&ts, &ns) < 0)
        return -EINVAL;
    if (absolute) {
        int r = time_sleep(timespec_deadline(ns, clock == LX_CLOCK_REALTIME ||
                                                     clock == LX_CLOCK_TAI));
        return r == 0 ? 0 : -ERESTARTNOHAND;
    }
    t->restart.arg[0] = timespec_after(clock_now(), ns);
    t->restart.arg[1] = rest_at;
    return time_sleep_rest(t);
}

int64_t sys_nanosleep(const uint64_t *a)
{
    return time_sleep_user(a[0], a[1], LX_CLOCK_MONOTONIC, false);
}

int64_t sys_clock_nanosleep(const uint64_t *a)
{
    int32_t clock = (int32_t)a[0];

    switch (clock) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_TAI:
        return time_sleep_user(a[2], a[3], clock,
                               (a[1] & LX_TIMER_ABSTIME) != 0);
    case LX_CLOCK_PROCESS_CPUTIME:
    case LX_CLOCK_THREAD_CPUTIME:
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_MONOTONIC_COARSE: return -EOPNOTSUPP;
    default: return -EINVAL; /* the alarm clocks too: there is no RTC */
    }
}

int64_t sys_restart_syscall(const uint64_t *a)
{
    struct task *t = current();
    int64_t (*fn)(struct task * t) = t->restart.fn;

    (void)a;
    t->restart.fn = NULL;
    return fn != NULL ? fn(t) : -EINTR;
}

int64_t sys_pause(const uint64_t *a)
{
    (void)a;
    (void)time_sleep(NSEC_NEVER);
    return -ERESTARTNOHAND;
}

/* --- CPU time --- */

int64_t sys_times(const uint64_t *a)
{
    struct process *p = current()->proc;
    nsec_t utime, stime;

    process_times(p, &utime, &stime);
    struct lx_tms t = {.utime = (int64_t)(utime / TICK_NS),
                       .stime = (int64_t)(stime / TICK_NS),
                       .cutime = (int64_t)(p->cutime / TICK_NS),
                       .cstime = (int64_t)(p->cstime / TICK_NS)};
    if (a[0] != 0 && copy_to_user(uptr(a[0]), &t, sizeof(t)) < 0)
        return -EFAULT;
    return (int64_t)(clock_now() / TICK_NS);
}

void rusage_of(struct process *p, enum rusage_who who, struct lx_rusage *out)
{
    nsec_t utime = 0;
    nsec_t stime = 0;

    *out = (struct lx_rusage){.maxrss = 0};
    if (who == RUSAGE_THREAD) {
        const struct task *t = current();
        sched_times(t, &utime, &stime);
        out->nvcsw = (int64_t)t->switches;
    } else if (who != RUSAGE_CHILDREN) {
        process_times(p, &utime, &stime);
        out->minflt = (int64_t)p->min_faults;
        out->majflt = (int64_t)p->maj_faults;
    }
    if (who == RUSAGE_CHILDREN || who == RUSAGE_BOTH) {
        utime += p->cutime;
        stime += p->cstime;
        out->minflt += (int64_t)p->cmin_faults;
        out->majflt += (int64_t)p->cmaj_faults;
    }
    struct aspace *as = who == RUSAGE_CHILDREN ? NULL : process_aspace(p);
    if (as != NULL) {
        out->maxrss = (int64_t)(as->rss_max * (PAGE_SIZE / 1024));
        aspace_put(as);
    }
    out->utime = timeval_of(utime);
    out->stime = timeval_of(stime);
}

int64_t sys_getrusage(const uint64_t *a)
{
    struct lx_rusage ru;
    int32_t who = (int32_t)a[0];

    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    rusage_of(current()->proc, (enum rusage_who)who, &ru);
    return copy_to_user(uptr(a[1]), &ru, sizeof(ru));
}
