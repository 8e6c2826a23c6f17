// SPDX-License-Identifier: Apache-2.0
/*
 * The vDSO: clocks without a system call. This is code of programs: it runs at
 * their privilege, on their stack, and knows the kernel by its page of data
 * only. vdso(7) names the functions.
 */
#include <vdso_arch.h>

#include "abi/linux/stat.h"

#include "guest/vdso/vdso.h"

enum clock_id { /* linux/time.h: the ones that are the same here */
                CLOCK_REALTIME = 0,
                CLOCK_MONOTONIC = 1,
                CLOCK_MONOTONIC_RAW = 4,
                CLOCK_REALTIME_COARSE = 5,
                CLOCK_MONOTONIC_COARSE = 6,
                CLOCK_BOOTTIME = 7,
};

struct vdso_timeval {
    int64_t sec, usec;
};
struct vdso_timezone {
    int32_t minutes_west, dst;
};

#define NSEC 1000000000u

/* link.ld puts it on the page before the image. */
extern const struct vdso_data vdso_data __attribute__((visibility("hidden")));

int VDSO_NAME(clock_gettime)(int32_t id, struct lx_timespec *ts);
int VDSO_NAME(clock_getres)(int32_t id, struct lx_timespec *ts);
int VDSO_NAME(gettimeofday)(struct vdso_timeval *tv, struct vdso_timezone *tz);
int64_t VDSO_NAME(time)(int64_t *t);
int64_t VDSO_NAME(getcpu)(uint32_t *cpu, uint32_t *node, void *unused);

static uint64_t vdso_monotonic(void)
{
    const struct vdso_data *d = &vdso_data;
    int64_t ticks = (int64_t)(vdso_counter() - d->counter_base);

    if (ticks <= 0)
        return 0;
    return (uint64_t)((unsigned __int128)(uint64_t)ticks * d->ns_per_tick >>
                      d->shift);
}

static uint64_t vdso_wall(void)
{
    return vdso_monotonic() +
           __atomic_load_n(&vdso_data.wall_base, __ATOMIC_RELAXED);
}

/* In this order: a bad pointer faults at its own address, as in Linux. */
static void vdso_store(int64_t *sec, int64_t *rest, uint64_t ns, uint64_t unit)
{
    *(volatile int64_t *)sec = (int64_t)(ns / NSEC);
    *(volatile int64_t *)rest = (int64_t)(ns % NSEC / unit);
}

int VDSO_NAME(clock_gettime)(int32_t id, struct lx_timespec *ts)
{
    uint64_t ns;

    switch (vdso_data.ns_per_tick != 0 ? id : -1) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE: ns = vdso_wall(); break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME: ns = vdso_monotonic(); break;
    default:
        return (int)vdso_syscall3(LX_NR_clock_gettime, (uint64_t)id,
                                  (uintptr_t)ts, 0);
    }
    vdso_store(&ts->sec, &ts->nsec, ns, 1);
    return 0;
}

int VDSO_NAME(clock_getres)(int32_t id, struct lx_timespec *ts)
{
    return (int)vdso_syscall3(LX_NR_clock_getres, (uint64_t)id, (uintptr_t)ts,
                              0);
}

int VDSO_NAME(gettimeofday)(struct vdso_timeval *tv, struct vdso_timezone *tz)
{
    if (vdso_data.ns_per_tick == 0)
        return (int)vdso_syscall3(LX_NR_gettimeofday, (uintptr_t)tv,
                                  (uintptr_t)tz, 0);
    uint64_t ns = vdso_wall();
    if (tv != NULL)
        vdso_store(&tv->sec, &tv->usec, ns, 1000);
    if (tz != NULL)
        *tz = (struct vdso_timezone){0};
    return 0;
}

int64_t VDSO_NAME(time)(int64_t *t)
{
    struct vdso_timeval tv;

    (void)VDSO_NAME(gettimeofday)(&tv, NULL);
    if (t != NULL)
        *t = tv.sec;
    return tv.sec;
}

/* On PVM the instructions that tell the CPU show the host's. */
int64_t VDSO_NAME(getcpu)(uint32_t *cpu, uint32_t *node, void *unused)
{
    (void)unused;
    return vdso_syscall3(LX_NR_getcpu, (uintptr_t)cpu, (uintptr_t)node, 0);
}

VDSO_ALIAS(clock_gettime)
VDSO_ALIAS(clock_getres)
VDSO_ALIAS(gettimeofday)
VDSO_ALIAS(time)
VDSO_ALIAS(getcpu)
