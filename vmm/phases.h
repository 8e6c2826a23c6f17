// SPDX-License-Identifier: Apache-2.0
/* Benchmark milestones: one `name nanoseconds` line each (CLOCK_MONOTONIC). */
#pragma once

#include <stdint.h>

uint64_t phases_now(void);

/* `fd` -1: nothing. One write per line; any thread. */
void phases_mark(int fd, const char *name, uint64_t ns);
