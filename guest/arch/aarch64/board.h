// SPDX-License-Identifier: Apache-2.0
/* What the device tree says (board.c). The tree is the monitor's or QEMU's. */
#pragma once

#include "abi/boot.h"

#include "guest/core/fdt.h"

/* Nodes; off 0: there is none. */
struct board {
    struct fdt_node psci, gicv2, gicv3, timer, uart, image;
    struct fdt_node cpu[BOOT_CPU_MAX];
    uint32_t cpu_count;
    struct fdt_node memory[BOOT_RAM_MAX];
    uint32_t memory_count;
    uint64_t initrd_start, initrd_end; /* physical */
};
extern struct board board;

/* After fdt_init(), once. */
void board_scan(void);
