// SPDX-License-Identifier: Apache-2.0
/* A process with an empty address space and real page faults, for the tests of
 * core memory code. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/mman.h"
#include "abi/linux/proc.h"
#include "abi/linux/signal.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/aspace.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/vma.h"
#include "guest/sys/calls_mm.h"

#define PG     PAGE_SIZE
#define R      LX_PROT_READ
#define W      LX_PROT_WRITE
#define X      LX_PROT_EXEC
#define ANON   (LX_MAP_PRIVATE | LX_MAP_ANONYMOUS)
#define FIX    (ANON | LX_MAP_FIXED)
#define SHANON (LX_MAP_SHARED | LX_MAP_ANONYMOUS)
/* Where the host has nothing: a buffer of the test is never inside. */
#define TOP             UINT64_C(0x1000000000)
#define CALL(name, ...) sys_##name((const uint64_t[6]){__VA_ARGS__})

static inline struct aspace *as_now(void)
{
    return current()->proc->aspace;
}

static inline struct aspace *env_aspace(void)
{
    struct aspace *as = aspace_new();
    assert_non_null(as);
    as->mmap_top = TOP;
    as->stack_top = TOP + (UINT64_C(1) << 30);
    as->brk_start = as->brk = UINT64_C(0x10000000);
    return as;
}

static inline int env_setup(void **state)
{
    (void)state;
    fake_init(64u << 20);
    fake_paging(1);
    struct process *p = current()->proc;
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        p->rlimits[i] = (struct lx_rlimit64){UINT64_MAX, UINT64_MAX};
    p->rlimits[LX_RLIMIT_STACK].cur = 8u << 20;
    p->thread_count = 1;
    p->aspace = env_aspace();
    return 0;
}

static inline uint64_t free_now(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.free;
}

/* The signal of an access, 0 if it is fine. */
static inline int signo_of(uint64_t at, enum fault_access access)
{
    int signo = 0, code = 0;
    return aspace_fault(at, access, &signo, &code) < 0 ? signo : 0;
}

/* Byte at `at`, or -1 where a program would get a signal. */
static inline int peek(uint64_t at)
{
    unsigned char c;
    /* The fake takes what is in no region for memory of the test. */
    if (signo_of(at, FAULT_READ) != 0)
        return -1;
    return copy_from_user(&c, uptr(at), 1) < 0 ? -1 : c;
}

static inline int poke(uint64_t at, unsigned char c)
{
    if (signo_of(at, FAULT_WRITE) != 0)
        return -EFAULT;
    return copy_to_user(uptr(at), &c, 1);
}

static inline uint64_t map_at(uint64_t at, uint64_t pages, uint32_t prot)
{
    int64_t r = aspace_map(as_now(), at, pages * PG, prot, FIX, NULL, 0);
    assert_int_equal(r, at);
    return at;
}

static inline uint64_t map_any(uint64_t size, uint32_t prot)
{
    int64_t r = aspace_map(as_now(), 0, size, prot, ANON, NULL, 0);
    assert_true(r > 0);
    return (uint64_t)r;
}

static inline void unmap(uint64_t at, uint64_t size)
{
    assert_int_equal(aspace_unmap(as_now(), at, size), 0);
}

/* Sorted, apart, merged where possible, and what is counted is there. */
static inline void check_regions(const struct aspace *as)
{
    uint64_t mapped = 0;
    for (unsigned i = 0; i < as->vma_count; i++) {
        const struct vma *v = vma_get(as, i);
        assert_true(v->start < v->end);
        assert_int_equal((v->start | v->end) & PAGE_MASK, 0);
        assert_ptr_equal(v->as, as);
        mapped += v->end - v->start;
        if (i == 0)
            continue;
        const struct vma *b = vma_get(as, i - 1);
        assert_true(b->end <= v->start);
        if (b->end == v->start && b->file == NULL && v->file == NULL)
            assert_true(b->prot != v->prot || b->flags != v->flags);
    }
    assert_int_equal(mapped, as->mapped);
}
