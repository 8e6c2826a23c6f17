// SPDX-License-Identifier: Apache-2.0
/*
 * First instructions of every CPU: abi/boot.h, Linux's Image header
 * (Documentation/arm64/booting.rst) and PSCI CPU_ON. The MMU is off; addresses
 * are physical until `mmu_on`.
 */
#include "guest/arch/aarch64/asm.h"

.macro LOAD reg, value
    movz \reg, #((\value) & 0xffff)
    movk \reg, #(((\value) >> 16) & 0xffff), lsl #16
    movk \reg, #(((\value) >> 32) & 0xffff), lsl #32
    movk \reg, #(((\value) >> 48) & 0xffff), lsl #48
.endm

.section .text.start, "ax"
.globl image_start
image_start: /* e_entry: the same, physical */
    b primary_entry
    .long 0
    .quad 0x200000                  /* from the start of RAM */
    .quad arch_kernel_end - image_start
    .quad 2                         /* little-endian, 4 KiB */
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0

/* x0: boot_info or FDT */
primary_entry:
    mrs x20, cntvct_el0
    mov x21, x0
    bl el1_enter
    bl mmu_on
    adrp x1, boot_stack
    add x1, x1, #:lo12:boot_stack
    add sp, x1, #ARM_STACK
    mov x29, #0
    mov x30, #0
    mov x0, x21
    mov x1, x20
    bl arch_start
    brk #0

/* x0: CPU index */
.globl secondary_entry
secondary_entry:
    mov x21, x0
    bl el1_enter
    bl mmu_on
    adrp x1, secondary_stacks
    add x1, x1, #:lo12:secondary_stacks
    ldr x1, [x1, x21, lsl #3]
    add sp, x1, #ARM_STACK
    mov x29, #0
    mov x30, #0
    mov x0, x21
    bl arch_start_secondary
    brk #0

/* From EL2 to EL1: everything of EL1 allowed, nothing trapped. DDI 0487
 * D17.2.48 HCR_EL2, D17.11.2 CNTHCTL_EL2, D17.2.30 CPTR_EL2. */
el1_enter:
    mrs x1, currentel
    cmp x1, #8
    b.eq 1f
    LOAD x1, ARM_SCTLR /* the reset value is unknown */
    msr sctlr_el1, x1
    isb
    ret
1:  mov x1, #(1 << 31) /* RW */
    msr hcr_el2, x1
    mov x1, #3 /* EL1 may read the physical counter and timer */
    msr cnthctl_el2, x1
    msr cntvoff_el2, xzr
    mov x1, #0x33ff
    msr cptr_el2, x1
    msr hstr_el2, xzr
    msr mdcr_el2, xzr
    msr vttbr_el2, xzr
    mrs x1, midr_el1
    msr vpidr_el2, x1
    mrs x1, mpidr_el1
    msr vmpidr_el2, x1
    mrs x1, id_aa64pfr0_el1
    ubfx x1, x1, #24, #4 /* GIC system registers */
    cbz x1, 2f
    mrs x1, s3_4_c12_c9_5 /* ICC_SRE_EL2 */
    mov x2, #9 /* SRE, Enable */
    orr x1, x1, x2
    msr s3_4_c12_c9_5, x1
    isb
    mrs x1, s3_4_c12_c9_5
    tbz x1, #0, 2f
    msr s3_4_c12_c11_0, xzr /* ICH_HCR_EL2 */
2:  LOAD x1, ARM_SCTLR
    msr sctlr_el1, x1
    mov x1, #PSR_EL1_MASKED
    msr spsr_el2, x1
    msr elr_el2, x30
    eret

/* On with the boot tables, and back to the caller in the kernel's half. */
mmu_on:
    adrp x1, boot_l0
    msr ttbr0_el1, x1
    msr ttbr1_el1, x1
    mov x2, #ARM_MAIR
    msr mair_el1, x2
    LOAD x2, ARM_TCR
    mrs x3, id_aa64mmfr0_el1
    ubfx x4, x3, #4, #4 /* ASIDBits: 2 is 16 */
    cmp x4, #2
    cset x4, eq
    bfi x2, x4, #36, #1
    and x3, x3, #0xf /* PARange, at most 48 bits */
    cmp x3, #5
    mov x4, #5
    csel x3, x3, x4, lo
    bfi x2, x3, #32, #3
    msr tcr_el1, x2
    mov x2, #(3 << 20) /* CPACR_EL1.FPEN */
    msr cpacr_el1, x2
    msr mdscr_el1, xzr
    ic iallu
    tlbi vmalle1
    dsb nsh
    isb
    LOAD x2, ARM_SCTLR
    orr x2, x2, #1 /* M */
    msr sctlr_el1, x2
    isb
    LOAD x2, ARM_VA
    orr x30, x30, x2
    adr x1, 1f
    orr x1, x1, x2
    br x1
1:  ret

/* void mmu_switch(uint64_t ttbr1, uint64_t ttbr0): all translations change at
 * once, from code that stands on the identity mapping in TTBR0 (D8.14.1: the
 * old ones are forgotten before the new ones are used). */
.text
.globl mmu_switch
.type mmu_switch, @function
mmu_switch:
    LOAD x2, ARM_VA
    adrp x3, boot_l0
    bic x3, x3, x2
    msr ttbr0_el1, x3
    isb
    adr x4, 1f
    bic x4, x4, x2
    br x4
1:  adrp x3, empty_root
    msr ttbr1_el1, x3
    isb
    tlbi vmalle1
    dsb nsh
    isb
    msr ttbr1_el1, x0
    isb
    adr x4, 2f
    orr x4, x4, x2
    br x4
2:  msr ttbr0_el1, x1
    isb
    tlbi vmalle1
    dsb nsh
    isb
    ret
.size mmu_switch, . - mmu_switch

/* One GiB of devices and the first GiB of RAM, at 0 and at ARM_VA alike. */
.section .data.tables, "aw"
.balign 4096
.globl boot_l0
boot_l0:
    .quad boot_l1 - ARM_VA + 3
    .fill 511, 8, 0
boot_l1:
    .quad 0x00000000 + 0x60000000000401 + (MAIR_DEVICE << 2)
    .quad 0x40000000 + 0x40000000000701
    .fill 510, 8, 0
.globl empty_root
empty_root:
    .fill 512, 8, 0

.section .bss.stack, "aw", %nobits
.balign 16
boot_stack:
    .skip ARM_STACK

/* How a loader knows that this ELF speaks abi/boot.h: version 2. */
.section .note.limpet, "a", @note
.balign 4
.long 8, 4, 1
.asciz "Limpet"
.balign 4
.long 2
