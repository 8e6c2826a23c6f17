// SPDX-License-Identifier: Apache-2.0
/* Between the files of the scheduler: which CPU a task shall run on. */
#pragma once

#include "guest/core/task.h"

#define SLICE_NS UINT64_C(4000000)

extern uint64_t sched_online_mask; /* atomic: CPUs that reached sched_idle */
extern uint64_t sched_idle_mask;   /* atomic: CPUs that halt or are about to */

static inline uint64_t cpu_bit(uint32_t cpu)
{
    return UINT64_C(1) << cpu;
}

/* A task whose CPUs have not joined yet may run anywhere meanwhile. */
bool sched_allows(const struct task *t, uint32_t cpu);
/* This CPU would halt, or will soon. Interrupts off, as for all below. */
bool sched_near(const struct cpu *here);
/* The CPU for a task that wakes up and was on `prev`. An idle one is claimed,
 * so that the next wake goes elsewhere. */
uint32_t sched_place(const struct task *t, uint32_t prev);
/* The CPU for a task that leaves `self` to `next` (NULL: to nobody). */
uint32_t sched_elsewhere(const struct task *t, uint32_t self,
                         const struct task *next);
