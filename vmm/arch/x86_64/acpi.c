// SPDX-License-Identifier: Apache-2.0
/* ACPI tables. Numbers of sections are of ACPI 6.4. */
#include "vmm/arch/x86_64/acpi.h"

#include <string.h>

#include "base/buf.h"

enum { HEADER_SIZE = 36, RSDP_SIZE = 36, FADT_SIZE = 276, ALIGN = 16 };

/* ---- bytes ---- */

static void put8(struct buf *b, unsigned v)
{
    const uint8_t byte = (uint8_t)v;
    buf_add(b, &byte, 1);
}

static void put32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof(v)); /* little-endian, as ACPI is */
}

static void put64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, sizeof(v));
}

static void put_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

static void put_zero(struct buf *b, size_t count)
{
    while (count-- > 0)
        put8(b, 0);
}

/* What makes the bytes from `from` on add up to 0, at `at`. */
static void set_sum(struct buf *b, size_t from, size_t size, size_t at)
{
    uint8_t sum = 0;
    if (b->failed != 0)
        return;
    for (size_t i = from; i < from + size; i++)
        sum = (uint8_t)(sum + (uint8_t)b->data[i]);
    b->data[at] = (char)(b->data[at] - sum);
}

/* ---- tables ---- */

/* System Description Table Header, 5.2.6. Returns where it begins. */
static size_t table_begin(struct buf *b, const char *signature, unsigned rev)
{
    put_zero(b, (ALIGN - b->size % ALIGN) % ALIGN);
    size_t start = b->size;
    put_text(b, signature);
    put32(b, 0); /* length, at the end */
    put8(b, rev);
    put8(b, 0); /* checksum, at the end */
    put_text(b, "LIMPET");
    put_text(b, "LIMPETVM");
    put32(b, 1);
    put_text(b, "LMPT");
    put32(b, 1);
    return start;
}

static void table_end(struct buf *b, size_t start)
{
    const uint32_t size = (uint32_t)(b->size - start);
    if (b->failed != 0)
        return;
    memcpy(b->data + start + 4, &size, sizeof(size));
    set_sum(b, start, size, start + 9);
}

/* Generic Address Structure, 5.2.3.2: an 8-bit register in memory. */
static void put_register(struct buf *b, uint64_t at)
{
    put8(b, 0); /* system memory */
    put8(b, 8);
    put8(b, 0);
    put8(b, 1); /* byte access */
    put64(b, at);
}

/* FADT, 5.2.9. Hardware-reduced: no PM registers, no SCI. */
static uint64_t put_fadt(struct buf *b, const struct acpi_plan *p,
                         uint64_t dsdt)
{
    /* No VGA, no CMOS clock, no 8042, no legacy devices (table 5.11); reset
     * register, no fixed buttons, hardware-reduced (table 5.10). */
    const uint32_t boot_arch = UINT32_C(1) << 2 | UINT32_C(1) << 5;
    const uint32_t flags = UINT32_C(1) << 4 | UINT32_C(1) << 5 |
                           UINT32_C(1) << 10 | UINT32_C(1) << 20;
    size_t start = table_begin(b, "FACP", 6);
    put_zero(b, 109 - HEADER_SIZE);
    put8(b, boot_arch & 0xff);
    put8(b, boot_arch >> 8);
    put8(b, 0);
    put32(b, flags);
    put_register(b, p->reset);
    put8(b, p->reset_value);
    put_zero(b, 2);
    put8(b, 4); /* minor version */
    put64(b, 0);
    put64(b, dsdt);
    put_zero(b, 244 - 148);
    put_register(b, p->sleep);
    put_register(b, p->status);
    put_text(b, "LIMPETVM"); /* hypervisor vendor */
    table_end(b, start);
    return p->at + start;
}

/* MADT, 5.2.12. */
static uint64_t put_madt(struct buf *b, const struct acpi_plan *p)
{
    size_t start = table_begin(b, "APIC", 5);
    put32(b, p->local_apic);
    put32(b, 0); /* no 8259 */
    for (unsigned i = 0; i < p->cpus; i++) {
        put8(b, 0); /* local APIC, 8 bytes */
        put8(b, 8);
        put8(b, i);
        put8(b, i);
        put32(b, 1); /* enabled */
    }
    put8(b, 1); /* I/O APIC, 12 bytes */
    put8(b, 12);
    put8(b, 0);
    put8(b, 0);
    put32(b, p->io_apic);
    put32(b, 0);
    table_end(b, start);
    return p->at + start;
}

/* ---- AML, chapter 20 ---- */

enum {
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_STRING = 0x0d,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXT = 0x5b,
    AML_DEVICE = 0x82,
};

static void put_name(struct buf *b, const char *name)
{
    put8(b, AML_NAME);
    put_text(b, name);
}

/* _CRS: the window and its interrupt (6.4.3.4, 6.4.3.6, 6.4.2.9). */
static void put_resources(struct buf *b, const struct acpi_device *d)
{
    enum { SIZE = 12 + 9 + 2 };
    put_name(b, "_CRS");
    put8(b, AML_BUFFER);
    put8(b, 1 + 2 + SIZE);
    put8(b, AML_BYTE);
    put8(b, SIZE);
    put8(b, 0x86); /* Memory32Fixed, 9 bytes, read and write */
    put8(b, 9);
    put8(b, 0);
    put8(b, 1);
    put32(b, (uint32_t)d->base);
    put32(b, d->size);
    put8(b, 0x89); /* Interrupt, 6 bytes: consumer, edge, active high */
    put8(b, 6);
    put8(b, 0);
    put8(b, 3);
    put8(b, 1);
    put32(b, d->gsi);
    put8(b, 0x79);
    put8(b, 0);
}

static void put_device(struct buf *b, unsigned index,
                       const struct acpi_device *d)
{
    static const char digits[] = "0123456789ABCDEF";
    put8(b, AML_EXT);
    put8(b, AML_DEVICE);
    put8(b, 1 + 4 + 15 + 7 + 32);
    put_text(b, "VR");
    put8(b, (unsigned)digits[index / 16 % 16]);
    put8(b, (unsigned)digits[index % 16]);
    put_name(b, "_HID");
    put8(b, AML_STRING);
    buf_add(b, "LNRO0005", 9);
    put_name(b, "_UID");
    put8(b, AML_BYTE);
    put8(b, index);
    put_resources(b, d);
}

static uint64_t put_dsdt(struct buf *b, const struct acpi_plan *p)
{
    size_t start = table_begin(b, "DSDT", 2);
    put_name(b, "_S5_"); /* 7.4.2.6 */
    put8(b, AML_PACKAGE);
    put8(b, 7);
    put8(b, 4);
    put8(b, AML_BYTE);
    put8(b, p->sleep_type);
    put_zero(b, 3);
    /* PkgLength in two bytes, 20.2.4: low 4 bits, then the next 8. */
    const unsigned size = 2 + 5 + p->device_count * 61;
    put8(b, AML_SCOPE);
    put8(b, 1U << 6 | (size & 15));
    put8(b, size >> 4);
    put_text(b, "\\_SB_");
    for (unsigned i = 0; i < p->device_count; i++)
        put_device(b, i, &p->device[i]);
    table_end(b, start);
    return p->at + start;
}

/* ---- roots ---- */

/* RSDP, 5.2.5.3. */
static void put_rsdp(struct buf *b)
{
    put_text(b, "RSD PTR ");
    put8(b, 0); /* checksum of the first 20 bytes */
    put_text(b, "LIMPET");
    put8(b, 2);
    put32(b, 0);
    put32(b, RSDP_SIZE);
    put64(b, 0); /* XSDT, when it is there */
    put_zero(b, 4);
}

static void set_rsdp(struct buf *b, uint64_t xsdt)
{
    if (b->failed != 0)
        return;
    memcpy(b->data + 24, &xsdt, sizeof(xsdt));
    set_sum(b, 0, 20, 8);
    set_sum(b, 0, RSDP_SIZE, 32);
}

void acpi_build(struct buf *b, const struct acpi_plan *p)
{
    put_rsdp(b);
    const uint64_t dsdt = put_dsdt(b, p);
    const uint64_t fadt = put_fadt(b, p, dsdt);
    const uint64_t madt = put_madt(b, p);
    size_t xsdt = table_begin(b, "XSDT", 1);
    put64(b, fadt);
    put64(b, madt);
    table_end(b, xsdt);
    set_rsdp(b, p->at + xsdt);
}
