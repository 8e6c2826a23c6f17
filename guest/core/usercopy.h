// SPDX-License-Identifier: Apache-2.0
/*
 * The only ways to touch a program's memory (of the current task). They may
 * fault, sleep and allocate. Return 0 or -EFAULT.
 */
#pragma once

#include "guest/core/types.h"

bool user_range(uptr_t at, uint64_t n); /* all of it is the program's half */
int copy_from_user(void *to, uptr_t from, size_t n);
int copy_to_user(uptr_t to, const void *from, size_t n);
int clear_user(uptr_t to, size_t n);

/* String of at most max - 1 bytes, NUL-terminated in `to`. Returns its length,
 * -EFAULT, or -ENAMETOOLONG. */
int64_t strncpy_from_user(char *to, uptr_t from, size_t max);

/* Atomic access to an aligned 32-bit word (futex). get: 0 or -EFAULT;
 * cmpxchg: *old gets what was there. */
int user_load32(uptr_t at, uint32_t *out);
int user_cmpxchg32(uptr_t at, uint32_t expect, uint32_t desired, uint32_t *old);

static inline int get_user_u64(uint64_t *to, uptr_t from)
{
    return copy_from_user(to, from, sizeof(*to));
}

static inline int put_user_u64(uptr_t to, uint64_t v)
{
    return copy_to_user(to, &v, sizeof(v));
}

static inline int put_user_u32(uptr_t to, uint32_t v)
{
    return copy_to_user(to, &v, sizeof(v));
}
