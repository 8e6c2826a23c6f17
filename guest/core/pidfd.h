// SPDX-License-Identifier: Apache-2.0
/* Files that name a process: pidfd_open(2), CLONE_PIDFD. */
#pragma once

#include "guest/core/types.h"

struct process;

/* A new descriptor of the current process (close-on-exec) for `p`, or -errno.
 * The file keeps a reference to `p`, so its pid is not mistaken for another's.
 */
int pidfd_new(struct process *p, uint32_t open_flags);
/* The process behind a descriptor, reference for the caller; NULL: it is not a
 * pidfd (EBADF). */
struct process *pidfd_get(int fd);
