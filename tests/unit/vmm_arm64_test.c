// SPDX-License-Identifier: Apache-2.0
/* The arm64 machine as data: memory map, device tree, entry. */
#include <arch_layout.h>
#include <libfdt.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/boot.h"

#include "tests/unit/vmm_driver.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"
#include "vmm/window.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const char config_text[] =
    "{\"version\":1,\"memory\":67108864,\"vcpus\":3,\"stdio\":{},"
    "\"containers\":[{\"args\":[\"/bin/sh\"]}]}";

/* The tree of a machine with this GIC and these CPUs and one rng. */
static const void *tree_of(unsigned gic, unsigned cpus)
{
    static struct gmem mem;
    static struct vm_config config;
    static struct loop loop;
    static struct irq_lines irqs;
    static struct virtio_rng rng;
    static struct virtio_mmio t;
    struct bus bus = {.slot = {NULL}};
    struct arch_vm arch = {.gic = gic, .cpus = cpus};
    struct arch_entry entry;
    struct boot_info b;
    struct err e;
    assert_int_equal(
        config_parse(&config, config_text, strlen(config_text), &e), 0);
    assert_int_equal(gmem_init(&mem, 64 * MIB, &e), 0);
    assert_int_equal(loop_init(&loop, &e), 0);
    irqs = (struct irq_lines){.count = 0};
    virtio_rng_init(&rng);
    assert_int_equal(virtio_mmio_init(&t, &rng.vd, &mem, &loop, &irqs, &e), 0);
    assert_int_equal(bus_attach(&bus, 1, &t.window), 0);
    const struct boot_plan plan = {.config = &config,
                                   .arch = &arch,
                                   .mem = &mem,
                                   .devs = &t,
                                   .dev_count = 1};
    assert_int_equal(boot_write(&plan, &entry, &e), 0);
    assert_int_equal(entry.info, BOARD_BOOT_INFO);
    assert_true(gmem_read(&mem, gpa(entry.info), &b, sizeof(b)));
    assert_true(b.magic == BOOT_MAGIC && b.platform == BOOT_PLATFORM_KVM);
    assert_int_equal(b.ram[0].base, BOOT_RAM_BASE);
    assert_true(b.cpu_count == cpus && b.low_end <= BOOT_KERNEL_GPA);
    assert_true(b.root_gpa == 0 && b.vif_gpa == 0);
    const void *fdt = gmem_at(&mem, gpa(b.fdt_gpa), b.fdt_size);
    assert_int_equal(fdt_check_full(fdt, b.fdt_size), 0);
    return fdt;
}

static uint32_t cell(const void *fdt, const char *path, const char *name,
                     int index)
{
    int len;
    int node = fdt_path_offset(fdt, path);
    assert_true(node >= 0);
    const fdt32_t *p = fdt_getprop(fdt, node, name, &len);
    assert_non_null(p);
    assert_true(len >= 4 * (index + 1));
    return fdt32_to_cpu(p[index]);
}

static void tree_with_gic_v3(void **state)
{
    (void)state;
    const void *fdt = tree_of(3, 18);
    int node = fdt_path_offset(fdt, "/intc@8000000");
    assert_int_equal(fdt_node_check_compatible(fdt, node, "arm,gic-v3"), 0);
    assert_int_equal(cell(fdt, "/intc@8000000", "reg", 1), BOARD_GICD);
    assert_int_equal(cell(fdt, "/intc@8000000", "reg", 5), BOARD_GICR);
    assert_int_equal(cell(fdt, "/intc@8000000", "reg", 7), 18 * 0x20000);
    /* 16 CPUs per cluster, as KVM numbers them. */
    assert_int_equal(cell(fdt, "/cpus/cpu@f", "reg", 0), 0xf);
    assert_int_equal(cell(fdt, "/cpus/cpu@101", "reg", 0), 0x101);
    assert_int_equal(cell(fdt, "/timer", "interrupts", 7), BOARD_TIMER_VIRT);
    assert_int_equal(cell(fdt, "/timer", "interrupts", 8), 4);
}

static void tree_with_gic_v2(void **state)
{
    (void)state;
    const void *fdt = tree_of(2, 2);
    int node = fdt_path_offset(fdt, "/intc@8000000");
    assert_int_equal(fdt_node_check_compatible(fdt, node, "arm,cortex-a15-gic"),
                     0);
    assert_int_equal(cell(fdt, "/intc@8000000", "reg", 5), BOARD_GICC);
    assert_int_equal(cell(fdt, "/timer", "interrupts", 8), 0x304);
    assert_int_equal(cell(fdt, "/", "interrupt-parent", 0),
                     cell(fdt, "/intc@8000000", "phandle", 0));
}

static void devices_have_edge_interrupts(void **state)
{
    (void)state;
    const void *fdt = tree_of(3, 1);
    static const char rng[] = "/virtio@a001000";
    for (int line = 0; line < 2; line++) {
        assert_int_equal(cell(fdt, rng, "interrupts", 3 * line), 0);
        assert_int_equal(cell(fdt, rng, "interrupts", 3 * line + 1), line);
        assert_int_equal(cell(fdt, rng, "interrupts", 3 * line + 2), 1);
    }
    assert_int_equal(cell(fdt, "/memory@40000000", "reg", 3), 64 * MIB);
    assert_int_equal(fdt_node_check_compatible(
                         fdt, fdt_path_offset(fdt, "/psci"), "arm,psci-0.2"),
                     0);
}

/* Memory and an image of 2 MiB below guest-physical `end`: where it lies, or
 * the error. */
static int64_t fit(uint64_t memory, uint64_t end, struct err *e)
{
    struct gmem mem;
    struct window w;
    struct vm_config config = {.image_count = 1};
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 2 * MIB), 0);
    config.image_fd[0] = fd;
    assert_int_equal(gmem_init(&mem, memory, e), 0);
    assert_int_equal(window_open(&w, &config, e), 0);
    int rc = window_map(&w, &mem, end, e);
    int64_t at = rc < 0 ? rc : (int64_t)w.at.gpa;
    window_fini(&w);
    gmem_fini(&mem);
    (void)close(fd);
    return at;
}

static void the_map_fits_the_address_bits(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(fit(64 * MIB, GIB << 9, &e), 2 * GIB);
    assert_int_equal(fit(8 * GIB, GIB << 9, &e), 9 * GIB);
    /* 32 bits: RAM ends at 3 GiB, the image is above; 1 GiB more is refused
     * for the image, 2 GiB more for RAM itself. */
    assert_int_equal(fit(2 * GIB, 4 * GIB, &e), 3 * GIB);
    assert_int_equal(fit(3 * GIB, 4 * GIB, &e), -E2BIG);
    assert_non_null(strstr(e.msg, "image is too large"));
    assert_int_equal(fit(4 * GIB, 4 * GIB, &e), -E2BIG);
    assert_non_null(strstr(e.msg, "4096 MiB of memory do not fit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_with_gic_v3),
        cmocka_unit_test(tree_with_gic_v2),
        cmocka_unit_test(devices_have_edge_interrupts),
        cmocka_unit_test(the_map_fits_the_address_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
