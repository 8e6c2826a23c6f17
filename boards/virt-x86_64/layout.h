// SPDX-License-Identifier: Apache-2.0
/*
 * Guest-physical map of Limpet's own x86-64 machine.
 *
 *   0x0000000000  null page, never mapped to anything useful
 *   0x0000001000  boot_info
 *   0x0000010000  boot page tables, VIF pages, stacks, FDT, containers ...
 *   0x0000200000  kernel image, then free RAM
 *   0x00c0000000  end of low RAM (more continues at 4 GiB)
 *   0x00d0000000  device windows, one page each
 *   0x00fee00000  local APIC
 *   0x0100000000  high RAM
 *   (above RAM)   image window, 1 GiB-aligned, named by the FDT
 */
#pragma once

#include <stdint.h>

#define BOARD_RAM_BASE    UINT64_C(0)
#define BOARD_BOOT_INFO   UINT64_C(0x1000)
#define BOARD_BOOT_AREA   UINT64_C(0x10000) /* first byte for tables etc. */
#define BOARD_LOW_RAM_END UINT64_C(0xc0000000)
#define BOARD_HIGH_RAM    UINT64_C(0x100000000)
#define BOARD_MMIO_BASE   UINT64_C(0xd0000000)
#define BOARD_MMIO_STRIDE UINT64_C(0x1000)
#define BOARD_MMIO_SLOTS  32
#define BOARD_CALL_SLOT   0 /* BOOT_CALL window; virtio from slot 1 */
#define BOARD_MMIO_SIZE   UINT64_C(0x200000) /* mapped by the boot tables */
#define BOARD_APIC        UINT64_C(0xfee00000)
#define BOARD_IMAGE_MIN   UINT64_C(0x200000000) /* lowest image window */
#define BOARD_IMAGE_ALIGN UINT64_C(0x40000000)
#define BOARD_IRQ_VECTOR  0x50 /* vector of device interrupt line 0 */
#define BOARD_IRQ_COUNT   96
#define BOARD_GSI_BASE    24 /* GSI of device interrupt line 0 */

/* With a stock Linux as the guest: all of RAM but what its boot protocol puts
 * below 1 MiB is its own, and KVM has an IOAPIC. */
#define BOARD_LINUX_GDT    UINT64_C(0x6000)
#define BOARD_IOAPIC       UINT64_C(0xfec00000)
#define BOARD_IOAPIC_FIRST 4 /* pin and GSI of device interrupt line 0 */
#define BOARD_IOAPIC_PINS  24
