// SPDX-License-Identifier: Apache-2.0
/* The clock is the TSC, scaled; deadlines are TSC values. */
#include "guest/core/timer.h"

#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/vdso.h"
#include "guest/vdso/vdso.h"

#define SCALE_SHIFT 30 /* factors fit 64 bits up to 17 GHz */

uint64_t x86_tsc_hz;
static uint64_t ns_per_tick, ticks_per_ns; /* << SCALE_SHIFT */
static uint64_t wall_base;

static uint64_t scale(uint64_t v, uint64_t factor)
{
    return (uint64_t)((unsigned __int128)v * factor >> SCALE_SHIFT);
}

void clock_init(const struct boot_info *bi)
{
    x86_tsc_hz = bi->tsc_hz ? bi->tsc_hz : NSEC_PER_SEC;
    ns_per_tick = (NSEC_PER_SEC << SCALE_SHIFT) / x86_tsc_hz;
    ticks_per_ns = (x86_tsc_hz << SCALE_SHIFT) / NSEC_PER_SEC + 1;
    wall_base = bi->wall_ns;
    if (arch_entry_tsc >= bi->wall_tsc)
        wall_base += scale(arch_entry_tsc - bi->wall_tsc, ns_per_tick);
    else
        wall_base -= scale(bi->wall_tsc - arch_entry_tsc, ns_per_tick);
}

nsec_t arch_clock(void)
{
    int64_t ticks = (int64_t)(x86_rdtsc() - arch_entry_tsc);

    return ticks > 0 ? scale((uint64_t)ticks, ns_per_tick) : 0;
}

void arch_vdso_clock(struct vdso_data *d)
{
    d->counter_base = arch_entry_tsc;
    d->ns_per_tick = ns_per_tick;
    d->shift = SCALE_SHIFT;
}

uint64_t arch_clock_wall_base(void)
{
    return wall_base;
}

uint64_t arch_counter(void)
{
    return x86_rdtsc();
}

uint64_t arch_entry_counter(void)
{
    return arch_entry_tsc;
}

/* Setting the timer is an exit: skip it when nothing changes. */
void arch_timer_set(nsec_t deadline)
{
    struct cpu *c = arch_this_cpu();
    uint64_t tsc = 0;

    if (deadline == 0)
        tsc = 1;                         /* in the past: fires at once */
    else if (deadline < NSEC_NEVER / 32) /* else in centuries */
        tsc = arch_entry_tsc + scale(deadline, ticks_per_ns) + 1;
    if (tsc == c->arch.deadline)
        return;
    c->arch.deadline = tsc;
    platform->timer_set(tsc);
}
