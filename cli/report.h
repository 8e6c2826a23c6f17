// SPDX-License-Identifier: Apache-2.0
/* What `limpet run` says on stderr when something ended. */
#pragma once

struct instance_exit;
struct launch;
struct run_opts;

/* Why the VM ended, unless its program just exited. */
void report_exit(const struct launch *l, const struct run_opts *o,
                 const struct instance_exit *x);

/* The guest killed a process for memory; `who` names it, cleaned. */
void report_killed(const char *who);

/* The monitor died: the end of its log. */
void report_dead(const struct launch *l, const struct run_opts *o);

/* The same command line without KVM, ready to paste. */
void report_emulate(const struct run_opts *o);
