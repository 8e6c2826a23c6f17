// SPDX-License-Identifier: Apache-2.0
/* Messages with file descriptors: unix(7), SCM_RIGHTS. */
#pragma once

#include <stddef.h>

enum { FD_SEND_MAX = 253 }; /* SCM_MAX_FD */

/* One message on socket `to`, with `count` (0..FD_SEND_MAX) fds, which stay
 * ours. 0 or -errno. Any thread. */
int fd_send(int to, const void *data, size_t size, const int *fds,
            size_t count);
