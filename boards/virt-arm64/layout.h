// SPDX-License-Identifier: Apache-2.0
/*
 * Guest-physical map of Limpet's own arm64 machine. Interrupt controllers are
 * where QEMU's `-M virt` has them.
 *
 *   0x0008000000  GIC distributor
 *   0x0008010000  GICv2 CPU interface
 *   0x00080a0000  GICv3 redistributors, 128 KiB per CPU
 *   0x000a000000  device windows, one page each
 *   0x0040000000  RAM: boot_info at + 4 KiB, boot data, kernel at + 2 MiB
 *   (above RAM)   image window, 1 GiB-aligned, named by the FDT
 *
 * Every base is a multiple of 64 KiB: hosts may have pages that large.
 */
#pragma once

#include <stdint.h>

#define BOARD_RAM_BASE    UINT64_C(0x40000000)
#define BOARD_BOOT_INFO   (BOARD_RAM_BASE + UINT64_C(0x1000))
#define BOARD_BOOT_AREA   (BOARD_RAM_BASE + UINT64_C(0x10000))
#define BOARD_LOW_RAM_END (UINT64_C(1) << 48) /* RAM is one piece */
#define BOARD_HIGH_RAM    BOARD_LOW_RAM_END
#define BOARD_MMIO_BASE   UINT64_C(0x0a000000)
#define BOARD_MMIO_STRIDE UINT64_C(0x1000)
#define BOARD_MMIO_SLOTS  32
#define BOARD_CALL_SLOT   0 /* BOOT_CALL window; virtio from slot 1 */
#define BOARD_IMAGE_MIN   UINT64_C(0x80000000)
#define BOARD_IMAGE_ALIGN UINT64_C(0x40000000)

#define BOARD_GICD       UINT64_C(0x08000000)
#define BOARD_GICD_SIZE  UINT64_C(0x10000)
#define BOARD_GICC       UINT64_C(0x08010000) /* GICv2 */
#define BOARD_GICC_SIZE  UINT64_C(0x2000)
#define BOARD_GICR       UINT64_C(0x080a0000) /* GICv3 */
#define BOARD_GICR_SIZE  UINT64_C(0x20000)    /* of one CPU */
#define BOARD_SPI_COUNT  96                   /* device interrupt lines */
#define BOARD_SPI_FIRST  32                   /* interrupt id of line 0 */
#define BOARD_TIMER_VIRT 11                   /* PPI of the virtual timer */
