// SPDX-License-Identifier: Apache-2.0
/* A stock Linux as the guest on arm64: what is taken as a kernel, and what it
 * finds. */
#include <arch_layout.h>
#include <libfdt.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/arch/arch.h"

#define MIB (UINT64_C(1) << 20)

/* Documentation/arch/arm64/booting.rst, section 4. */
struct header {
    uint32_t code[2];
    uint64_t text_offset, image_size, flags, reserved[3];
    uint32_t magic, reserved5;
};

static struct gmem mem;
static int file = -1;

static int setup(void **state)
{
    struct err e;
    (void)state;
    file = memfd_create("Image", MFD_CLOEXEC);
    return file < 0 ? -1 : gmem_init(&mem, 64 * MIB, &e);
}

static int teardown(void **state)
{
    (void)state;
    gmem_fini(&mem);
    return close(file);
}

static struct header header(void)
{
    return (struct header){.image_size = 8 * MIB, .magic = 0x644d5241};
}

static int load(const struct header *h, struct arch_linux *out, struct err *e)
{
    assert_int_equal(ftruncate(file, 4096), 0);
    assert_int_equal(pwrite(file, h, sizeof(*h), 0), sizeof(*h));
    return arch_linux_load(file, &mem, out, e);
}

static void image_finds_its_device_tree(void **state)
{
    (void)state;
    struct arch_linux k;
    struct arch_entry entry;
    struct err e = {0};
    const struct header h = header();
    const struct arch_vm vm = {.cpus = 2, .gic = 3, .stock = true};
    const struct arch_linux_plan plan = {
        .vm = &vm,
        .mem = &mem,
        .cmdline = "a=b",
        .initrd = {BOARD_RAM_BASE + 32 * MIB, 4096}};
    assert_int_equal(load(&h, &k, &e), 0);
    assert_int_equal(k.entry, BOARD_RAM_BASE);
    assert_true(k.end >= BOARD_RAM_BASE + 8 * MIB);
    assert_int_equal(arch_linux_boot(&k, &plan, &entry, &e), 0);
    assert_int_equal(entry.pc, BOARD_RAM_BASE);
    assert_true(entry.info % 8 == 0 && entry.info >= k.entry + 8 * MIB);
    const void *fdt = gmem_at(&mem, gpa(entry.info), 32768);
    assert_int_equal(fdt_check_header(fdt), 0);
    int chosen = fdt_path_offset(fdt, "/chosen");
    assert_string_equal(fdt_getprop(fdt, chosen, "bootargs", NULL), "a=b");
    assert_non_null(fdt_getprop(fdt, chosen, "linux,initrd-end", NULL));
    assert_true(fdt_path_offset(fdt, "/psci") > 0);
}

static void bad_images_are_refused(void **state)
{
    (void)state;
    struct {
        struct header h;
        const char *needle;
    } bad[] = {{header(), "Image"},
               {header(), "big-endian"},
               {header(), "text offset"},
               {header(), "-m"},
               {header(), "-m"}};
    bad[0].h.magic = 0;
    bad[1].h.flags = 1;
    bad[2].h.text_offset = 2 * MIB;
    bad[3].h.image_size = UINT64_MAX;
    bad[4].h.image_size = 64 * MIB + 1;
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        struct arch_linux k;
        struct err e = {0};
        assert_true(load(&bad[i].h, &k, &e) < 0);
        assert_non_null(strstr(e.msg, bad[i].needle));
    }
    struct arch_linux k;
    struct err e = {0};
    assert_int_equal(ftruncate(file, 10), 0);
    assert_int_equal(arch_linux_load(file, &mem, &k, &e), -ENOEXEC);
}

#define IMAGE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(image_finds_its_device_tree),
        IMAGE_TEST(bad_images_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
