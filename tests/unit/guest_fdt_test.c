// SPDX-License-Identifier: Apache-2.0
/* The reader of the device tree against trees made with libfdt, and against
 * damaged ones. */
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/core/fdt.h"

static char tree[4096];

static void node(const char *name, const char *key, const void *value, int size)
{
    assert_int_equal(fdt_begin_node(tree, name), 0);
    assert_int_equal(fdt_property(tree, key, value, size), 0);
}

static size_t make(void)
{
    assert_int_equal(fdt_create(tree, sizeof(tree)), 0);
    assert_int_equal(fdt_finish_reservemap(tree), 0);
    node("", "compatible", "board", 6);
    node("cpus", "x", "", 0);
    node("cpu@0", "device_type", "cpu", 4);
    assert_int_equal(fdt_property_u32(tree, "reg", 7), 0);
    assert_int_equal(fdt_end_node(tree), 0);
    assert_int_equal(fdt_end_node(tree), 0);
    node("psci", "compatible", "arm,psci-1.0\0arm,psci-0.2", 26);
    assert_int_equal(fdt_end_node(tree), 0);
    node("virtio@1", "compatible", "virtio,mmio", 12);
    assert_int_equal(fdt_property_u64(tree, "reg", UINT64_C(0x123456789a)), 0);
    assert_int_equal(fdt_end_node(tree), 0);
    node("virtio@2", "compatible", "virtio,mmio", 12);
    assert_int_equal(fdt_end_node(tree), 0);
    assert_int_equal(fdt_end_node(tree), 0);
    assert_int_equal(fdt_finish(tree), 0);
    return fdt_totalsize(tree);
}

static void finds_nodes(void **state)
{
    struct fdt_node n = {0};
    uint32_t size;
    (void)state;
    assert_int_equal(fdt_init(tree, make()), 0);
    assert_true(fdt_next_compatible(&n, "arm,psci-0.2"));
    assert_false(fdt_next_compatible(&n, "arm,psci-0.2"));
    n.off = 0;
    assert_false(fdt_next_compatible(&n, "arm,psci"));
    assert_true(fdt_next_compatible(&n, "virtio,mmio"));
    const void *reg = fdt_prop(&n, "reg", &size);
    assert_non_null(reg);
    assert_int_equal(size, 8);
    assert_int_equal(fdt_cell2(reg, 0), UINT64_C(0x123456789a));
    assert_true(fdt_next_compatible(&n, "virtio,mmio"));
    assert_null(fdt_prop(&n, "reg", &size));
    assert_false(fdt_next_compatible(&n, "virtio,mmio"));
}

static void walks_properties(void **state)
{
    struct fdt_walk w = {0};
    struct fdt_value v;
    struct fdt_node cpu = {0};
    unsigned count = 0;
    uint32_t size;
    (void)state;
    assert_int_equal(fdt_init(tree, make()), 0);
    for (; fdt_walk(&w, &v); count++)
        if (strcmp(v.name, "device_type") == 0 && fdt_has(&v, "cpu"))
            cpu = w.node;
    assert_int_equal(count, 8);
    assert_int_not_equal(cpu.off, 0);
    assert_int_equal(fdt_cell(fdt_prop(&cpu, "reg", &size), 0), 7);
}

/* Lists that do not end, or are empty. */
static void lists_are_bounded(void **state)
{
    uint32_t off = 0;
    (void)state;
    assert_false(fdt_has(&(struct fdt_value){"x", "ab", 2}, "ab"));
    assert_false(fdt_has(&(struct fdt_value){"x", "", 0}, ""));
    assert_true(fdt_has(&(struct fdt_value){"x", "a\0b", 4}, "b"));
    assert_null(fdt_list_next(&(struct fdt_value){"x", "ab", 2}, &off));
}

/* Any cut, and any damaged byte: no read outside of an exact copy. */
static void survives_damage(void **state)
{
    size_t size = make();
    (void)state;
    for (size_t i = 0; i < 2 * size; i++) {
        size_t cut = i < size ? i : size;
        char *copy = malloc(cut + 1);
        struct fdt_walk w = {0};
        struct fdt_value v;
        assert_non_null(copy);
        memcpy(copy, tree, cut);
        if (i >= size)
            copy[i - size] = (char)(copy[i - size] ^ 0x5a);
        if (fdt_init(copy, cut) == 0)
            while (fdt_walk(&w, &v))
                (void)fdt_has(&v, "virtio,mmio");
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nodes),
        cmocka_unit_test(walks_properties),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
