// SPDX-License-Identifier: Apache-2.0
/*
 * QEMU 7.2 `-M microvm,acpi=off` as far as our kernel uses it.
 * Source: QEMU docs/system/i386/microvm.rst and hw/i386/microvm.c addresses as
 * seen by `info mtree` and the kernel command line QEMU appends.
 */
#pragma once

#include <stdint.h>

#define QEMU_VIRTIO_BASE   UINT64_C(0xfeb00000)
#define QEMU_VIRTIO_STRIDE UINT64_C(0x200)
#define QEMU_VIRTIO_SLOTS  8 /* -M microvm has 8 without the second IOAPIC */
#define QEMU_VIRTIO_IRQ    5 /* IOAPIC pin of slot 0 */
#define QEMU_IOAPIC        UINT64_C(0xfec00000)
#define QEMU_APIC          UINT64_C(0xfee00000)
#define QEMU_EXIT_PORT     0xf4 /* isa-debug-exit */
#define QEMU_DEBUG_PORT    0xe9 /* isa-debugcon */
