// SPDX-License-Identifier: Apache-2.0
/*
 * Linux's boot protocol on x86: the parts of the "zero page" that we read or
 * write (Documentation/arch/x86/boot.rst and zero-page.rst).
 */
#pragma once

#include "abi/abi.h"

/* From ZERO_HEADER on; the same bytes are in a bzImage at that offset. */
struct setup_header {
    uint8_t setup_sects; /* 512-byte sectors before the kernel, less one */
    uint8_t pad0[2];
    uint32_t syssize; /* of the kernel, in 16 bytes */
    uint8_t pad1[6];
    uint16_t boot_flag; /* SETUP_BOOT_FLAG */
    uint8_t jump;
    uint8_t jump_size; /* the header ends so far after itself */
    uint32_t header;   /* SETUP_MAGIC */
    uint16_t version;  /* of the protocol */
    uint8_t pad2[8];
    uint8_t type_of_loader; /* SETUP_LOADER */
    uint8_t loadflags;
    uint8_t pad3[6];
    uint32_t ramdisk_image;
    uint32_t ramdisk_size;
    uint8_t pad4[8];
    uint32_t cmd_line_ptr;
    uint32_t initrd_addr_max; /* last byte the initrd may take */
    uint32_t kernel_alignment;
    uint8_t relocatable;
    uint8_t min_alignment;
    uint16_t xloadflags; /* SETUP_XLF_* */
    uint32_t cmdline_size;
    uint8_t pad5[28];
    uint64_t pref_address;
    uint32_t init_size; /* what the kernel takes before it reads the map */
    uint8_t pad6[4];
} __attribute__((packed));

#define SETUP_BOOT_FLAG   UINT16_C(0xaa55)
#define SETUP_MAGIC       UINT32_C(0x53726448) /* "HdrS" */
#define SETUP_VERSION     UINT16_C(0x20c)      /* xloadflags are there */
#define SETUP_LOADER      UINT8_C(0xff)        /* none with a number */
#define SETUP_LOADED_HIGH UINT8_C(1)
#define SETUP_XLF_64      UINT16_C(1) /* 64-bit entry at + 0x200 */
#define SETUP_ENTRY_64    UINT64_C(0x200)

struct e820_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type; /* E820_* */
} __attribute__((packed));

#define E820_RAM      UINT32_C(1)
#define E820_RESERVED UINT32_C(2)

struct zero_page {
    uint8_t pad0[0x70];
    uint64_t acpi_rsdp;
    uint8_t pad1[0x1e8 - 0x78];
    uint8_t e820_count;
    uint8_t pad2[8];
    struct setup_header setup;
    uint8_t pad3[0x2d0 - 0x1f1 - sizeof(struct setup_header)];
    struct e820_entry e820[128];
    uint8_t pad4[4096 - 0x2d0 - 128 * sizeof(struct e820_entry)];
} __attribute__((packed));

ABI_AT(struct setup_header, header, 0x202 - 0x1f1);
ABI_AT(struct setup_header, type_of_loader, 0x210 - 0x1f1);
ABI_AT(struct setup_header, ramdisk_image, 0x218 - 0x1f1);
ABI_AT(struct setup_header, cmd_line_ptr, 0x228 - 0x1f1);
ABI_AT(struct setup_header, xloadflags, 0x236 - 0x1f1);
ABI_AT(struct setup_header, pref_address, 0x258 - 0x1f1);
ABI_AT(struct zero_page, setup, 0x1f1);
ABI_AT(struct zero_page, e820, 0x2d0);
ABI_SIZE(struct zero_page, 4096);
