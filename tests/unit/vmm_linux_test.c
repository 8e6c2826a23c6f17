// SPDX-License-Identifier: Apache-2.0
/*
 * A stock Linux as the guest on x86-64: what is taken as a kernel, what it
 * finds, and ACPI. `vmm_linux_test --dump DIR` writes the tables there, one
 * file each, for iasl.
 */
#include <elf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boards/virt-x86_64/layout.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/klog.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/acpi.h"
#include "vmm/arch/x86_64/bootparams.h"
#include "vmm/config.h"
#include "vmm/stock.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"

#define MIB (UINT64_C(1) << 20)

enum { SECTORS = 3, CODE = 4096, HEAD = (SECTORS + 1) * 512 };

static const char config_text[] =
    "{\"version\":1,\"memory\":67108864,\"vcpus\":2,\"stdio\":{},"
    "\"stock\":{\"initrd_fd\":-1,\"cmdline\":\"a=b\"},"
    "\"containers\":[{\"args\":[\"/bin/sh\"]}]}";

static struct {
    struct gmem mem;
    struct vm_config config;
    struct arch_vm arch;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_rng rng;
    struct virtio_mmio t;
    int file;
} f;

static int setup(void **state)
{
    struct err e;
    struct bus bus = {.slot = {NULL}};
    (void)state;
    memset(&f, 0, sizeof(f));
    f.file = memfd_create("kernel", MFD_CLOEXEC);
    if (f.file < 0 || gmem_init(&f.mem, 64 * MIB, &e) < 0 ||
        loop_init(&f.loop, &e) < 0 ||
        config_parse(&f.config, config_text, strlen(config_text), &e) < 0)
        return -1;
    f.irqs.shared = true;
    f.arch = (struct arch_vm){.cpus = 2, .stock = true};
    virtio_rng_init(&f.rng);
    if (virtio_mmio_init(&f.t, &f.rng.vd, &f.mem, &f.loop, &f.irqs, &e) < 0)
        return -1;
    f.config.kernel_fd = f.file;
    return bus_attach(&bus, 1, &f.t.window);
}

static int teardown(void **state)
{
    (void)state;
    virtio_mmio_fini(&f.t);
    irq_fini(&f.irqs);
    loop_fini(&f.loop);
    config_fini(&f.config);
    gmem_fini(&f.mem);
    (void)close(f.file);
    return 0;
}

/* ---- bzImage ---- */

/* One that may be booted: a header, code that is all 0xcc. */
static struct setup_header header(void)
{
    return (struct setup_header){
        .setup_sects = SECTORS,
        .syssize = CODE / 16,
        .boot_flag = SETUP_BOOT_FLAG,
        .header = SETUP_MAGIC,
        .version = 0x20f,
        .initrd_addr_max = 0x7fffffff,
        .kernel_alignment = 0x200000,
        .relocatable = 1,
        .xloadflags = SETUP_XLF_64,
        .cmdline_size = 2047,
        .pref_address = 16 * MIB,
        .init_size = (uint32_t)(8 * MIB),
    };
}

static void put_kernel(const struct setup_header *h)
{
    static uint8_t code[CODE];
    memset(code, 0xcc, sizeof(code));
    assert_int_equal(ftruncate(f.file, 0), 0);
    assert_int_equal(pwrite(f.file, h, sizeof(*h), 0x1f1), sizeof(*h));
    assert_int_equal(pwrite(f.file, code, CODE, HEAD), CODE);
}

static const struct zero_page *zero_page(const struct arch_entry *entry)
{
    return gmem_at(&f.mem, gpa(entry->info), sizeof(struct zero_page));
}

static int write_all(struct arch_entry *entry, struct err *e)
{
    const struct stock_plan plan = {.config = &f.config,
                                    .arch = &f.arch,
                                    .mem = &f.mem,
                                    .devs = &f.t,
                                    .dev_count = 1};
    return stock_write(&plan, entry, e);
}

static void bzimage_finds_what_the_protocol_says(void **state)
{
    (void)state;
    struct arch_entry entry;
    struct err e = {0};
    const struct setup_header h = header();
    put_kernel(&h);
    assert_int_equal(write_all(&entry, &e), 0);
    assert_int_equal(entry.pc, 16 * MIB + 0x200);
    const uint8_t *code = gmem_at(&f.mem, gpa(16 * MIB), CODE);
    assert_int_equal(code[0], 0xcc);
    assert_int_equal(code[CODE - 1], 0xcc);
    const struct zero_page *z = zero_page(&entry);
    assert_int_equal(z->setup.header, SETUP_MAGIC);
    assert_int_equal(z->setup.type_of_loader, 0xff);
    const char *line = gmem_at(&f.mem, gpa(z->setup.cmd_line_ptr), 100);
    assert_non_null(strstr(line, "earlycon=uart8250,mmio32,0xd0000000"));
    assert_string_equal(line + strlen(line) - 4, " a=b");
    const char *initrd =
        gmem_at(&f.mem, gpa(z->setup.ramdisk_image), z->setup.ramdisk_size);
    assert_memory_equal(initrd, "070701", 6);
    assert_true(z->setup.ramdisk_image >= 24 * MIB);
    /* The last word of RAM is the kernel's to use. */
    assert_int_equal(z->e820_count, 3);
    assert_int_equal(z->e820[2].base + z->e820[2].size, 64 * MIB);
    assert_int_equal(z->e820[1].type, E820_RESERVED);
    assert_int_equal(z->acpi_rsdp, z->e820[1].base);
    const uint64_t *root = gmem_at(&f.mem, gpa(entry.root), 8);
    assert_int_equal(root[0] & 3, 3);
}

static void initrd_is_followed_by_the_container(void **state)
{
    (void)state;
    struct arch_entry entry;
    struct err e = {0};
    const struct setup_header h = header();
    char text[] = "a first archive";
    put_kernel(&h);
    f.config.initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
    assert_int_equal(write(f.config.initrd_fd, text, 15), 15);
    assert_int_equal(write_all(&entry, &e), 0);
    const struct zero_page *z = zero_page(&entry);
    const char *initrd =
        gmem_at(&f.mem, gpa(z->setup.ramdisk_image), z->setup.ramdisk_size);
    assert_memory_equal(initrd, text, 15);
    assert_memory_equal(initrd + 16, "070701", 6);
    assert_non_null(memmem(initrd + 16, z->setup.ramdisk_size - 16,
                           "limpet/container", 17));
    assert_non_null(
        memmem(initrd + 16, z->setup.ramdisk_size - 16, "TRAILER!!!", 11));
    assert_int_equal(ftruncate(f.config.initrd_fd, (off_t)(60 * MIB)), 0);
    assert_int_equal(write_all(&entry, &e), -ENOSPC);
    assert_non_null(strstr(e.msg, "-m"));
    (void)close(f.config.initrd_fd);
}

static void expect_refused(const char *needle)
{
    struct arch_entry entry;
    struct err e = {0};
    assert_true(write_all(&entry, &e) < 0);
    if (strstr(e.msg, needle) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", needle, e.msg);
}

static void bad_bzimages_are_refused(void **state)
{
    (void)state;
    struct setup_header h = header();
    expect_refused("truncated");
    h.header = 1;
    put_kernel(&h);
    expect_refused("neither");
    h = header();
    h.version = 0x20b;
    put_kernel(&h);
    expect_refused("64-bit entry");
    h = header();
    h.xloadflags = 0;
    put_kernel(&h);
    expect_refused("64-bit entry");
    const uint64_t bad[] = {0, 0x10000, 60 * MIB, 64 * MIB, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        h = header();
        h.pref_address = bad[i];
        put_kernel(&h);
        expect_refused("-m");
    }
    h = header();
    h.init_size = UINT32_MAX;
    put_kernel(&h);
    expect_refused("-m");
    h = header();
    h.syssize = UINT32_MAX;
    put_kernel(&h);
    expect_refused("-m");
    h.syssize = 1;
    put_kernel(&h);
    expect_refused("no code");
    h = header();
    h.syssize = (CODE + 16) / 16;
    put_kernel(&h);
    expect_refused("truncated");
    h = header();
    h.cmdline_size = 3;
    put_kernel(&h);
    expect_refused("command line");
    h = header();
    h.initrd_addr_max = 0;
    put_kernel(&h);
    expect_refused("initrd");
}

/* ---- vmlinux ---- */

static void vmlinux_is_entered_where_it_says(void **state)
{
    (void)state;
    struct arch_entry entry;
    struct err e = {0};
    Elf64_Ehdr h = {.e_type = ET_EXEC,
                    .e_machine = EM_X86_64,
                    .e_entry = 16 * MIB + 16,
                    .e_phoff = sizeof(h),
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 1};
    Elf64_Phdr p = {.p_type = PT_LOAD,
                    .p_offset = 4096,
                    .p_vaddr = 0xffffffff81000000,
                    .p_paddr = 16 * MIB,
                    .p_filesz = 32,
                    .p_memsz = 8 * MIB};
    memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64;
    h.e_ident[EI_DATA] = ELFDATA2LSB;
    assert_int_equal(ftruncate(f.file, 8192), 0);
    assert_int_equal(pwrite(f.file, &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(pwrite(f.file, &p, sizeof(p), sizeof(h)), sizeof(p));
    assert_int_equal(write_all(&entry, &e), 0);
    assert_int_equal(entry.pc, 16 * MIB + 16);
    assert_int_equal(zero_page(&entry)->setup.header, SETUP_MAGIC);
    h.e_entry = 17 * MIB;
    assert_int_equal(pwrite(f.file, &h, sizeof(h), 0), sizeof(h));
    expect_refused("entry point");
    p.p_paddr = 60 * MIB;
    assert_int_equal(pwrite(f.file, &p, sizeof(p), sizeof(h)), sizeof(p));
    expect_refused("-m");
    h.e_phnum = 17;
    assert_int_equal(pwrite(f.file, &h, sizeof(h), 0), sizeof(h));
    expect_refused("program header");
}

/* ---- ACPI ---- */

static const struct acpi_device acpi_devices[] = {
    {0xd0001000, 0x1000, 4}, {0xd0002000, 0x1000, 5}, {0xd0003000, 0x1000, 6}};

static void build_tables(struct buf *b)
{
    const struct acpi_plan plan = {
        .at = 0xe0000,
        .cpus = 3,
        .local_apic = 0xfee00000,
        .io_apic = 0xfec00000,
        .sleep = 0xd0000020,
        .status = 0xd0000024,
        .reset = 0xd0000028,
        .reset_value = 1,
        .sleep_type = 5,
        .device = acpi_devices,
        .device_count = ARRAY_COUNT(acpi_devices),
    };
    acpi_build(b, &plan);
}

static uint64_t value(const uint8_t *at, size_t size)
{
    uint64_t v = 0;
    memcpy(&v, at, size);
    return v;
}

static unsigned sum(const uint8_t *at, size_t size)
{
    uint8_t s = 0;
    while (size-- > 0)
        s = (uint8_t)(s + *at++);
    return s;
}

/* A table that lies inside the area and adds up to 0. */
static const uint8_t *table(const struct buf *b, uint64_t at, const char *name)
{
    const uint8_t *t = (const uint8_t *)b->data + (at - 0xe0000);
    assert_true(at >= 0xe0000 && at % 16 == 0);
    assert_memory_equal(t, name, 4);
    assert_true(value(t + 4, 4) <= b->size - (at - 0xe0000));
    assert_int_equal(sum(t, (size_t)value(t + 4, 4)), 0);
    return t;
}

static void acpi_tables_hang_together(void **state)
{
    (void)state;
    struct buf b = {.max = 65536};
    build_tables(&b);
    assert_int_equal(b.failed, 0);
    const uint8_t *rsdp = (const uint8_t *)b.data;
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    const uint8_t *xsdt = table(&b, value(rsdp + 24, 8), "XSDT");
    assert_int_equal(value(xsdt + 4, 4), 36 + 16);
    const uint8_t *fadt = table(&b, value(xsdt + 36, 8), "FACP");
    const uint8_t *madt = table(&b, value(xsdt + 44, 8), "APIC");
    assert_int_equal(value(fadt + 4, 4), 276);
    assert_true((value(fadt + 112, 4) & UINT32_C(1) << 20) != 0);
    assert_int_equal(value(fadt + 120, 8), 0xd0000028);
    assert_int_equal(value(fadt + 248, 8), 0xd0000020);
    assert_int_equal(value(madt + 4, 4), 44 + 3 * 8 + 12);
    const uint8_t *dsdt = table(&b, value(fadt + 140, 8), "DSDT");
    unsigned found = 0;
    const uint8_t *end = dsdt + value(dsdt + 4, 4);
    for (const uint8_t *at = dsdt; at + 9 <= end; at++)
        found += memcmp(at, "LNRO0005", 9) == 0;
    assert_int_equal(found, 3);
    buf_fini(&b);
}

static void dump(const char *dir, const char *name, const uint8_t *at)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    (void)fwrite(at, 1, (size_t)value(at + 4, 4), out);
    assert_int_equal(fclose(out), 0);
}

static int dump_all(const char *dir)
{
    struct buf b = {.max = 65536};
    build_tables(&b);
    const uint8_t *rsdp = (const uint8_t *)b.data;
    const uint8_t *xsdt = table(&b, value(rsdp + 24, 8), "XSDT");
    const uint8_t *fadt = table(&b, value(xsdt + 36, 8), "FACP");
    dump(dir, "xsdt", xsdt);
    dump(dir, "facp", fadt);
    dump(dir, "apic", table(&b, value(xsdt + 44, 8), "APIC"));
    dump(dir, "dsdt", table(&b, value(fadt + 140, 8), "DSDT"));
    buf_fini(&b);
    return 0;
}

/* ---- the window ---- */

static struct {
    struct stock stock;
    unsigned ended;
    unsigned restarted;
} w;

static void on_ended(struct stock *s, bool restart)
{
    assert_ptr_equal(s, &w.stock);
    w.ended++;
    w.restarted += restart;
}

static void window_writes_the_log_and_ends(void **state)
{
    (void)state;
    static const struct stock_ops ops = {.ended = on_ended};
    static struct klog log;
    uint8_t b[8] = {0};
    const char text[] = "Kernel panic - not syncing: no\r\n";
    klog_init(&log, -1, -1);
    memset(&w, 0, sizeof(w));
    stock_init(&w.stock, &ops, &log);
    struct bus_window *win = &w.stock.window;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        win->ops->write(win, STOCK_REG_UART_TX, (const uint8_t *)text + i, 1);
    assert_string_equal(log.panic, "Kernel panic - not syncing: no");
    win->ops->read(win, STOCK_REG_UART_LSR, b, 4);
    assert_int_equal(b[0], STOCK_LSR_EMPTY);
    for (uint32_t off = 0; off < 0x1000; off++) /* nothing else does harm */
        win->ops->read(win, off, b, off % 8 + 1);
    b[0] = 0;
    win->ops->write(win, STOCK_REG_SLEEP, b, 1);
    assert_int_equal(w.ended, 0);
    b[0] = 5 << 2 | STOCK_SLEEP_ENABLE;
    win->ops->write(win, STOCK_REG_SLEEP, b, 1);
    assert_int_equal(w.ended, 1);
    b[0] = STOCK_RESET_VALUE;
    win->ops->write(win, STOCK_REG_RESET, b, 1);
    assert_int_equal(w.restarted, 1);
}

#define LINUX_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LINUX_TEST(bzimage_finds_what_the_protocol_says),
        LINUX_TEST(initrd_is_followed_by_the_container),
        LINUX_TEST(bad_bzimages_are_refused),
        LINUX_TEST(vmlinux_is_entered_where_it_says),
        cmocka_unit_test(acpi_tables_hang_together),
        cmocka_unit_test(window_writes_the_log_and_ends),
    };
    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump_all(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
