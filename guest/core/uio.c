// SPDX-License-Identifier: Apache-2.0
#include "guest/core/uio.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/usercopy.h"

#define UIO_SEGS_MAX  1024
#define UIO_TOTAL_MAX UINT64_C(0x7ffff000) /* as Linux: MAX_RW_COUNT */

static void uio_one(struct uio *u, struct uio_seg *seg, uint64_t base,
                    uint64_t size, bool kernel)
{
    *seg = (struct uio_seg){base, MIN(size, UIO_TOTAL_MAX)};
    *u = (struct uio){.segs = seg, .count = 1, .kernel = kernel};
    u->left = seg->size;
}

void uio_user(struct uio *u, struct uio_seg *seg, uptr_t base, uint64_t size)
{
    uio_one(u, seg, base.v, size, false);
}

void uio_kernel(struct uio *u, struct uio_seg *seg, void *base, uint64_t size)
{
    uio_one(u, seg, (uintptr_t)base, size, true);
}

static int uio_vec(struct uio *u, struct uio_seg **segs, uptr_t iov,
                   uint64_t count, bool far)
{
    *segs = NULL;
    *u = (struct uio){.count = 0};
    if (count > UIO_SEGS_MAX)
        return -EINVAL;
    if (count == 0)
        return 0;
    struct uio_seg *v = kmalloc(count * sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    int r = copy_from_user(v, iov, count * sizeof(*v));
    for (uint64_t i = 0; r == 0 && i < count; i++) {
        if ((int64_t)v[i].size < 0)
            r = -EINVAL;
        else if (!far && !user_range(uptr(v[i].base), v[i].size))
            r = -EFAULT;
        else
            v[i].size = MIN(v[i].size, UIO_TOTAL_MAX - u->left);
        u->left += r == 0 ? v[i].size : 0;
    }
    if (r < 0) {
        kfree(v);
        return r;
    }
    u->segs = v;
    u->count = (unsigned)count;
    *segs = v;
    return 0;
}

int uio_user_vec(struct uio *u, struct uio_seg **segs, uptr_t iov,
                 uint64_t count)
{
    return uio_vec(u, segs, iov, count, false);
}

int uio_far_vec(struct uio *u, struct uio_seg **segs, uptr_t iov,
                uint64_t count)
{
    return uio_vec(u, segs, iov, count, true);
}

enum uio_dir { UIO_PUT, UIO_GET, UIO_ZERO };

static int uio_part(struct uio *u, enum uio_dir dir, char *mem, uint64_t n)
{
    uint64_t base = u->segs->base;
    if (u->kernel) {
        void *p = (void *)(uintptr_t)base;
        if (dir == UIO_PUT)
            memcpy(p, mem, n);
        else if (dir == UIO_GET)
            memcpy(mem, p, n);
        else
            memset(p, 0, n);
        return 0;
    }
    if (dir == UIO_PUT)
        return copy_to_user(uptr(base), mem, n);
    if (dir == UIO_GET)
        return copy_from_user(mem, uptr(base), n);
    return clear_user(uptr(base), n);
}

static int64_t uio_move(struct uio *u, enum uio_dir dir, char *mem, uint64_t n)
{
    uint64_t done = 0;
    n = MIN(n, u->left);
    while (done < n) {
        if (u->segs->size == 0) {
            u->segs++;
            u->count--;
            continue;
        }
        uint64_t part = MIN(n - done, u->segs->size);
        if (uio_part(u, dir, mem != NULL ? mem + done : NULL, part) < 0)
            return done > 0 ? (int64_t)done : -EFAULT;
        u->segs->base += part;
        u->segs->size -= part;
        u->left -= part;
        done += part;
    }
    return (int64_t)done;
}

int64_t uio_put(struct uio *u, const void *from, uint64_t n)
{
    return uio_move(u, UIO_PUT, (char *)(uintptr_t)from, n);
}

int64_t uio_get(struct uio *u, void *to, uint64_t n)
{
    return uio_move(u, UIO_GET, to, n);
}

int64_t uio_zero(struct uio *u, uint64_t n)
{
    return uio_move(u, UIO_ZERO, NULL, n);
}
