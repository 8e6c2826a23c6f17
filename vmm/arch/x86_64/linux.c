// SPDX-License-Identifier: Apache-2.0
/*
 * A stock Linux kernel on x86-64: bzImage or vmlinux into memory, and what it
 * finds at its 64-bit entry (Documentation/arch/x86/boot.rst, "64-bit Boot
 * Protocol"). Everything here is data: no KVM.
 */
#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "boards/virt-x86_64/layout.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/acpi.h"
#include "vmm/arch/x86_64/bootparams.h"
#include "vmm/fileread.h"
#include "vmm/gmem.h"
#include "vmm/stock.h"
#include "vmm/virtio/mmio.h"

/* Below 1 MiB, where the kernel looks for nothing of its own. */
#define AT_GDT       BOARD_LINUX_GDT
#define AT_ZERO_PAGE UINT64_C(0x7000)
#define AT_TABLES    UINT64_C(0x9000) /* 6 pages */
#define AT_CMDLINE   UINT64_C(0x20000)
#define CMDLINE_ROOM UINT32_C(0x10000)
#define LOW_END      UINT64_C(0x9f000) /* first byte that was the BIOS's */
#define AT_ACPI      UINT64_C(0xe0000)
#define ACPI_ROOM    UINT64_C(0x20000)
#define KERNEL_MIN   UINT64_C(0x100000)

/* Above all initrd_addr_max of the last 20 years; what a vmlinux, which has
 * no header, stands for. */
#define INITRD_END_DEFAULT UINT64_C(0x38000000)
#define CMDLINE_DEFAULT    UINT32_C(2047)

/* Hardware-reduced ACPI makes Linux want EFI for a restart, unless told. */
#define OPTIONS " reboot=acpi pci=off"

#define PHDR_MAX 16

/* ---- bzImage ---- */

static int check_setup(const struct setup_header *h, struct err *e)
{
    if (h->boot_flag != SETUP_BOOT_FLAG || h->header != SETUP_MAGIC)
        return err_set(e, -ENOEXEC,
                       "kernel: neither a bzImage nor an x86-64 vmlinux");
    if (h->version < SETUP_VERSION || (h->xloadflags & SETUP_XLF_64) == 0)
        return err_set(e, -ENOEXEC,
                       "kernel: boot protocol %u.%02u without a 64-bit entry: "
                       "use a 64-bit kernel from 3.8 on",
                       h->version >> 8, h->version & 0xff);
    return 0;
}

static int load_bzimage(int fd, const struct gmem *m, struct setup_header *h,
                        struct arch_linux *out, struct err *e)
{
    const unsigned sectors = h->setup_sects != 0 ? h->setup_sects : 4;
    const uint64_t off = (uint64_t)(sectors + 1) * 512;
    const uint64_t size = (uint64_t)h->syssize * 16;
    const uint64_t room = h->init_size > size ? h->init_size : size;
    uint8_t *to = gmem_at(m, gpa(h->pref_address), room);
    if (size < SETUP_ENTRY_64 + 16)
        return err_set(e, -ENOEXEC, "kernel: it has no code");
    if (h->pref_address < KERNEL_MIN || to == NULL)
        return err_set(e, -ENOSPC,
                       "kernel: %llu MiB at %#llx do not fit in memory: give "
                       "the VM more with -m",
                       (unsigned long long)(room >> 20),
                       (unsigned long long)h->pref_address);
    if (file_read(fd, to, size, off, "kernel", e) < 0)
        return e->code;
    out->entry = h->pref_address + SETUP_ENTRY_64;
    out->end = h->pref_address + room;
    out->initrd_end = (uint64_t)h->initrd_addr_max + 1;
    out->cmdline_max = h->cmdline_size;
    return 0;
}

/* ---- vmlinux ---- */

static bool is_vmlinux(const Elf64_Ehdr *h)
{
    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
           h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_type == ET_EXEC &&
           h->e_machine == EM_X86_64;
}

static int load_segment(int fd, const Elf64_Phdr *p, const struct gmem *m,
                        struct arch_linux *out, struct err *e)
{
    uint8_t *to = gmem_at(m, gpa(p->p_paddr), p->p_memsz);
    if (p->p_filesz > p->p_memsz)
        return err_set(e, -ENOEXEC, "kernel: bad segment sizes");
    if (p->p_paddr < KERNEL_MIN || to == NULL)
        return err_set(e, -ENOSPC,
                       "kernel: a segment at %#llx does not fit in memory: "
                       "give the VM more with -m",
                       (unsigned long long)p->p_paddr);
    if (p->p_paddr + p->p_memsz > out->end)
        out->end = p->p_paddr + p->p_memsz;
    return file_read(fd, to, p->p_filesz, p->p_offset, "kernel", e);
}

static int load_vmlinux(int fd, const Elf64_Ehdr *h, const struct gmem *m,
                        struct arch_linux *out, struct err *e)
{
    Elf64_Phdr ph[PHDR_MAX] = {{0}};
    bool entered = false;
    if (h->e_phentsize != sizeof(ph[0]) || h->e_phnum > PHDR_MAX)
        return err_set(e, -ENOEXEC, "kernel: bad program header table");
    if (file_read(fd, ph, h->e_phnum * sizeof(ph[0]), h->e_phoff, "kernel", e) <
        0)
        return e->code;
    for (unsigned i = 0; i < h->e_phnum; i++) {
        const Elf64_Phdr *p = &ph[i];
        if (p->p_type != PT_LOAD || p->p_memsz == 0)
            continue;
        if (load_segment(fd, p, m, out, e) < 0)
            return e->code;
        if (h->e_entry >= p->p_paddr && h->e_entry - p->p_paddr < p->p_filesz)
            entered = true;
    }
    if (!entered)
        return err_set(e, -ENOEXEC, "kernel: the entry point is not loaded");
    out->entry = h->e_entry;
    out->initrd_end = INITRD_END_DEFAULT;
    out->cmdline_max = CMDLINE_DEFAULT;
    return 0;
}

/* The header goes to the zero page at once: arch_linux_boot() completes it. */
int arch_linux_load(int fd, const struct gmem *m, struct arch_linux *out,
                    struct err *e)
{
    struct zero_page z;
    Elf64_Ehdr elf;
    struct setup_header h = {
        .boot_flag = SETUP_BOOT_FLAG,
        .header = SETUP_MAGIC,
        .version = SETUP_VERSION,
        .kernel_alignment = 0x1000000,
        .initrd_addr_max = (uint32_t)INITRD_END_DEFAULT - 1,
        .cmdline_size = CMDLINE_DEFAULT,
    };
    int rc;
    *out = (struct arch_linux){.options = OPTIONS};
    if (file_read(fd, &elf, sizeof(elf), 0, "kernel", e) < 0)
        return e->code;
    if (is_vmlinux(&elf)) {
        rc = load_vmlinux(fd, &elf, m, out, e);
    } else {
        rc = file_read(fd, &h, sizeof(h), offsetof(struct zero_page, setup),
                       "kernel", e);
        if (rc == 0)
            rc = check_setup(&h, e);
        if (rc == 0)
            rc = load_bzimage(fd, m, &h, out, e);
    }
    if (rc < 0)
        return rc;
    memset(&z, 0, sizeof(z));
    z.setup = h;
    return gmem_write(m, gpa(AT_ZERO_PAGE), &z, sizeof(z))
               ? 0
               : err_set(e, -EFAULT, "kernel: no memory below 1 MiB");
}

/* ---- what the kernel finds ---- */

static void e820_add(struct zero_page *z, uint64_t from, uint64_t to,
                     uint32_t type)
{
    if (to > from)
        z->e820[z->e820_count++] = (struct e820_entry){from, to - from, type};
}

static void set_map(struct zero_page *z, const struct gmem *m)
{
    const struct gmem_range *low = &m->range[0];
    const struct gmem_range *high = &m->range[1];
    e820_add(z, 0, LOW_END, E820_RAM);
    e820_add(z, AT_ACPI, AT_ACPI + ACPI_ROOM, E820_RESERVED);
    e820_add(z, KERNEL_MIN, low->size, E820_RAM);
    e820_add(z, high->base, high->base + high->size, E820_RAM);
}

/* The first 4 GiB mapped onto themselves in leaves of 2 MiB. */
static bool put_tables(const struct gmem *m)
{
    enum { ENTRIES = 512, DIRS = 4 };
    const uint64_t link = 3;    /* present, writable */
    const uint64_t leaf = 0x83; /* and large */
    uint64_t *t = gmem_at(m, gpa(AT_TABLES), (2 + DIRS) * UINT64_C(4096));
    if (t == NULL)
        return false;
    t[0] = (AT_TABLES + 4096) | link;
    for (unsigned d = 0; d < DIRS; d++) {
        t[ENTRIES + d] = (AT_TABLES + (2 + d) * UINT64_C(4096)) | link;
        for (unsigned i = 0; i < ENTRIES; i++)
            t[(2 + d) * ENTRIES + i] =
                ((uint64_t)d << 30 | (uint64_t)i << 21) | leaf;
    }
    return true;
}

static int put_acpi(const struct arch_linux_plan *p, struct err *e)
{
    const uint64_t regs = BOARD_MMIO_BASE + BOARD_CALL_SLOT * BOARD_MMIO_STRIDE;
    struct acpi_device device[BOARD_MMIO_SLOTS];
    const struct acpi_plan plan = {
        .at = AT_ACPI,
        .cpus = p->vm->cpus,
        .local_apic = (uint32_t)BOARD_APIC,
        .io_apic = (uint32_t)BOARD_IOAPIC,
        .sleep = regs + STOCK_REG_SLEEP,
        .status = regs + STOCK_REG_STATUS,
        .reset = regs + STOCK_REG_RESET,
        .reset_value = STOCK_RESET_VALUE,
        .sleep_type = STOCK_SLEEP_TYPE,
        .device = device,
        .device_count = p->dev_count,
    };
    struct buf tables = {.max = ACPI_ROOM};
    for (unsigned i = 0; i < p->dev_count; i++)
        device[i] = (struct acpi_device){p->devs[i].window.base,
                                         (uint32_t)BOARD_MMIO_STRIDE,
                                         BOARD_IOAPIC_FIRST + p->devs[i].line};
    acpi_build(&tables, &plan);
    int rc = tables.failed;
    if (rc == 0 && !gmem_write(p->mem, gpa(AT_ACPI), tables.data, tables.size))
        rc = -EFAULT;
    buf_fini(&tables);
    return rc == 0 ? 0 : err_set(e, rc, "ACPI tables: %s", strerror(-rc));
}

int arch_linux_boot(const struct arch_linux *k, const struct arch_linux_plan *p,
                    struct arch_entry *entry, struct err *e)
{
    /* Null, unused, __BOOT_CS (0x10), __BOOT_DS (0x18): flat. */
    static const uint64_t gdt[] = {0, 0, UINT64_C(0x00af9b000000ffff),
                                   UINT64_C(0x00cf93000000ffff)};
    const size_t cmdline_size = strlen(p->cmdline) + 1;
    struct zero_page z;
    if (p->dev_count > BOARD_MMIO_SLOTS || cmdline_size > CMDLINE_ROOM)
        return err_set(e, -E2BIG, "too many devices or arguments for Linux");
    if (!gmem_read(p->mem, gpa(AT_ZERO_PAGE), &z, sizeof(z)) ||
        !put_tables(p->mem) ||
        !gmem_write(p->mem, gpa(AT_GDT), gdt, sizeof(gdt)) ||
        !gmem_write(p->mem, gpa(AT_CMDLINE), p->cmdline, cmdline_size))
        return err_set(e, -EFAULT, "kernel: no memory below 1 MiB");
    z.setup.type_of_loader = SETUP_LOADER;
    z.setup.loadflags |= SETUP_LOADED_HIGH;
    z.setup.ramdisk_image = (uint32_t)p->initrd.gpa; /* below initrd_end */
    z.setup.ramdisk_size = (uint32_t)p->initrd.size;
    z.setup.cmd_line_ptr = (uint32_t)AT_CMDLINE;
    z.acpi_rsdp = AT_ACPI;
    set_map(&z, p->mem);
    (void)gmem_write(p->mem, gpa(AT_ZERO_PAGE), &z, sizeof(z));
    *entry = (struct arch_entry){
        .pc = k->entry, .info = AT_ZERO_PAGE, .root = AT_TABLES};
    return put_acpi(p, e);
}
