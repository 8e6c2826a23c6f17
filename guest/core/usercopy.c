// SPDX-License-Identifier: Apache-2.0
#include "guest/core/usercopy.h"

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"

bool user_range(uptr_t at, uint64_t n)
{
    return at.v <= USER_END && n <= USER_END - at.v;
}

int copy_from_user(void *to, uptr_t from, size_t n)
{
    if (n == 0)
        return 0;
    if (!user_range(from, n))
        return -EFAULT;
    return arch_copy_user(to, (const void *)(uintptr_t)from.v, n) == 0
               ? 0
               : -EFAULT;
}

int copy_to_user(uptr_t to, const void *from, size_t n)
{
    if (n == 0)
        return 0;
    if (!user_range(to, n))
        return -EFAULT;
    return arch_copy_user((void *)(uintptr_t)to.v, from, n) == 0 ? 0 : -EFAULT;
}

int clear_user(uptr_t to, size_t n)
{
    static const char zeros[512];
    if (!user_range(to, n))
        return n == 0 ? 0 : -EFAULT;
    while (n > 0) {
        size_t part = MIN(n, sizeof(zeros));
        if (copy_to_user(to, zeros, part) < 0)
            return -EFAULT;
        to.v += part;
        n -= part;
    }
    return 0;
}

int64_t strncpy_from_user(char *to, uptr_t from, size_t max)
{
    size_t used = 0;
    while (used < max) {
        if (!user_range(from, 1))
            return -EFAULT;
        /* Never across a page: the next one may not be there. */
        size_t part = MIN(PAGE_SIZE - (from.v & PAGE_MASK), max - used);
        part = MIN(part, 256);
        size_t left =
            arch_copy_user(to + used, (const void *)(uintptr_t)from.v, part);
        size_t got = part - left;
        for (size_t i = 0; i < got; i++)
            if (to[used + i] == '\0')
                return (int64_t)(used + i);
        if (left != 0)
            return -EFAULT;
        used += got;
        from.v += got;
    }
    return -ENAMETOOLONG;
}

int user_load32(uptr_t at, uint32_t *out)
{
    if (!user_range(at, 4))
        return -EFAULT;
    return arch_user_load32(at.v, out);
}

int user_cmpxchg32(uptr_t at, uint32_t expect, uint32_t desired, uint32_t *old)
{
    if (!user_range(at, 4))
        return -EFAULT;
    return arch_user_cmpxchg32(at.v, expect, desired, old);
}
