// SPDX-License-Identifier: Apache-2.0
/* Ending running containers, gently or not. */
#pragma once

struct err;
struct instance_exit;
struct state;

/* Send a signal to the main program. -ESRCH if it does not run. */
int end_signal(const struct state *s, const char *id, int signo, struct err *e);

/* Wait until it has ended: 0 and *out, or -ETIMEDOUT. timeout_ms -1: ever. */
int end_wait(const struct state *s, const char *id, int timeout_ms,
             struct instance_exit *out, struct err *e);

/* SIGKILL to the program; if the guest does not obey, to the monitor. */
int end_kill(const struct state *s, const char *id, struct err *e);

/* `signo`, then after `seconds` (-1: never) end_kill(). */
int end_stop(const struct state *s, const char *id, int signo, long seconds,
             struct err *e);
