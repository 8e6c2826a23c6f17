// SPDX-License-Identifier: Apache-2.0
/* adjtimex(2), clock_adjtime(2): the clock can be looked at, and is the host's
 * to adjust. */
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"

#define TIMEX_READONLY_OLD 0x8000u /* ADJ_ADJTIME, with ADJ_OFFSET_READONLY */
#define TIMEX_SINGLESHOT   0x0001u
#define TIMEX_UNSYNC       0x40
#define TIMEX_ERROR        5 /* what an unsynchronized clock answers */

struct adjtime_timex { /* struct timex of 64-bit Linux, timex.h */
    uint32_t modes, pad0;
    int64_t offset, freq, maxerror, esterror;
    int32_t status, pad1;
    int64_t constant, precision, tolerance;
    int64_t sec, usec;
    int64_t tick;
    int64_t pps[2];
    int32_t shift, pad2;
    int64_t counts[5];
    int32_t tai, pad3[11];
};
static_assert(sizeof(struct adjtime_timex) == 208, "timex.h");

static int64_t adjtime(uint64_t at)
{
    struct adjtime_timex t;
    if (copy_from_user(&t, uptr(at), sizeof(t)) < 0)
        return -EFAULT;
    bool only_reads = t.modes == 0 || t.modes == (TIMEX_READONLY_OLD | 0x2001);
    bool single = (t.modes & TIMEX_READONLY_OLD) != 0;
    if (single && (t.modes & TIMEX_SINGLESHOT) == 0)
        return -EINVAL;
    if (!only_reads)
        return -EPERM;
    nsec_t now = clock_wall();
    t = (struct adjtime_timex){
        .modes = t.modes,
        .maxerror = 16000000, /* 16 s: Linux's for a clock nobody steers */
        .esterror = 16000000,
        .status = TIMEX_UNSYNC,
        .constant = 2,
        .precision = 1,
        .tolerance = 32768000,
        .sec = (int64_t)(now / NSEC_PER_SEC),
        .usec = (int64_t)(now % NSEC_PER_SEC / 1000),
        .tick = 10000,
    };
    if (copy_to_user(uptr(at), &t, sizeof(t)) < 0)
        return -EFAULT;
    return TIMEX_ERROR;
}

int64_t sys_adjtimex(const uint64_t *a)
{
    return adjtime(a[0]);
}

int64_t sys_clock_adjtime(const uint64_t *a)
{
    int32_t clock = (int32_t)a[0];
    if (clock == LX_CLOCK_REALTIME)
        return adjtime(a[1]);
    return clock > 0 && clock <= LX_CLOCK_TAI && clock != 10 ? -EOPNOTSUPP
                                                             : -EINVAL;
}
