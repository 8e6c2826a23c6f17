// SPDX-License-Identifier: Apache-2.0
/* poll(2), select(2), epoll(7) on top of file_ops.poll. */
#pragma once

#include "guest/core/wait.h"

#define EPOLLIN     0x001u
#define EPOLLPRI    0x002u
#define EPOLLOUT    0x004u
#define EPOLLERR    0x008u
#define EPOLLHUP    0x010u
#define EPOLLNVAL   0x020u
#define EPOLLRDNORM 0x040u
#define EPOLLRDBAND 0x080u
#define EPOLLWRNORM 0x100u
#define EPOLLWRBAND 0x200u
#define EPOLLRDHUP  0x2000u
/* Wake-ups only: the peer tells of an urgent byte (SIGURG). */
#define POLL_URGENT 0x8000000u

/* The asker's side: `add` is called for each queue that may change the
 * answer. */
struct poll_table {
    void (*add)(struct poll_table *pt, struct waitq *q);
};

struct file;

/* file_put, last reference: forget the epoll entries of `f`. */
void epoll_file_released(struct file *f);

static inline void poll_add(struct poll_table *pt, struct waitq *q)
{
    if (pt != NULL)
        pt->add(pt, q);
}
