// SPDX-License-Identifier: Apache-2.0
/* Guest memory: layout and bounds. */
#include "boards/virt-x86_64/layout.h"

#include "tests/unit/vmm_driver.h"
#include "vmm/gmem.h"

#define MIB (UINT64_C(1) << 20)

static void at_accepts_exactly_the_ram(void **state)
{
    (void)state;
    struct gmem m;
    struct err e;
    assert_int_equal(gmem_init(&m, 16 * MIB, &e), 0);
    assert_ptr_equal(gmem_at(&m, gpa(0), 16 * MIB), m.range[0].host);
    assert_non_null(gmem_at(&m, gpa(16 * MIB - 1), 1));
    assert_null(gmem_at(&m, gpa(16 * MIB - 1), 2));
    assert_null(gmem_at(&m, gpa(16 * MIB), 1));
    assert_null(gmem_at(&m, gpa(1), UINT64_MAX));
    assert_null(gmem_at(&m, gpa(UINT64_MAX), UINT64_MAX));
    gmem_fini(&m);
    gmem_fini(&m);
}

static void memory_above_the_hole_continues(void **state)
{
    (void)state;
    struct gmem m;
    struct err e;
    assert_int_equal(gmem_init(&m, BOARD_LOW_RAM_END + 4 * MIB, &e), 0);
    assert_null(gmem_at(&m, gpa(BOARD_LOW_RAM_END), 1));
    assert_null(gmem_at(&m, gpa(BOARD_LOW_RAM_END - 1), 2));
    assert_null(gmem_at(&m, gpa(BOARD_HIGH_RAM - 1), 2));
    assert_non_null(gmem_at(&m, gpa(BOARD_HIGH_RAM), 4 * MIB));
    assert_null(gmem_at(&m, gpa(BOARD_HIGH_RAM), 4 * MIB + 1));
    gmem_fini(&m);
}

static void host_is_congruent_and_small_part_is_sized(void **state)
{
    (void)state;
    struct gmem m;
    struct err e;
    assert_int_equal(gmem_init(&m, 1024 * MIB, &e), 0);
    assert_int_equal((uintptr_t)m.range[0].host % (2 * MIB), 0);
    assert_int_equal(m.small_end, 8 * MIB);
    gmem_fini(&m);
}

static void copies_refuse_what_leaves_ram(void **state)
{
    (void)state;
    struct gmem m;
    struct err e;
    char buf[8] = "abc";
    assert_int_equal(gmem_init(&m, 16 * MIB, &e), 0);
    assert_true(gmem_write(&m, gpa(100), buf, sizeof(buf)));
    memset(buf, 0, sizeof(buf));
    assert_true(gmem_read(&m, gpa(100), buf, sizeof(buf)));
    assert_string_equal(buf, "abc");
    assert_false(gmem_write(&m, gpa(16 * MIB - 4), buf, sizeof(buf)));
    assert_false(gmem_read(&m, gpa(16 * MIB - 4), buf, sizeof(buf)));
    gmem_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_accepts_exactly_the_ram),
        cmocka_unit_test(memory_above_the_hole_continues),
        cmocka_unit_test(host_is_congruent_and_small_part_is_sized),
        cmocka_unit_test(copies_refuse_what_leaves_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
