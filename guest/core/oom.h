// SPDX-License-Identifier: Apache-2.0
/* Out of memory: pick a process, say so on the console, kill it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Forget what is kept only because it may be wanted again. True: there is a
 * page for programs now. Without locks. */
bool oom_reclaim(void);
/* Called without locks when page_alloc failed for a program's page fault.
 * True: somebody was killed, try again after sleeping a little. */
bool oom_kill(void);
uint64_t oom_kill_count(void); /* processes ended so: /proc/vmstat */
