// SPDX-License-Identifier: Apache-2.0
/* Physical pages: order of use, zeros, counts, blocks, and a random model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/boot.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/frame.h"
#include "guest/core/page.h"

#define RAM (32u << 20)

static int setup(void **state)
{
    (void)state;
    fake_init(RAM);
    return 0;
}

static uint64_t free_now(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.free;
}

static bool all_zero(paddr_t pa, size_t size)
{
    const char *p = page_virt(pa);
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void test_one_block_before_the_next(void **state)
{
    (void)state;
    paddr_t first = page_alloc(0, 0);
    assert_int_not_equal(first, 0);
    unsigned inside = 0;
    for (unsigned i = 0; i < 200; i++) {
        paddr_t pa = page_alloc(0, 0);
        assert_int_equal(pa & PAGE_MASK, 0);
        inside += pa / HUGE_SIZE == first / HUGE_SIZE;
    }
    /* What was left of the first block, then the following. */
    assert_true(inside >= 100);
}

static void test_used_pages_come_back_first(void **state)
{
    (void)state;
    paddr_t a = page_alloc(0, 0);
    page_put(a);
    assert_int_equal(page_alloc(0, 0), a);
}

static void test_zeros(void **state)
{
    (void)state;
    paddr_t a = page_alloc(0, PAGE_ZERO);
    assert_true(all_zero(a, PAGE_SIZE));
    memset(page_virt(a), 0xaa, PAGE_SIZE);
    page_put(a);
    paddr_t b = page_alloc(0, PAGE_ZERO);
    assert_int_equal(a, b); /* the used one again: cleared */
    assert_true(all_zero(b, PAGE_SIZE));
    paddr_t huge = page_alloc(9, PAGE_ZERO);
    memset(page_virt(huge), 0xaa, HUGE_SIZE);
    page_put(huge);
    huge = page_alloc(9, PAGE_ZERO);
    assert_true(all_zero(huge, HUGE_SIZE));
}

static void test_references(void **state)
{
    (void)state;
    uint64_t before = free_now();
    paddr_t a = page_alloc(3, 0);
    assert_int_equal(a & (8 * PAGE_SIZE - 1), 0);
    assert_int_equal(free_now(), before - 8);
    page_get(a);
    assert_int_equal(page_refs(a), 2);
    page_put(a);
    assert_int_equal(free_now(), before - 8);
    page_put(a);
    assert_int_equal(free_now(), before);
}

static void test_outside_ram_is_ignored(void **state)
{
    (void)state;
    uint64_t before = free_now();
    page_get(UINT64_C(1) << 40);
    page_put(UINT64_C(1) << 40);
    page_put_huge(UINT64_C(1) << 40);
    assert_int_equal(page_refs(UINT64_C(1) << 40), 1);
    assert_false(page_is_anon(UINT64_C(1) << 40));
    assert_int_equal(free_now(), before);
}

static void test_reserve_is_for_the_kernel(void **state)
{
    (void)state;
    while (page_alloc(0, 0) != 0)
        ;
    uint64_t left = free_now();
    assert_true(left > 0);
    for (uint64_t i = 0; i < left; i++)
        assert_int_not_equal(page_alloc(0, PAGE_KERNEL), 0);
    assert_int_equal(page_alloc(0, PAGE_KERNEL), 0);
    assert_int_equal(free_now(), 0);
}

static void test_all_of_it_becomes_blocks_again(void **state)
{
    (void)state;
    static paddr_t all[RAM / 4096];
    size_t n = 0, huge = 0;
    while ((all[n] = page_alloc(0, PAGE_KERNEL)) != 0)
        n++;
    for (size_t i = 0; i < n; i++)
        page_put(all[i]);
    assert_int_equal(free_now(), n);
    while (page_alloc(9, PAGE_KERNEL) != 0)
        huge++;
    /* All but what is beside the kernel and the frame table. */
    assert_true(huge >= RAM / HUGE_SIZE - 3);
}

static void test_tables_stay_tables(void **state)
{
    (void)state;
    paddr_t t = page_table_alloc();
    paddr_t pair = page_table_alloc_pair();
    assert_true(all_zero(t, PAGE_SIZE));
    assert_true(all_zero(pair, 2 * PAGE_SIZE));
    assert_int_equal(pair & (2 * PAGE_SIZE - 1), 0);
    uint64_t before = free_now();
    page_table_free(t);
    page_table_free_pair(pair);
    assert_int_equal(free_now(), before);
    paddr_t page = page_alloc(0, 0);
    assert_int_not_equal(page, t);
    assert_int_equal(page_table_alloc(), t);
    assert_int_equal(page_table_alloc_pair(), pair);
    assert_true(all_zero(t, PAGE_SIZE));
    assert_true(all_zero(pair, 2 * PAGE_SIZE));
}

/* No block holds both page tables and anything else (shadow paging); here
 * blocks are a 64th of RAM or less, with more RAM 2 MiB. */
static void test_tables_lie_together(void **state)
{
    (void)state;
    enum { BLOCK = 64 * PAGE_SIZE };
    static char kind[RAM / BLOCK];
    for (unsigned i = 0; i < 2000; i++) {
        paddr_t t = i % 50 == 0 ? page_table_alloc_pair() : page_table_alloc();
        paddr_t p = page_alloc(0, 0);
        assert_true(t != 0 && p != 0);
        assert_true(all_zero(t, PAGE_SIZE));
        assert_int_not_equal(kind[t / BLOCK], 'p');
        assert_int_not_equal(kind[p / BLOCK], 't');
        kind[t / BLOCK] = 't';
        kind[p / BLOCK] = 'p';
    }
    /* Without blocks there are still single pages. */
    static paddr_t all[RAM / PAGE_SIZE];
    unsigned n = 0;
    while ((all[n] = page_alloc(0, 0)) != 0)
        n++;
    for (unsigned i = 0; i < n; i += 2)
        page_put(all[i]);
    for (unsigned i = 0; i < n; i += 2)
        assert_int_not_equal(page_table_alloc(), 0);
}

static void test_split_block(void **state)
{
    (void)state;
    uint64_t before = free_now();
    paddr_t pa = page_alloc(9, 0);
    page_set_anon(pa);
    assert_false(page_huge_shared(pa));
    page_get_huge(pa); /* a second mapping of the whole */
    assert_true(page_huge_shared(pa));
    page_split(pa); /* the first now maps page by page */
    assert_int_equal(page_refs(pa + 5 * PAGE_SIZE), 2);
    assert_true(page_is_anon(pa + 5 * PAGE_SIZE));
    page_put(pa + 5 * PAGE_SIZE);
    page_put_huge(pa); /* the second goes: page 5 has no user left */
    assert_int_equal(free_now(), before - 511);
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        if (i != 5)
            page_put(pa + i * PAGE_SIZE);
    assert_int_equal(free_now(), before);
    assert_int_equal(page_alloc(9, 0), pa); /* one block again */
}

/* Blocks of random orders never overlap and are all given back. */
static void test_random(void **state)
{
    (void)state;
    static struct block {
        paddr_t pa;
        unsigned order;
    } held[512];
    static unsigned char used[RAM / 4096];
    uint64_t before = free_now();
    memset(held, 0, sizeof(held));
    memset(used, 0, sizeof(used));
    srand(7);
    for (unsigned step = 0; step < 20000; step++) {
        struct block *b = &held[rand() % 512];
        uint64_t first = b->pa >> PAGE_SHIFT;
        if (b->pa != 0) {
            memset(used + first, 0, (size_t)1 << b->order);
            page_put(b->pa);
            b->pa = 0;
            continue;
        }
        b->order = (unsigned)rand() % 6;
        b->pa = page_alloc(b->order, 0);
        first = b->pa >> PAGE_SHIFT;
        assert_int_equal(first & ((1u << b->order) - 1), 0);
        for (unsigned i = 0; b->pa != 0 && i < 1u << b->order; i++) {
            assert_int_equal(used[first + i], 0);
            used[first + i] = 1;
        }
    }
    for (unsigned i = 0; i < 512; i++)
        if (held[i].pa != 0)
            page_put(held[i].pa);
    assert_int_equal(free_now(), before);
}

/* RAM below and above a hole. */
static void test_two_ranges(void **state)
{
    (void)state;
    struct boot_info bi = {
        .ram = {{0, 8u << 20}, {16u << 20, 16u << 20}},
        .low_end = 0x100000,
        .small_end = 0x600000,
    };
    page_init(&bi);
    unsigned high = 0;
    for (paddr_t pa; (pa = page_alloc(0, PAGE_KERNEL)) != 0;) {
        assert_true(pa < 8u << 20 || pa >= 16u << 20);
        assert_int_equal(frame_paddr(frame_at(pa)), pa);
        high += pa >= 16u << 20;
    }
    assert_int_equal(high, (16u << 20) / PAGE_SIZE);
    assert_null(frame_at(12u << 20));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_one_block_before_the_next),
        T(test_used_pages_come_back_first),
        T(test_zeros),
        T(test_references),
        T(test_outside_ram_is_ignored),
        T(test_reserve_is_for_the_kernel),
        T(test_all_of_it_becomes_blocks_again),
        T(test_tables_stay_tables),
        T(test_tables_lie_together),
        T(test_split_block),
        T(test_random),
        T(test_two_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
