// SPDX-License-Identifier: Apache-2.0
/* Devices -> flattened device tree (docs/boot.md). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct virtio_mmio;

/* The image window; size 0: none. */
struct fdt_image {
    uint64_t gpa;
    uint64_t size;
};

enum { FDT_SIZE_MAX = 32768 };

/* Tree of our machine: image window and preset devices. Returns the bytes
 * used in `out`, or a negative errno. */
int fdt_machine(void *out, size_t room, const struct fdt_image *image,
                const struct virtio_mmio *devs, unsigned count, struct err *e);

/* Tree of QEMU's microvm: plain virtio-mmio slots. */
int fdt_qemu(void *out, size_t room, struct err *e);
