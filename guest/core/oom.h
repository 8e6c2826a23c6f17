// SPDX-License-Identifier: Apache-2.0
/* Out of memory: pick a process, say so on the console, kill it. */
#pragma once

#include <stdbool.h>

/* Called without locks when page_alloc failed for a program's page fault.
 * True: somebody was killed, try again after sleeping a little. */
bool oom_kill(void);
