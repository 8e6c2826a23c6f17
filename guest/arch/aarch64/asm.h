// SPDX-License-Identifier: Apache-2.0
/* Constants that assembly shares with C; start.c asserts the offsets. */
#pragma once

#define ARM_VA 0xffff000000000000 /* ARCH_PHYSMAP, BOOT_KERNEL_ARM */

/* struct arch_regs */
#define REGS_SIZE 288
#define REGS_SP   248
#define REGS_PC   256
#define REGS_NR   272
#define REGS_X0   280 /* orig_x0 */

#define ARM_STACK 8192 /* boot and idle stacks, bytes */

/* PSTATE in SPSR_EL1: C5.2.18 */
#define PSR_MODE       0xf
#define PSR_EL0        0x0
#define PSR_EL1H       0x5
#define PSR_F          0x40
#define PSR_I          0x80
#define PSR_A          0x100
#define PSR_D          0x200
#define PSR_SS         0x200000
#define PSR_PAN        0x400000
#define PSR_NZCV       0xf0000000
#define PSR_EL1_MASKED (PSR_D | PSR_A | PSR_I | PSR_F | PSR_EL1H)

/* MAIR_EL1: attribute 0 normal write-back, 1 device nGnRE (D17.2.97) */
#define ARM_MAIR    0x04ff
#define MAIR_NORMAL 0
#define MAIR_DEVICE 1

/* TCR_EL1 (D17.2.131) without IPS and AS: 48 bits and 4 KiB in both halves,
 * walks write-back inner shareable, top byte of user addresses ignored. */
#define ARM_TCR 0x20b5103510

/* SCTLR_EL1 (D17.2.118) without the MMU: RES1 bits, caches, stack alignment
 * checks, and for EL0: CTR_EL0, DC ZVA, cache maintenance, WFE; WFI traps, for
 * there is no tick to end it. SPAN stays set until PAN is known to exist. */
#define ARM_SCTLR 0x34d4d99c
