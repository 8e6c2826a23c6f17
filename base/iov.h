// SPDX-License-Identifier: Apache-2.0
/* iovecs over memory that is only read. */
#pragma once

#include <sys/uio.h>

/* struct iovec has no const; writev(2) and sendmsg(2) do not write. */
static inline struct iovec iov_const(const void *data, size_t size)
{
    const union {
        const void *in;
        void *out;
    } p = {.in = data};
    return (struct iovec){p.out, size};
}

static inline struct iovec *iov_list(const struct iovec *list)
{
    const union {
        const struct iovec *in;
        struct iovec *out;
    } p = {.in = list};
    return p.out;
}
