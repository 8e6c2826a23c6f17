// SPDX-License-Identifier: Apache-2.0
/* The generic timer: virtual counter and virtual timer. DDI 0487 D11. */
#include "guest/core/timer.h"

#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/vdso.h"
#include "guest/vdso/vdso.h"

#define SCALE_SHIFT 24 /* factors fit 64 bits down to 1 MHz */

#define CNTV_ENABLE UINT64_C(1)
#define CNTV_OFF    UINT64_C(0)
/* CNTKCTL_EL1: D17.11.15 */
#define CNTKCTL_EL0    UINT64_C(2) /* EL0VCTEN: programs read CNTVCT_EL0 */
#define CNTKCTL_EVENTS UINT64_C(4) /* EVNTEN: WFE ends now and then */
#define EVENTS_HZ      10000       /* as Linux has it: HWCAP_EVTSTRM */

#define TIMER_VIRTUAL 2 /* in `interrupts`: secure, physical, virtual, EL2 */
#define TIMER_PPI     11

static uint64_t counter_hz;
static uint64_t ns_per_tick, ticks_per_ns; /* << SCALE_SHIFT */
static uint64_t wall_base;
static uint32_t timer_ppi;

static uint64_t scale(uint64_t v, uint64_t factor)
{
    return (uint64_t)((unsigned __int128)v * factor >> SCALE_SHIFT);
}

static uint64_t counter(void)
{
    ARM_ISB(); /* not ahead of earlier instructions */
    return ARM_READ("cntvct_el0");
}

static void timer_find(void)
{
    uint32_t size;

    timer_ppi = TIMER_PPI;
    if (!board.timer.off)
        return;
    const void *irqs = fdt_prop(&board.timer, "interrupts", &size);
    unsigned at = TIMER_VIRTUAL * ARCH_IRQ_CELLS;
    if (irqs && size >= (at + ARCH_IRQ_CELLS) * 4 && fdt_cell(irqs, at) == 1)
        timer_ppi = fdt_cell(irqs, at + 1) & 15;
}

void clock_init(const struct boot_info *bi)
{
    counter_hz = ARM_READ("cntfrq_el0") & UINT32_MAX;
    if (counter_hz < 1000000)
        counter_hz = 1000000; /* firmware forgot it */
    ns_per_tick = (NSEC_PER_SEC << SCALE_SHIFT) / counter_hz;
    ticks_per_ns = (counter_hz << SCALE_SHIFT) / NSEC_PER_SEC + 1;
    wall_base = bi->wall_ns;
    if (bi->wall_tsc && arch_entry_cnt >= bi->wall_tsc)
        wall_base += scale(arch_entry_cnt - bi->wall_tsc, ns_per_tick);
    else if (bi->wall_tsc)
        wall_base -= scale(bi->wall_tsc - arch_entry_cnt, ns_per_tick);
    timer_find();
}

/* The bit of the counter whose rising edge is nearest to EVENTS_HZ. */
static uint64_t event_bit(void)
{
    uint64_t div = counter_hz / EVENTS_HZ;
    unsigned bit = 63 - (unsigned)__builtin_clzll(div | 1);

    if (bit > 0 && !(div >> (bit - 1) & 1))
        bit--;
    return MIN(bit, 15u);
}

void clock_cpu_init(void)
{
    struct cpu *c = arch_this_cpu();

    ARM_WRITE("cntv_ctl_el0", CNTV_OFF);
    ARM_WRITE("cntkctl_el1", CNTKCTL_EL0 | CNTKCTL_EVENTS | event_bit() << 4);
    ARM_ISB();
    gic->cpu_init(c, GIC_PPI + timer_ppi);
}

nsec_t arch_clock(void)
{
    int64_t ticks = (int64_t)(counter() - arch_entry_cnt);

    return ticks > 0 ? scale((uint64_t)ticks, ns_per_tick) : 0;
}

void arch_vdso_clock(struct vdso_data *d)
{
    d->counter_base = arch_entry_cnt;
    d->ns_per_tick = ns_per_tick;
    d->shift = SCALE_SHIFT;
}

uint64_t arch_clock_wall_base(void)
{
    return wall_base;
}

uint64_t arch_counter(void)
{
    return counter();
}

uint64_t arch_entry_counter(void)
{
    return arch_entry_cnt;
}

void arch_timer_set(nsec_t deadline)
{
    struct cpu *c = arch_this_cpu();
    uint64_t at = 0;

    if (deadline == 0)
        at = 1;                          /* in the past: fires at once */
    else if (deadline < NSEC_NEVER / 32) /* else in centuries */
        at = arch_entry_cnt + scale(deadline, ticks_per_ns) + 1;
    if (at == c->arch.deadline)
        return;
    c->arch.deadline = at;
    if (at)
        ARM_WRITE("cntv_cval_el0", at);
    ARM_WRITE("cntv_ctl_el0", at ? CNTV_ENABLE : CNTV_OFF);
    ARM_ISB();
}
