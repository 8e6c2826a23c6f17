// SPDX-License-Identifier: Apache-2.0
/* epoll(7). An entry is keyed by (open file, descriptor), holds no reference
 * to the file and dies with it. */
#pragma once

#include "abi/linux/poll.h"

#include "guest/core/types.h"

struct file;

int epoll_file_new(struct file **out); /* 0 or -ENOMEM */
/* epoll_ctl(2): `target` is the file of `fd`. -EINVAL if `f` is no epoll. */
int epoll_control(struct file *f, int op, int fd, struct file *target,
                  const struct lx_epoll_event *ev);
/* Where events go: `at` is the caller's, or `grown` when these were too few;
 * where memory is short no more than fit come. */
struct epoll_events {
    struct lx_epoll_event *at;
    unsigned room, max;
    struct lx_epoll_event *grown; /* kfree() it */
};
/* Wait until `deadline` for up to out->max events. Count, or -EINTR, -EINVAL.
 */
int epoll_wait_events(struct file *f, struct epoll_events *out,
                      nsec_t deadline);
/* /proc/PID/fdinfo: the n-th entry. False: no more. */
bool epoll_entry(struct file *f, unsigned n, int *fd, uint32_t *events,
                 uint64_t *data);
