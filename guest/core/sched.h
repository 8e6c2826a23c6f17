// SPDX-License-Identifier: Apache-2.0
/* Scheduler: one round-robin run queue per CPU, idle CPUs steal. */
#pragma once

#include "guest/core/types.h"

struct task;

void sched_init(void);            /* before any other CPU */
void sched_join(void);            /* work may be placed on this CPU */
_Noreturn void sched_idle(void);  /* becomes the CPU's idle task */
void sched_start(struct task *t); /* a new task becomes runnable */
/* The same on this CPU: the caller is about to sleep until it did something. */
void sched_start_here(struct task *t);
/* Make a sleeping task runnable; true if it slept in a way `deadly` allows
 * (a fatal signal wakes TASK_DEADLY too). Any context. */
bool sched_wake(struct task *t);
bool sched_wake_signal(struct task *t, bool fatal);
/* Let others run. From user-return paths and voluntary. Interrupts on. */
void sched_yield(void);
/* In long loops of the kernel: yield if the slice is over. */
void sched_point(void);
/* From the timer interrupt: account, end slices. */
void sched_tick(void);
/* Before every return to user mode, interrupts on: reschedule, signals, stop.
 * Called by arch code with the frame in place. */
void sched_user_return(void);
/* First code of a new task (arch code calls it): what follows arch_switch() in
 * every other task, with the task that ran before. Interrupts off. */
void sched_switched(struct task *prev);
/* The current task will sleep: sets its state (a TASK_* sleeping one), then
 * the caller checks its condition, then sched_sleep(), which returns at once
 * if a wake came in between. Used by wait.c, lock.c, signals; others use
 * core/wait.h. */
void sched_prepare(uint32_t state);
void sched_sleep(void);
void sched_deepen(void);    /* TASK_SLEEPING, if still so, becomes DEADLY */
void sched_unprepare(void); /* it does not sleep after all */
/* Job control: SIGCONT makes a TASK_STOPPED task runnable. */
bool sched_wake_stopped(struct task *t);
/* Make a CPU that runs `t` look at its flags (t->work) soon. */
void sched_notice(struct task *t);
/* Run time of `t` so far, nanoseconds, the current stretch included. */
nsec_t sched_cpu_time(const struct task *t);
void sched_times(const struct task *t, nsec_t *utime, nsec_t *stime);
/* The current task came from its program, or is about to go back: from here on
 * system, or user, time passes. From arch code, interrupts off. */
void sched_enter_kernel(void);
void sched_leave_kernel(void);
/* Leave the CPU for ever. */
_Noreturn void sched_exit(void);
/* Move to a CPU that `affinity` allows. */
int sched_set_affinity(struct task *t, uint64_t mask);
uint32_t sched_runnable(void); /* tasks running or queued: /proc/loadavg */
void sched_loadavg(uint32_t out[3]); /* 1/100 units: 1, 5, 15 minutes */
