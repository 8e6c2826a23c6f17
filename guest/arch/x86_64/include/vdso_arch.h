// SPDX-License-Identifier: Apache-2.0
/* What guest/vdso/clock.c needs of the processor. Code of programs. */
#pragma once

#include <arch_nr.h>

#include "guest/core/types.h"

#define VDSO_NAME(name) __vdso_##name /* vdso(7), x86-64; and without */
#define VDSO_ALIAS(name)                                                       \
    extern __typeof__(__vdso_##name) name                                      \
        __attribute__((weak, alias("__vdso_" #name)));

/* Not before what was read earlier, so that time never seems to go back. */
static inline uint64_t vdso_counter(void)
{
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return lo | (uint64_t)hi << 32;
}

static inline int64_t vdso_syscall3(uint64_t nr, uint64_t a, uint64_t b,
                                    uint64_t c)
{
    int64_t r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}
