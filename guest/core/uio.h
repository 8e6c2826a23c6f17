// SPDX-License-Identifier: Apache-2.0
/* Scattered source or target of a read or write, in user or kernel memory. */
#pragma once

#include "guest/core/types.h"

struct uio_seg {
    uint64_t base; /* user address, or kernel address if uio.kernel */
    uint64_t size;
};

/* Segments are consumed from the front as bytes are copied. */
struct uio {
    struct uio_seg *segs; /* borrowed, modified */
    unsigned count;
    bool kernel;   /* addresses are ours */
    bool nowait;   /* RWF_NOWAIT: as with O_NONBLOCK */
    bool more;     /* SPLICE_F_MORE: bytes follow at once */
    bool append;   /* RWF_APPEND: a regular file's end is the position */
    uint64_t left; /* bytes not yet copied */
};

/* For a single user buffer; `seg` is storage for the uio's life. */
void uio_user(struct uio *u, struct uio_seg *seg, uptr_t base, uint64_t size);
void uio_kernel(struct uio *u, struct uio_seg *seg, void *base, uint64_t size);

/* readv(2) limits: at most 1024 segments, total <= INT64_MAX & ~4095 (then
 * shortened as Linux does). Allocates *segs (kfree) when needed. 0 or -errno.
 */
int uio_user_vec(struct uio *u, struct uio_seg **segs, uptr_t iov,
                 uint64_t count);

/* The same for addresses of another address space: they are not checked. */
int uio_far_vec(struct uio *u, struct uio_seg **segs, uptr_t iov,
                uint64_t count);

/* Copy exactly MIN(n, left) bytes to (or from) kernel memory. Returns bytes
 * copied, or -EFAULT if none could be. */
int64_t uio_put(struct uio *u, const void *from, uint64_t n); /* to the user */
int64_t uio_get(struct uio *u, void *to, uint64_t n); /* from the user */
int64_t uio_zero(struct uio *u, uint64_t n);
