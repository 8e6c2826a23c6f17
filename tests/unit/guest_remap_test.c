// SPDX-License-Identifier: Apache-2.0
/* mremap, madvise, mincore, mlock, msync; through the system calls. */
#include "guest/core/pgtable.h"
#include "tests/unit/guest_mm_env.h"

#define BASE     UINT64_C(0x40000000)
#define MAYMOVE  1
#define FIXED    2
#define DONTNEED 4

static void fill(uint64_t at, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        assert_int_equal(poke(at + i * PG, (unsigned char)(i + 1)), 0);
}

static void check(uint64_t at, unsigned from, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        assert_int_equal(peek(at + i * PG), from + i + 1);
}

static void test_shrink_and_grow(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 4, R | W);
    fill(a, 4);
    assert_int_equal(CALL(mremap, a, 4 * PG, 2 * PG, 0), a);
    assert_int_equal(peek(a + 2 * PG), -1);
    assert_int_equal(CALL(mremap, a, 2 * PG, 6 * PG, 0), a);
    check(a, 0, 2);
    assert_int_equal(peek(a + 2 * PG), 0);
    map_at(a + 6 * PG, 1, R);
    assert_int_equal(CALL(mremap, a, 6 * PG, 8 * PG, 0), -ENOMEM);
    check(a, 0, 2);
    check_regions(as_now());
}

static void test_move(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 6, R | W);
    fill(a, 6);
    map_at(a + 6 * PG, 1, R);
    int64_t b = CALL(mremap, a + PG, 5 * PG, 9 * PG, MAYMOVE);
    assert_true(b > 0 && (uint64_t)b != a + PG);
    check((uint64_t)b, 1, 5);
    assert_int_equal(peek((uint64_t)b + 8 * PG), 0);
    assert_int_equal(peek(a), 1);
    assert_int_equal(peek(a + PG), -1);
    assert_int_equal(as_now()->rss_anon, 7);
    check_regions(as_now());
}

static void test_fixed(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 4, R | W);
    uint64_t b = map_at(BASE + 64 * PG, 4, R | W);
    fill(a, 4);
    fill(b, 4);
    assert_int_equal(CALL(mremap, a, 2 * PG, 2 * PG, MAYMOVE | FIXED, b + PG),
                     b + PG);
    assert_int_equal(peek(b), 1);
    check(b + PG, 0, 2);
    assert_int_equal(peek(b + 3 * PG), 4);
    assert_int_equal(peek(a), -1);
    check(a + 2 * PG, 2, 2);
    check_regions(as_now());
}

static void test_errors(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 4, R | W);
    assert_int_equal(CALL(mremap, a + 1, PG, PG, 0), -EINVAL);
    assert_int_equal(CALL(mremap, a, PG, 0, 0), -EINVAL);
    assert_int_equal(CALL(mremap, a, PG, PG, 8), -EINVAL);
    assert_int_equal(CALL(mremap, a, PG, PG, FIXED, a + 64 * PG), -EINVAL);
    assert_int_equal(CALL(mremap, a, 2 * PG, 2 * PG, 3, a + PG), -EINVAL);
    assert_int_equal(CALL(mremap, a, 8 * PG, 9 * PG, MAYMOVE), -EFAULT);
    assert_int_equal(CALL(mremap, a + 64 * PG, PG, 2 * PG, MAYMOVE), -EFAULT);
    assert_int_equal(CALL(mremap, a, PG, UINT64_MAX - PG, MAYMOVE), -EINVAL);
    current()->proc->rlimits[LX_RLIMIT_AS].cur = 6 * PG;
    assert_int_equal(CALL(mremap, a, 4 * PG, 8 * PG, MAYMOVE), -ENOMEM);
}

/* Huge pages move as they are, or are cut where the offset does not fit. */
static void test_move_huge(void **state)
{
    (void)state;
    uint64_t size = 3 * HUGE_SIZE;
    for (unsigned shift = 0; shift < 2; shift++) {
        uint64_t to = UINT64_C(0x80000000) + shift * PG;
        uint64_t a = map_at(BASE, size / PG, R | W);
        uint64_t b = a + HUGE_SIZE;
        unsigned level = 9;
        assert_int_equal(CALL(madvise, a, size, 14), 0); /* HUGEPAGE */
        for (uint64_t i = 0; i < size; i += PG)
            assert_int_equal(poke(a + i, (unsigned char)(i / PG % 251)), 0);
        assert_non_null(pt_find(as_now(), b, &level));
        assert_int_equal(level, 1);
        assert_int_equal(CALL(mremap, a, size, size, 3, to), to);
        for (uint64_t i = 0; i < size; i += PG)
            assert_int_equal(peek(to + i), i / PG % 251);
        assert_non_null(pt_find(as_now(), to + HUGE_SIZE, &level));
        assert_int_equal(level, shift == 0 ? 1 : 0);
        assert_int_equal(peek(a), -1);
        unmap(to, size);
        assert_int_equal(as_now()->rss_anon, 0);
    }
}

static void test_dontneed(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 6, R | W);
    fill(a, 6);
    uint64_t before = free_now();
    assert_int_equal(CALL(madvise, a + PG, 2 * PG, DONTNEED), 0);
    assert_int_equal(free_now(), before + 2);
    assert_int_equal(peek(a), 1);
    assert_int_equal(peek(a + PG), 0);
    assert_int_equal(peek(a + 3 * PG), 4);
    assert_int_equal(as_now()->vma_count, 1);
    assert_int_equal(CALL(madvise, a, 6 * PG, 8), 0); /* FREE */
    assert_int_equal(peek(a), 0);
    unmap(a + 2 * PG, PG);
    fill(a, 2);
    assert_int_equal(CALL(madvise, a, 6 * PG, DONTNEED), -ENOMEM);
    assert_int_equal(peek(a), 0); /* but done where there is something */
    assert_int_equal(CALL(madvise, a, PG, 77), -EINVAL);
    assert_int_equal(CALL(madvise, a + 1, PG, DONTNEED), -EINVAL);
    assert_int_equal(CALL(madvise, a, 0, DONTNEED), 0);
}

static void test_fork_advice(void **state)
{
    (void)state;
    uint64_t a = map_at(BASE, 3, R | W);
    fill(a, 3);
    assert_int_equal(CALL(madvise, a, PG, 10), 0);      /* DONTFORK */
    assert_int_equal(CALL(madvise, a + PG, PG, 18), 0); /* WIPEONFORK */
    assert_int_equal(as_now()->vma_count, 3);
    struct aspace *child = aspace_new();
    assert_int_equal(aspace_fork(child, as_now()), 0);
    struct aspace *parent = as_now();
    current()->proc->aspace = child;
    assert_int_equal(peek(a), -1);
    assert_int_equal(peek(a + PG), 0);
    assert_int_equal(peek(a + 2 * PG), 3);
    current()->proc->aspace = parent;
    aspace_put(child);
    check(a, 0, 3);
    assert_int_equal(CALL(madvise, a, PG, 11), 0);
    assert_int_equal(CALL(madvise, a + PG, PG, 19), 0);
    assert_int_equal(as_now()->vma_count, 1);
}

static void test_populate(void **state)
{
    (void)state;
    int64_t r = CALL(mmap, 0, 20 * PG, R | W, ANON | LX_MAP_POPULATE, ~0u, 0);
    assert_true(r > 0);
    assert_int_equal(as_now()->rss_anon, 20);
    uint64_t a = map_at(BASE, 4, R | W);
    assert_int_equal(CALL(madvise, a, 4 * PG, 23), 0);
    assert_int_equal(as_now()->rss_anon, 24);
    assert_int_equal(CALL(madvise, a, 5 * PG, 22), -ENOMEM);
    assert_int_equal(aspace_protect(as_now(), a, PG, R), 0);
    assert_int_equal(CALL(madvise, a, PG, 23), -EINVAL);
    map_at(a + 8 * PG, 2, R | W);
    assert_int_equal(CALL(mlock, a + 8 * PG + 5, PG), 0);
    assert_int_equal(as_now()->rss_anon, 26);
    assert_int_equal(CALL(mlock, a + 9 * PG, 2 * PG), -ENOMEM);
    assert_int_equal(CALL(mlock, a, UINT64_MAX), 0); /* rounds to nothing */
    assert_int_equal(CALL(munlock, a, 4 * PG), 0);
    assert_int_equal(CALL(mlockall, 0), -EINVAL);
    assert_int_equal(CALL(mlockall, 3), 0);
}

static void test_mincore_msync(void **state)
{
    (void)state;
    unsigned char v[4] = {9, 9, 9, 9};
    uint64_t a = map_at(BASE, 4, R | W);
    fill(a, 1);
    poke(a + 2 * PG, 1);
    assert_int_equal(CALL(mincore, a, 4 * PG, (uintptr_t)v), 0);
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], 0);
    assert_int_equal(v[2], 1);
    assert_int_equal(CALL(mincore, a, 5 * PG, (uintptr_t)v), -ENOMEM);
    assert_int_equal(CALL(mincore, a + 1, PG, (uintptr_t)v), -EINVAL);
    assert_int_equal(CALL(msync, a, 4 * PG, 4), 0);
    assert_int_equal(CALL(msync, a, 4 * PG, 5), -EINVAL);
    assert_int_equal(CALL(msync, a, 5 * PG, 4), -ENOMEM);
}

static void test_mmap_arguments(void **state)
{
    (void)state;
    assert_int_equal(CALL(mmap, 0, PG, R, LX_MAP_ANONYMOUS, ~0u, 0), -EINVAL);
    assert_int_equal(CALL(mmap, 0, 0, R, ANON, ~0u, 0), -EINVAL);
    assert_int_equal(CALL(mmap, 0, PG, R, ANON, ~0u, 5), -EINVAL);
    assert_int_equal(CALL(mmap, 0, PG, R, ANON | LX_MAP_HUGETLB, ~0u, 0),
                     -ENOMEM);
    /* The offset of anonymous memory means nothing. */
    assert_true(CALL(mmap, 0, PG, R, ANON, ~0u, PG) > 0);
    assert_int_equal(CALL(brk, 0), as_now()->brk_start);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, env_setup)
    const struct CMUnitTest tests[] = {
        T(test_shrink_and_grow), T(test_move),      T(test_fixed),
        T(test_errors),          T(test_move_huge), T(test_dontneed),
        T(test_fork_advice),     T(test_populate),  T(test_mincore_msync),
        T(test_mmap_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
