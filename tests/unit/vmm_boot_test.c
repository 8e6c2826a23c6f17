// SPDX-License-Identifier: Apache-2.0
/* What goes into guest memory: kernel, tables, device tree, boot_info. */
#include <elf.h>
#include <libfdt.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/virtio_mmio.h"
#include "boards/virt-x86_64/layout.h"

#include "tests/unit/vmm_driver.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/load.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const char config_text[] =
    "{\"version\":1,\"memory\":67108864,\"vcpus\":3,\"stdio\":{},"
    "\"net\":[{\"fd\":3,\"frames\":\"tap\",\"name\":\"eth7\",\"mtu\":9000,"
    "\"mac\":\"02:00:00:00:00:05\",\"addresses\":[\"10.0.0.2/24\"],"
    "\"gateways\":[\"fe80::1\"],\"routes\":[{\"to\":\"10.9.0.0/16\","
    "\"via\":\"10.0.0.9\",\"metric\":5,\"protocol\":4,\"scope\":0,"
    "\"onlink\":true}]}],"
    "\"containers\":[{\"args\":[\"/bin/sh\",\"-c\"],\"env\":[\"A=b\"],"
    "\"gids\":[4,5],\"files\":[{\"path\":\"/f\",\"mode\":420,"
    "\"data\":\"xyz\"}]}]}";

static struct {
    struct gmem mem;
    struct vm_config config;
    struct arch_vm arch;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_rng rng;
    struct virtio_mmio t;
    struct boot_plan plan;
    struct arch_entry entry;
} f;

static int setup_memory(uint64_t memory)
{
    struct err e;
    struct bus bus = {.slot = {NULL}};
    memset(&f, 0, sizeof(f));
    if (config_parse(&f.config, config_text, strlen(config_text), &e) < 0 ||
        gmem_init(&f.mem, memory, &e) < 0 || loop_init(&f.loop, &e) < 0)
        return -1;
    virtio_rng_init(&f.rng);
    if (virtio_mmio_init(&f.t, &f.rng.vd, &f.mem, &f.loop, &f.irqs, &e) < 0)
        return -1;
    (void)bus_attach(&bus, 1, &f.t.window);
    f.arch.cpus = f.config.vcpus;
    f.plan = (struct boot_plan){.config = &f.config,
                                .arch = &f.arch,
                                .mem = &f.mem,
                                .devs = &f.t,
                                .dev_count = 1};
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_memory(64 * MIB);
}

static int teardown(void **state)
{
    (void)state;
    virtio_mmio_fini(&f.t);
    irq_fini(&f.irqs);
    loop_fini(&f.loop);
    gmem_fini(&f.mem);
    config_fini(&f.config);
    return 0;
}

/* Walk the boot tables as the CPU does; the leaf, or 0. */
static uint64_t walk(uint64_t root, uint64_t va, uint64_t *all_bits)
{
    uint64_t table = root;
    *all_bits = UINT64_MAX;
    for (int level = 3; level >= 1; level--) {
        const uint64_t *t = gmem_at(&f.mem, gpa(table), 4096);
        uint64_t pte = t[(va >> (12 + 9 * level)) & 511];
        if ((pte & 1) == 0)
            return 0;
        *all_bits &= pte;
        if ((pte & 0x80) != 0)
            return pte;
        table = pte & UINT64_C(0xffffffffff000);
    }
    return 0;
}

static void expect_mapped(uint64_t va, uint64_t pa, bool write, bool user)
{
    uint64_t all;
    uint64_t pte = walk(f.entry.root, va, &all);
    assert_int_equal(pte & UINT64_C(0xfffffffe00000), pa);
    assert_int_equal((all & 2) != 0, write);
    assert_int_equal((all & 4) != 0, user);
}

static void expect_unmapped(uint64_t va)
{
    uint64_t all;
    assert_int_equal(walk(f.entry.root, va, &all), 0);
}

static void check_tables(bool user)
{
    struct err e;
    f.arch.user_kernel = user;
    f.plan.image = (struct arch_window){8 * GIB, 4 * MIB};
    assert_int_equal(boot_write(&f.plan, &f.entry, &e), 0);
    assert_int_equal(f.entry.root % 8192, 0);
    expect_mapped(BOOT_KERNEL_X86 + 2 * MIB, 2 * MIB, true, user);
    expect_mapped(BOOT_PHYSMAP_X86 + 62 * MIB, 62 * MIB, true, user);
    expect_unmapped(BOOT_PHYSMAP_X86 + 64 * MIB);
    expect_unmapped(BOOT_KERNEL_X86 + 64 * MIB);
    expect_mapped(BOOT_PHYSMAP_X86 + BOARD_MMIO_BASE, BOARD_MMIO_BASE, true,
                  user);
    expect_mapped(BOOT_PHYSMAP_X86 + 8 * GIB + 2 * MIB, 8 * GIB + 2 * MIB,
                  false, user);
    expect_unmapped(BOOT_PHYSMAP_X86 + 8 * GIB + 4 * MIB);
    expect_unmapped(UINT64_C(0xffff800000000000)); /* slot 256 */
    const uint64_t *second = gmem_at(&f.mem, gpa(f.entry.root + 4096), 4096);
    for (int i = 0; i < 512; i++)
        assert_int_equal(second[i], 0);
}

static void tables_on_pvm_are_user(void **state)
{
    (void)state;
    check_tables(true);
    expect_unmapped(BOOT_PHYSMAP_X86 + BOARD_APIC);
    assert_true(f.entry.vif != 0);
}

static void tables_on_hardware_are_not(void **state)
{
    (void)state;
    check_tables(false);
    expect_mapped(BOOT_PHYSMAP_X86 + BOARD_APIC, BOARD_APIC, true, false);
    assert_int_equal(f.entry.vif, 0);
}

static void boot_info_is_consistent(void **state)
{
    (void)state;
    struct err e;
    struct boot_info b;
    f.arch.user_kernel = true;
    f.arch.counter_hz = 123;
    assert_int_equal(boot_write(&f.plan, &f.entry, &e), 0);
    assert_true(gmem_read(&f.mem, gpa(BOARD_BOOT_INFO), &b, sizeof(b)));
    assert_true(b.magic == BOOT_MAGIC && b.version == BOOT_VERSION);
    assert_int_equal(b.platform, BOOT_PLATFORM_PVM);
    assert_int_equal(b.cpu_count, 3);
    assert_int_equal(b.ram[0].size, 64 * MIB);
    assert_int_equal(b.ram[1].size, 0);
    assert_int_equal(b.small_end, 6 * MIB);
    assert_int_equal(b.tsc_hz, 123);
    assert_true(b.low_end <= BOOT_KERNEL_GPA && b.low_end % 4096 == 0);
    assert_true(b.cont_gpa + b.cont_size <= b.low_end);
    assert_true(b.fdt_gpa + b.fdt_size <= b.low_end);
    assert_true(b.vif_gpa == f.entry.vif && b.vif_gpa % 4096 == 0);
    assert_int_equal(f.entry.info, BOOT_PHYSMAP_X86 + BOARD_BOOT_INFO);
    const struct boot_container *c = gmem_at(&f.mem, gpa(b.cont_gpa), 512);
    assert_int_equal(c->size, b.cont_size);
    assert_int_equal(c->argc, 2);
    assert_int_equal(c->gids[1], 5);
    assert_int_equal(c->netif_count, 1);
    const struct boot_netif *n =
        (const void *)((const char *)c + sizeof(*c) + 8 * c->file_count);
    assert_string_equal(n->name, "eth7");
    assert_int_equal(n->mac[5], 5);
    assert_int_equal(n->mtu, 9000);
    assert_int_equal(n->addr_count, 1);
    assert_int_equal(n->addr[0].prefix, 24);
    assert_memory_equal(n->addr[0].b + 10, "\xff\xff\x0a\0\0\2", 6);
    assert_int_equal(n->gateway_count, 1);
    assert_int_equal(n->gateway[0].b[15], 1);
    assert_int_equal(n->route_count, 1);
    const struct boot_route *r = (const void *)&n[c->netif_count];
    assert_int_equal(r->to.prefix, 16);
    assert_memory_equal(r->via.b + 10, "\xff\xff\x0a\0\0\x09", 6);
    assert_int_equal(r->src.b[10], 0);
    assert_int_equal(r->metric, 5);
    assert_int_equal(r->protocol, 4);
    assert_int_equal(r->flags, BOOT_ROUTE_ONLINK);
    assert_ptr_equal(r + 1, (const char *)c + c->strings_off);
    static const char strings[] = "/bin/sh\0-c\0A=b\0/\0limpet\0/f\0xyz";
    assert_memory_equal((const char *)c + c->strings_off, strings,
                        sizeof(strings) - 1);
}

static void device_tree_names_the_device(void **state)
{
    (void)state;
    struct err e;
    struct boot_info b;
    int len;
    f.plan.image = (struct arch_window){8 * GIB, 2 * MIB};
    assert_int_equal(boot_write(&f.plan, &f.entry, &e), 0);
    assert_true(gmem_read(&f.mem, gpa(BOARD_BOOT_INFO), &b, sizeof(b)));
    const void *fdt = gmem_at(&f.mem, gpa(b.fdt_gpa), b.fdt_size);
    assert_int_equal(fdt_check_full(fdt, b.fdt_size), 0);
    int node = fdt_node_offset_by_compatible(fdt, -1, "limpet,image");
    const fdt64_t *reg = fdt_getprop(fdt, node, "reg", &len);
    assert_int_equal(len, 16);
    assert_int_equal(fdt64_ld(reg), 8 * GIB);
    node = fdt_node_offset_by_compatible(fdt, -1, "virtio,mmio");
    assert_string_equal(fdt_get_name(fdt, node, NULL), "virtio@d0001000");
    const fdt32_t *dev = fdt_getprop(fdt, node, "limpet,device", &len);
    assert_int_equal(fdt32_to_cpu(*dev), VIRTIO_ID_RNG);
    const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", &len);
    assert_int_equal(len, 8);
    assert_int_equal(fdt32_to_cpu(irq[1]), BOARD_IRQ_VECTOR + 1);
    const fdt32_t *q = fdt_getprop(fdt, node, "limpet,queues", &len);
    assert_int_equal(len, 28);
    assert_int_equal(fdt32_to_cpu(q[6]), 8);
    assert_int_equal(fdt32_to_cpu(q[1]), f.rng.vd.queue[0].place.desc);
    assert_true(f.rng.vd.queue[0].ready);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct err e;
    f.plan.image = (struct arch_window){64 * GIB, 448 * GIB};
    f.arch.cpus = 32;
    assert_int_equal(boot_write(&f.plan, &f.entry, &e), -ENOSPC);
    assert_non_null(strstr(e.msg, "does not fit"));
}

/* ---- the kernel file ---- */

struct elf {
    Elf64_Ehdr h;
    Elf64_Phdr p;
    Elf64_Phdr note_p;
    char text[64];
    struct {
        Elf64_Nhdr h;
        char name[8];
        uint32_t version;
    } note;
};

static const struct elf good_elf = {
    .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
          .e_type = ET_EXEC,
          .e_machine = EM_X86_64,
          .e_entry = BOOT_KERNEL_X86 + BOOT_KERNEL_GPA + 8,
          .e_phoff = sizeof(Elf64_Ehdr),
          .e_phentsize = sizeof(Elf64_Phdr),
          .e_phnum = 2},
    .p = {.p_type = PT_LOAD,
          .p_offset = offsetof(struct elf, text),
          .p_vaddr = BOOT_KERNEL_X86 + BOOT_KERNEL_GPA,
          .p_paddr = BOOT_KERNEL_GPA,
          .p_filesz = 64,
          .p_memsz = 8192},
    .note_p = {.p_type = PT_NOTE,
               .p_offset = offsetof(struct elf, note),
               .p_filesz = sizeof(good_elf.note)},
    .text = "kernel",
    .note = {.h = {.n_namesz = 7, .n_descsz = 4, .n_type = NT_VERSION},
             .name = "Limpet",
             .version = BOOT_VERSION},
};

static int load(const struct elf *elf, size_t size, struct load_result *out)
{
    struct err e;
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    assert_int_equal(write(fd, elf, size), (ssize_t)size);
    int rc = load_kernel(fd, &f.mem, out, &e);
    (void)close(fd);
    return rc;
}

static void good_kernel_is_loaded(void **state)
{
    (void)state;
    struct load_result r;
    assert_int_equal(load(&good_elf, sizeof(good_elf), &r), 0);
    assert_int_equal(r.entry, good_elf.h.e_entry);
    assert_int_equal(r.end, BOOT_KERNEL_GPA + 8192);
    assert_string_equal(gmem_at(&f.mem, gpa(BOOT_KERNEL_GPA), 8), "kernel");
}

#define BAD_KERNEL(name, ...)                                                  \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        struct load_result r;                                                  \
        struct elf elf = good_elf;                                             \
        __VA_ARGS__;                                                           \
        assert_int_equal(load(&elf, sizeof(elf), &r), -ENOEXEC);               \
    }

BAD_KERNEL(kernel_without_magic, elf.h.e_ident[0] = 0)
BAD_KERNEL(kernel_for_32_bits, elf.h.e_ident[EI_CLASS] = ELFCLASS32)
BAD_KERNEL(kernel_for_arm, elf.h.e_machine = EM_AARCH64)
BAD_KERNEL(kernel_with_many_headers, elf.h.e_phnum = 17)
BAD_KERNEL(kernel_with_far_headers, elf.h.e_phoff = UINT64_MAX)
BAD_KERNEL(kernel_too_low, elf.p.p_paddr = 4096)
BAD_KERNEL(kernel_outside_ram, elf.p.p_paddr = 64 * MIB)
BAD_KERNEL(kernel_larger_than_ram, elf.p.p_memsz = UINT64_MAX)
BAD_KERNEL(kernel_linked_elsewhere, elf.p.p_vaddr += 4096)
BAD_KERNEL(kernel_file_larger, elf.p.p_filesz = 8193)
BAD_KERNEL(kernel_truncated, elf.p.p_offset = 4096)
BAD_KERNEL(kernel_offset_wraps, elf.p.p_offset = UINT64_MAX)
BAD_KERNEL(kernel_of_another_protocol, elf.note.version++)
BAD_KERNEL(kernel_without_note, elf.note_p.p_type = PT_NULL)
BAD_KERNEL(kernel_with_foreign_note, elf.note.name[0] = 'X')
BAD_KERNEL(kernel_with_another_type, elf.note.h.n_type = 2)
BAD_KERNEL(kernel_note_too_long, elf.note.h.n_namesz = UINT32_MAX)
BAD_KERNEL(kernel_note_cut_off, elf.note_p.p_filesz -= 4)
BAD_KERNEL(kernel_note_nowhere, elf.note_p.p_offset = INT64_MAX)
BAD_KERNEL(kernel_note_outside, elf.note_p.p_offset += 4)

static void kernel_of_another_protocol_is_named(void **state)
{
    (void)state;
    struct load_result r;
    struct err e;
    struct elf elf = good_elf;
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    elf.note.version = 77;
    assert_int_equal(write(fd, &elf, sizeof(elf)), (ssize_t)sizeof(elf));
    assert_int_equal(load_kernel(fd, &f.mem, &r, &e), -ENOEXEC);
    assert_non_null(strstr(e.msg, "boot protocol 77"));
    (void)close(fd);
}

BAD_KERNEL(kernel_entry_outside, elf.h.e_entry += 64)

#define BOOT_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOT_TEST(tables_on_pvm_are_user),
        BOOT_TEST(tables_on_hardware_are_not),
        BOOT_TEST(boot_info_is_consistent),
        BOOT_TEST(device_tree_names_the_device),
        BOOT_TEST(what_does_not_fit_is_refused),
        BOOT_TEST(good_kernel_is_loaded),
        BOOT_TEST(kernel_without_magic),
        BOOT_TEST(kernel_for_32_bits),
        BOOT_TEST(kernel_for_arm),
        BOOT_TEST(kernel_with_many_headers),
        BOOT_TEST(kernel_with_far_headers),
        BOOT_TEST(kernel_too_low),
        BOOT_TEST(kernel_outside_ram),
        BOOT_TEST(kernel_larger_than_ram),
        BOOT_TEST(kernel_linked_elsewhere),
        BOOT_TEST(kernel_file_larger),
        BOOT_TEST(kernel_truncated),
        BOOT_TEST(kernel_offset_wraps),
        BOOT_TEST(kernel_entry_outside),
        BOOT_TEST(kernel_of_another_protocol),
        BOOT_TEST(kernel_without_note),
        BOOT_TEST(kernel_with_foreign_note),
        BOOT_TEST(kernel_with_another_type),
        BOOT_TEST(kernel_note_too_long),
        BOOT_TEST(kernel_note_cut_off),
        BOOT_TEST(kernel_note_nowhere),
        BOOT_TEST(kernel_note_outside),
        BOOT_TEST(kernel_of_another_protocol_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
