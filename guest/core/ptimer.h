// SPDX-License-Identifier: Apache-2.0
/* Interval timers of processes: setitimer(2), timer_create(2). All calls of
 * programs are serialised by one mutex inside. */
#pragma once

#include "abi/linux/proc.h"

#include "guest/core/types.h"

struct process;

#define PTIMER_MAX 256 /* timer_create(2) per process */

void ptimer_process_init(struct process *p);
void ptimer_exit(struct process *p); /* exec and exit: delete all */

/* ITIMER_REAL of the current process, nanoseconds; old values out. */
void ptimer_alarm(nsec_t value, nsec_t interval, nsec_t *old_value,
                  nsec_t *old_interval);
void ptimer_alarm_get(nsec_t *value, nsec_t *interval);

/* 0 or -errno; ids are small numbers. `plain`: the program gave no sigevent, so
 * the signal's value is the id. */
int ptimer_create(int32_t clock, const struct lx_sigevent *ev, int32_t *id,
                  bool plain);
int ptimer_set(int32_t id, bool absolute, nsec_t value, nsec_t interval,
               nsec_t *old_value, nsec_t *old_interval);
int ptimer_get(int32_t id, nsec_t *value, nsec_t *interval);
int ptimer_overrun(int32_t id);
int ptimer_delete(int32_t id);
/* Send what is due at `total` nanoseconds of CPU time of `p`; *left becomes
 * less if the next one is nearer. Interrupt context. */
void ptimer_cpu_poll(struct process *p, nsec_t total, nsec_t *left);
/* A signal of timer `id` was taken; sig_lock is held. */
void ptimer_delivered(struct process *p, int32_t id, int32_t overrun);
