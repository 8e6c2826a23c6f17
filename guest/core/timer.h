// SPDX-License-Identifier: Apache-2.0
/* One-shot kernel timers and the clocks. */
#pragma once

#include "guest/core/list.h"

struct timer {
    struct list node;
    nsec_t deadline;
    void (*fn)(struct timer *t); /* in interrupt context, on the same CPU */
    uint32_t cpu;                /* where it is queued */
    bool queued;
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
void timer_start(struct timer *t, nsec_t deadline); /* moves it if queued */
/* After return fn is not running and will not run. Returns true if it was
 * queued. Not from fn itself. */
bool timer_stop(struct timer *t);
/* Called by the timer interrupt. */
void timer_interrupt(void);

/* CLOCK_MONOTONIC = CLOCK_BOOTTIME, nanoseconds since boot. Any context. */
nsec_t clock_now(void);
/* CLOCK_REALTIME, nanoseconds since 1970. */
uint64_t clock_wall(void);
uint64_t clock_wall_base(void); /* its distance to clock_now() */
/* settimeofday(2): moves the offset of this VM only. */
void clock_set_wall(uint64_t ns);
