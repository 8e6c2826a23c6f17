// SPDX-License-Identifier: Apache-2.0
/* Types and small helpers that every file of the kernel may use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address a program gave us. Not dereferenceable: core/usercopy.h. */
typedef struct {
    uint64_t v;
} uptr_t;

static inline uptr_t uptr(uint64_t v)
{
    return (uptr_t){v};
}

/* Guest-physical address, bytes; 0 is never a usable page. */
typedef uint64_t paddr_t;

/* Kernel time: nanoseconds of CLOCK_MONOTONIC. */
typedef uint64_t nsec_t;
#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_NEVER   UINT64_MAX

#define PAGE_SHIFT 12
#define PAGE_SIZE  UINT64_C(4096)
#define PAGE_MASK  (PAGE_SIZE - 1)
#define HUGE_SIZE  UINT64_C(0x200000)
#define HUGE_PAGES 512

/* First address that no program may use (both architectures). */
#define USER_END UINT64_C(0x00007ffffffff000)

#define ARRAY_COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, to)   (((x) + ((to)-1)) & ~((to)-1))
#define ROUND_DOWN(x, to) ((x) & ~((to)-1))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member)                                        \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
