// SPDX-License-Identifier: Apache-2.0
/* Per-CPU data. Each field is touched by its own CPU, interrupts off, except
 * the run queue (its lock). */
#pragma once

#include <arch_types.h>

#include "guest/core/list.h"
#include "guest/core/lock.h"

struct task;
struct timer;

struct runqueue {
    struct spinlock lock; /* irq-safe */
    struct list tasks;    /* runnable, not running */
    uint32_t count;       /* tasks in the list */
};

struct cpu {
    struct arch_cpu arch; /* first: entry code uses fixed offsets */
    struct task *current; /* second: arch_current() reads it so */
    uint32_t id;
    bool online;
    bool resched; /* the running task should call sched_yield() soon */
    struct task *idle;
    struct runqueue rq;
    struct spinlock timer_lock; /* irq-safe; lock order: after rq */
    struct list timers;         /* by deadline */
    nsec_t slice_end;
    nsec_t idle_ns; /* time spent idle, /proc/stat */
    nsec_t idle_since;
    uint64_t switches;
    uint64_t interrupts;
    nsec_t timer_armed;          /* what arch_timer_set was told last */
    struct timer *timer_running; /* its fn runs now; timer_lock */
    uint32_t lock_depth;         /* spinlocks held on this CPU */
    uint64_t kicks;              /* atomic: CPUs to kick when it is 0 again */
};

extern struct cpu cpus[];     /* BOOT_CPU_MAX of them */
extern uint32_t cpu_possible; /* boot_info.cpu_count */
uint32_t cpu_online_count(void);
