// SPDX-License-Identifier: Apache-2.0
/* The clocks programs see. */
#include "guest/arch/arch.h"
#include "guest/core/timer.h"
#include "guest/core/vdso.h"

static uint64_t wall_offset; /* atomic: set by settimeofday, modulo 2^64 */

nsec_t clock_now(void)
{
    return arch_clock();
}

uint64_t clock_wall_base(void)
{
    return arch_clock_wall_base() +
           __atomic_load_n(&wall_offset, __ATOMIC_RELAXED);
}

uint64_t clock_wall(void)
{
    return clock_wall_base() + arch_clock();
}

void clock_set_wall(uint64_t ns)
{
    uint64_t base = ns - arch_clock();

    __atomic_store_n(&wall_offset, base - arch_clock_wall_base(),
                     __ATOMIC_RELAXED);
    vdso_set_wall(base);
}
