// SPDX-License-Identifier: Apache-2.0
/* What guest/vdso/clock.c needs of the processor. Code of programs. */
#pragma once

#include <arch_nr.h>

#include "guest/core/types.h"

#define VDSO_NAME(name) __kernel_##name /* vdso(7), ARM64 */
#define VDSO_ALIAS(name)

/* Not before what was read earlier, so that time never seems to go back. */
static inline uint64_t vdso_counter(void)
{
    uint64_t v;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v)::"memory");
    return v;
}

static inline int64_t vdso_syscall3(uint64_t nr, uint64_t a, uint64_t b,
                                    uint64_t c)
{
    register uint64_t x8 __asm__("x8") = nr;
    register uint64_t x0 __asm__("x0") = a;
    register uint64_t x1 __asm__("x1") = b;
    register uint64_t x2 __asm__("x2") = c;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2)
                     : "memory");
    return (int64_t)x0;
}
