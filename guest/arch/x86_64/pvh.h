// SPDX-License-Identifier: Apache-2.0
/* What pvh.S leaves for qemu.c. */
#pragma once

#define PVH_ROOT       0x10000
#define PVH_PHYSMAP_L3 0x11000
#define PVH_KERNEL_L3  0x12000
#define PVH_L2         0x13000 /* four: 0 .. 4 GiB */
#define PVH_STACK      0x1f000 /* top; QEMU_TABLES follows */
#define PVH_MAP_MAX    32

#ifndef __ASSEMBLER__
#include <stdint.h>

#define PVH_RAM 1

struct pvh_range {
    uint64_t base, size;
    uint32_t type; /* as in the BIOS E820 map */
    uint32_t pad0;
};

/* Copied before the tables overwrite low memory. */
struct pvh_info {
    uint32_t map_count;
    uint32_t module_count;
    struct { /* hvm_modlist_entry */
        uint64_t base, size, cmdline, pad0;
    } module;
    struct pvh_range map[PVH_MAP_MAX];
};
extern struct pvh_info pvh_info;
#endif
