// SPDX-License-Identifier: Apache-2.0
/* Load averages of /proc/loadavg, computed when asked. */
#include "guest/core/cpu.h"
#include "guest/core/sched.h"
#include "guest/core/timer.h"

#define LOAD_STEP  (5 * NSEC_PER_SEC)
#define LOAD_SHIFT 11
#define LOAD_ONE   (UINT64_C(1) << LOAD_SHIFT)
#define LOAD_STEPS 720 /* one hour: older history has decayed */

static struct spinlock load_lock;
static nsec_t load_last;
static uint64_t load_avg[3]; /* fixed point */

uint32_t sched_runnable(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cpu_possible; i++) {
        const struct cpu *c = &cpus[i];
        if (!c->online)
            continue;
        n += __atomic_load_n(&c->rq.count, __ATOMIC_RELAXED);
        if (c->idle_since == 0 && c->current != c->idle)
            n++;
    }
    return n;
}

/* exp(-5/60), exp(-5/300), exp(-5/900) in fixed point. Nothing samples while
 * nobody looks, so a gap is taken as if the present load had lasted. */
void sched_loadavg(uint32_t out[3])
{
    static const uint64_t keep[3] = {1884, 2014, 2037};
    nsec_t now = clock_now();
    uint64_t load = (uint64_t)sched_runnable() << LOAD_SHIFT;

    spin_lock(&load_lock);
    uint64_t steps = MIN((now - load_last) / LOAD_STEP, (uint64_t)LOAD_STEPS);
    if (steps != 0)
        load_last = now;
    for (uint64_t s = 0; s < steps; s++)
        for (unsigned i = 0; i < 3; i++)
            load_avg[i] =
                (load_avg[i] * keep[i] + load * (LOAD_ONE - keep[i])) >>
                LOAD_SHIFT;
    for (unsigned i = 0; i < 3; i++)
        out[i] = (uint32_t)(load_avg[i] * 100 >> LOAD_SHIFT);
    spin_unlock(&load_lock);
}
