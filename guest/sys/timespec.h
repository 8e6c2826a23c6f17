// SPDX-License-Identifier: Apache-2.0
/* Times of programs as nanoseconds. */
#pragma once

#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/timer.h"
#include "guest/core/types.h"

/* 0 or -EINVAL (negative, or nanoseconds out of range). Saturates below
 * NSEC_NEVER. */
static inline int timespec_to_nsec(const struct lx_timespec *ts, nsec_t *out)
{
    if (ts->sec < 0 || ts->nsec < 0 || ts->nsec >= (int64_t)NSEC_PER_SEC)
        return -EINVAL;
    if ((uint64_t)ts->sec >= INT64_MAX / NSEC_PER_SEC)
        *out = INT64_MAX;
    else
        *out = (uint64_t)ts->sec * NSEC_PER_SEC + (uint64_t)ts->nsec;
    return 0;
}

static inline struct lx_timespec timespec_from_nsec(uint64_t ns)
{
    return (struct lx_timespec){.sec = (int64_t)(ns / NSEC_PER_SEC),
                                .nsec = (int64_t)(ns % NSEC_PER_SEC)};
}

/* `from` + `ns`, never reaching NSEC_NEVER. */
static inline nsec_t timespec_after(nsec_t from, nsec_t ns)
{
    return ns > INT64_MAX - MIN(from, (nsec_t)INT64_MAX) ? (nsec_t)INT64_MAX
                                                         : from + ns;
}

/* Deadline on the kernel's clock for an absolute time on CLOCK_REALTIME
 * (`wall`) or CLOCK_MONOTONIC. */
static inline nsec_t timespec_deadline(nsec_t at, bool wall)
{
    if (!wall)
        return at;
    uint64_t now = clock_wall();
    return at > now ? timespec_after(clock_now(), at - now) : 0;
}
