// SPDX-License-Identifier: Apache-2.0
/* System calls of sockets: X(name). */
#pragma once

#include "guest/sys/sys.h"

/* clang-format off */
#define SYS_CALLS_NET(X) \
    X(socket) X(socketpair) X(bind) X(listen) X(accept) X(accept4) X(connect) \
    X(getsockname) X(getpeername) X(shutdown) X(setsockopt) X(getsockopt) \
    X(sendto) X(recvfrom) X(sendmsg) X(recvmsg) X(sendmmsg) X(recvmmsg)
/* clang-format on */

SYS_CALLS_NET(SYS_DECLARE)

struct file;
struct socket;
struct net_addr;

/* For both files of socket calls. */
/* The socket of `fd` with a reference to its file. -EBADF, -ENOTSOCK. */
int socket_arg(uint64_t fd, struct file **f, struct socket **s);
/* -EINVAL, -EFAULT. */
int addr_get(struct net_addr *a, uint64_t from, int64_t size);
/* What fits into `room` bytes. */
int addr_put(const struct net_addr *a, uint64_t to, int32_t room);
