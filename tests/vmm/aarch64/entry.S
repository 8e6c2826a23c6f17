// SPDX-License-Identifier: Apache-2.0
/* Toy guest: entry of every CPU with the MMU off, tables that map all gpas at
 * gpa and at 0xffff000000000000 + gpa, exception vectors. */
    .equ PHYSMAP, 0xffff000000000000

    .section .note.limpet, "a", @note
    .balign 4
    .long 7, 4, 1
    .asciz "Limpet"
    .balign 4
    .long 2                     /* BOOT_VERSION */

    .section .text.start, "ax"
    .globl toy_start, toy_start_other
toy_start:                      /* x0: gpa of boot_info */
    ldr x1, =PHYSMAP
    add x20, x0, x1
    mov x21, #0
    b enable
toy_start_other:                /* x0: CPU index, from PSCI CPU_ON */
    mov x20, #0
    mov x21, x0
enable:
    ldr x1, =0x00ff             /* 0: normal write-back, 1: device */
    msr mair_el1, x1
    ldr x1, =0x5b5103510        /* both halves: 48 bits, 4 KiB, cached; IPS 48 */
    msr tcr_el1, x1
    ldr x1, =toy_level0 - PHYSMAP
    msr ttbr0_el1, x1
    msr ttbr1_el1, x1
    isb
    mrs x1, sctlr_el1
    mov x2, #0x1005             /* MMU and both caches */
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    ldr x1, =toy_vectors
    msr vbar_el1, x1
    ldr x1, =toy_stacks
    add x2, x21, #1
    add x1, x1, x2, lsl #13
    mov sp, x1
    mov x29, #0
    mov x30, #0
    mov x0, x20
    mov x1, x21
    ldr x2, =toy_main
    blr x2
1:  b 1b
    .ltorg

    .text
    .balign 2048
toy_vectors:
    .set i, 0
    .rept 16
    .balign 128
    sub sp, sp, #192
    stp x0, x1, [sp]
    mov x0, #i
    b toy_common
    .set i, i + 1
    .endr

toy_common:
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x30, [sp, #144]
    mrs x1, elr_el1
    mrs x2, spsr_el1
    stp x1, x2, [sp, #160]
    bl toy_trap
    ldp x1, x2, [sp, #160]
    msr elr_el1, x1
    msr spsr_el1, x2
    ldp x18, x30, [sp, #144]
    ldp x16, x17, [sp, #128]
    ldp x14, x15, [sp, #112]
    ldp x12, x13, [sp, #96]
    ldp x10, x11, [sp, #80]
    ldp x8, x9, [sp, #64]
    ldp x6, x7, [sp, #48]
    ldp x4, x5, [sp, #32]
    ldp x2, x3, [sp, #16]
    ldp x0, x1, [sp]
    add sp, sp, #192
    eret

    .data
    .balign 4096
toy_level0:
    .quad toy_level1 - PHYSMAP + 3
    .zero 4088
toy_level1:                     /* 1 GiB blocks; the first is for devices */
    .quad 0x0060000000000405
    .set i, 1
    .rept 511
    .quad (i << 30) + 0x701
    .set i, i + 1
    .endr

    .bss
    .balign 4096
toy_stacks:
    .skip 8192 * 33
    .section .note.GNU-stack, "", %progbits
