// SPDX-License-Identifier: Apache-2.0
/*
 * What a process's CPU time sets off: ITIMER_VIRTUAL and ITIMER_PROF
 * (setitimer(2)), timers of CPU clocks (timer_create(2)), RLIMIT_CPU
 * (setrlimit(2)). Fires at most some milliseconds
 * late. Interval timers survive exec and are not inherited.
 */
#pragma once

#include "guest/core/timer.h"

struct process;

enum cputimer_kind { CPUTIMER_VIRTUAL, CPUTIMER_PROF, CPUTIMER_COUNT };

struct cputimer { /* process.cputimer; sig_lock, but for `poll` */
    struct timer poll;
    nsec_t at[CPUTIMER_COUNT]; /* CPU time, 0: not set */
    nsec_t interval[CPUTIMER_COUNT];
    nsec_t seen; /* CPU time at the last look */
};

void cputimer_init(struct process *p);
void cputimer_exit(struct process *p);
/* Its RLIMIT_CPU changed or came with fork, a timer was set: look soon. */
void cputimer_start(struct process *p);
/* Of the current process, nanoseconds of CPU time; old values out. */
void cputimer_set(enum cputimer_kind kind, nsec_t value, nsec_t interval,
                  nsec_t *old_value, nsec_t *old_interval);
void cputimer_get(enum cputimer_kind kind, nsec_t *value, nsec_t *interval);
