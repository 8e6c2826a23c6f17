// SPDX-License-Identifier: Apache-2.0
/*
 * System calls: sys_NAME(a) with the six argument words; returns the result
 * or -errno. Each topic lists its calls in calls_*.h; table.c makes the table.
 * Calls that only x86-64 has (open, fork, stat ...) go to the _LEGACY list and
 * are thin forms of the *at calls.
 */
#pragma once

#include "abi/linux/errno.h"

#include "guest/core/types.h"

typedef int64_t sys_fn(const uint64_t *a);

/* Serve the call of the current task; arch code, interrupts on. */
int64_t sys_dispatch(uint64_t nr, const uint64_t *a);
const char *sys_name(uint64_t nr); /* "sys_?" when unknown */

#define SYS_DECLARE(name) int64_t sys_##name(const uint64_t *a);
