// SPDX-License-Identifier: Apache-2.0
/* The foreground of `limpet run`: signals, terminal, the end of the VM. */
#pragma once

struct err;
struct instance_exit;
struct launch;
struct run_opts;

/* Hold back what attach_run() passes on, so that none is lost before. */
void attach_block_signals(void);
/* They are not passed on after all (-d). */
void attach_unblock_signals(void);

/*
 * Serve until the VM ends: terminal input and size, signals. 0 and *out, or
 * -EPIPE when the monitor died without a word. The terminal is as it was.
 */
int attach_run(struct launch *l, const struct run_opts *o,
               struct instance_exit *out, struct err *e);
