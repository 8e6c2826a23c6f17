// SPDX-License-Identifier: Apache-2.0
/* setitimer(2), alarm(2), timer_create(2). */
#include "abi/linux/proc.h"
#include "abi/linux/signal.h"

#include "guest/core/ptimer.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/timespec.h"

#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2

static enum cputimer_kind itimer_kind(uint64_t which)
{
    return which == ITIMER_VIRTUAL ? CPUTIMER_VIRTUAL : CPUTIMER_PROF;
}

static int itimer_nsec(const struct lx_timeval *tv, nsec_t *out)
{
    if (tv->usec < 0 || tv->usec >= 1000000)
        return -EINVAL;
    return timespec_to_nsec(
        &(struct lx_timespec){.sec = tv->sec, .nsec = tv->usec * 1000}, out);
}

static struct lx_timeval itimer_timeval(nsec_t ns)
{
    ns += 999; /* what is left is never shown as 0 */
    return (struct lx_timeval){.sec = (int64_t)(ns / NSEC_PER_SEC),
                               .usec = (int64_t)(ns % NSEC_PER_SEC / 1000)};
}

static int itimer_put(uint64_t to, nsec_t value, nsec_t interval)
{
    struct lx_itimerval v = {.interval = itimer_timeval(interval),
                             .value = itimer_timeval(value)};

    return copy_to_user(uptr(to), &v, sizeof(v));
}

int64_t sys_getitimer(const uint64_t *a)
{
    nsec_t value = 0;
    nsec_t interval = 0;

    if (a[0] > ITIMER_PROF)
        return -EINVAL;
    if (a[0] == ITIMER_REAL)
        ptimer_alarm_get(&value, &interval);
    else
        cputimer_get(itimer_kind(a[0]), &value, &interval);
    return itimer_put(a[1], value, interval);
}

int64_t sys_setitimer(const uint64_t *a)
{
    struct lx_itimerval v = {0};
    nsec_t value, interval, old_value, old_interval;

    if (a[1] != 0 && copy_from_user(&v, uptr(a[1]), sizeof(v)) < 0)
        return -EFAULT;
    if (itimer_nsec(&v.value, &value) < 0 ||
        itimer_nsec(&v.interval, &interval) < 0)
        return -EINVAL;
    if (a[0] > ITIMER_PROF)
        return -EINVAL;
    if (a[0] == ITIMER_REAL)
        ptimer_alarm(value, interval, &old_value, &old_interval);
    else
        cputimer_set(itimer_kind(a[0]), value, interval, &old_value,
                     &old_interval);
    return a[2] != 0 ? itimer_put(a[2], old_value, old_interval) : 0;
}

int64_t sys_alarm(const uint64_t *a)
{
    nsec_t old_value, old_interval;

    ptimer_alarm((uint32_t)a[0] * NSEC_PER_SEC, 0, &old_value, &old_interval);
    if (old_value == 0)
        return 0;
    uint64_t sec = (old_value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
    return (int64_t)MAX(sec, UINT64_C(1));
}

/* --- POSIX timers --- */

static int ptimer_put(uint64_t to, nsec_t value, nsec_t interval)
{
    struct lx_itimerspec v = {.interval = timespec_from_nsec(interval),
                              .value = timespec_from_nsec(value)};

    return copy_to_user(uptr(to), &v, sizeof(v));
}

int64_t sys_timer_create(const uint64_t *a)
{
    struct lx_sigevent ev = {.signo = LX_SIGALRM, .notify = LX_SIGEV_SIGNAL};
    int32_t clock = (int32_t)a[0];
    int32_t id;

    switch (clock) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_TAI:
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_PROCESS_CPUTIME:
    case LX_CLOCK_THREAD_CPUTIME: break;
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_MONOTONIC_COARSE: return -EOPNOTSUPP;
    default:
        if (clock >= 0)
            return -EINVAL;
    }
    if (a[1] != 0 && copy_from_user(&ev, uptr(a[1]), sizeof(ev)) < 0)
        return -EFAULT;
    int r = ptimer_create(clock, &ev, &id, a[1] == 0);
    if (r < 0)
        return r;
    if (put_user_u32(uptr(a[2]), (uint32_t)id) < 0) {
        (void)ptimer_delete(id);
        return -EFAULT;
    }
    return 0;
}

int64_t sys_timer_settime(const uint64_t *a)
{
    struct lx_itimerspec v;
    nsec_t value, interval;
    nsec_t old_value = 0;
    nsec_t old_interval = 0;

    if (a[2] == 0)
        return -EINVAL;
    if (copy_from_user(&v, uptr(a[2]), sizeof(v)) < 0)
        return -EFAULT;
    if (timespec_to_nsec(&v.value, &value) < 0 ||
        timespec_to_nsec(&v.interval, &interval) < 0)
        return -EINVAL;
    int r = ptimer_set((int32_t)a[0], (a[1] & LX_TIMER_ABSTIME) != 0, value,
                       interval, &old_value, &old_interval);
    if (r < 0 || a[3] == 0)
        return r;
    return ptimer_put(a[3], old_value, old_interval);
}

int64_t sys_timer_gettime(const uint64_t *a)
{
    nsec_t value = 0;
    nsec_t interval = 0;
    int r = ptimer_get((int32_t)a[0], &value, &interval);

    return r < 0 ? r : ptimer_put(a[1], value, interval);
}

int64_t sys_timer_getoverrun(const uint64_t *a)
{
    return ptimer_overrun((int32_t)a[0]);
}

int64_t sys_timer_delete(const uint64_t *a)
{
    return ptimer_delete((int32_t)a[0]);
}
