// SPDX-License-Identifier: Apache-2.0
/* struct boot_info and what it points to, for our machine and for QEMU. */
#pragma once

#include <stdint.h>

#include "vmm/arch/arch.h"
#include "vmm/gmem.h"

struct err;
struct virtio_mmio;
struct vm_config;

/* What goes into guest memory before the first instruction. */
struct boot_plan {
    const struct vm_config *config;
    const struct arch_vm *arch;
    const struct gmem *mem;
    struct arch_window image;
    struct virtio_mmio *devs; /* set up, not started */
    unsigned dev_count;
    unsigned spare_count; /* behind them: only told of */
};

/* Write tables, rings, device tree, containers and boot_info; presets the
 * devices. Fills in *entry but its pc. */
int boot_write(const struct boot_plan *p, struct arch_entry *entry,
               struct err *e);

/* Bytes between the entry stacks, and the VIF pages, of two CPUs. */
#define BOOT_STACK_STRIDE UINT64_C(8192) /* BOOT_STACK_SIZE */
#define BOOT_VIF_STRIDE   UINT64_C(4096)

/* The QEMU blob (docs/boot.md) to `fd`. */
int boot_write_blob(const struct vm_config *c, int fd, struct err *e);
