// SPDX-License-Identifier: Apache-2.0
/* The sparse page index against a flat array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/linux/errno.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/page.h"
#include "guest/core/types.h"
#include "guest/fs/pagetree.h"

static int setup(void **state)
{
    (void)state;
    fake_init(32 << 20);
    return 0;
}

static void test_against_array(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    static uint64_t model[SIZE];
    struct pagetree t = {0, 0};
    srand(1);
    for (unsigned n = 0; n < 20000; n++) {
        uint64_t at = (uint64_t)rand() % (n % 3 == 0 ? 70 : SIZE);
        uint64_t value = n % 4 == 0 ? 0 : n;
        model[at] = value;
        assert_int_equal(pagetree_set(&t, at, value), 0);
        uint64_t from = (uint64_t)rand() % SIZE;
        assert_int_equal(pagetree_get(&t, from), model[from]);
        uint64_t next = from;
        while (next < SIZE && model[next] == 0)
            next++;
        uint64_t got;
        uint64_t index = pagetree_next(&t, from, &got);
        assert_int_equal(index, next < SIZE ? next : UINT64_MAX);
        if (next < SIZE)
            assert_int_equal(got, model[next]);
    }
    pagetree_fini(&t);
    assert_int_equal(pagetree_get(&t, 3), 0);
}

static void test_far_indexes(void **state)
{
    (void)state;
    struct pagetree t = {0, 0};
    uint64_t value;
    const uint64_t far = (UINT64_C(1) << 51) - 1; /* INT64_MAX bytes */
    assert_int_equal(pagetree_set(&t, 0, 7), 0);
    assert_int_equal(pagetree_set(&t, far, 9), 0);
    assert_int_equal(pagetree_get(&t, 0), 7);
    assert_int_equal(pagetree_get(&t, far), 9);
    assert_int_equal(pagetree_next(&t, 1, &value), far);
    assert_int_equal(pagetree_next(&t, far + 1, &value), UINT64_MAX);
    assert_int_equal(pagetree_set(&t, UINT64_MAX, 1), -EFBIG);
    assert_int_equal(pagetree_get(&t, UINT64_MAX), 0);
    pagetree_fini(&t);
}

static void test_gives_all_memory_back(void **state)
{
    (void)state;
    struct page_stats before, after;
    for (unsigned round = 0; round < 3; round++) {
        struct pagetree t = {0, 0};
        if (round == 1)
            page_stats(&before); /* the heap keeps some pages */
        for (uint64_t at = 0; at < 40000; at += 7)
            assert_int_equal(pagetree_set(&t, at * at, at + 1), 0);
        pagetree_fini(&t);
    }
    page_stats(&after);
    assert_int_equal(after.free, before.free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_far_indexes),
        cmocka_unit_test(test_gives_all_memory_back),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
