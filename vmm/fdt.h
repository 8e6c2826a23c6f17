// SPDX-License-Identifier: Apache-2.0
/* Devices -> flattened device tree (docs/boot.md). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/arch/arch.h"

struct err;
struct gmem;
struct virtio_mmio;

/* What the tree of our machine says. */
struct fdt_plan {
    const struct arch_vm *arch;
    const struct gmem *mem;
    struct arch_window image; /* size 0: none */
    const struct virtio_mmio *devs;
    unsigned dev_count;
    unsigned spare_count; /* behind them: not there yet */
};

enum { FDT_SIZE_MAX = 32768 };

/* Tree of our machine: RAM, what arch/ adds, image window, preset devices.
 * Returns the bytes used in `out`, or a negative errno. */
int fdt_machine(void *out, size_t room, const struct fdt_plan *p,
                struct err *e);

/* What a stock Linux kernel wants to know besides. */
struct fdt_linux {
    const char *cmdline;
    struct arch_window initrd;
    uint8_t seed[64];
};

/* Tree of our machine for a stock Linux: standard bindings only, devices not
 * preset. Returns the bytes used in `out`, or a negative errno. */
int fdt_stock(void *out, size_t room, const struct fdt_plan *p,
              const struct fdt_linux *l, struct err *e);

/* Tree of QEMU's microvm: plain virtio-mmio slots. */
int fdt_qemu(void *out, size_t room, struct err *e);
