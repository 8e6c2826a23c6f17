// SPDX-License-Identifier: Apache-2.0
/* Exceptions to EL1 (D1.3.1) and the way back. SP_EL1 is the kernel stack of
 * the current task: while a program runs, its top. */
#include "guest/arch/aarch64/asm.h"

.macro ENTER from_user
    sub sp, sp, #REGS_SIZE
    stp x0, x1, [sp, #16 * 0]
    stp x2, x3, [sp, #16 * 1]
    stp x4, x5, [sp, #16 * 2]
    stp x6, x7, [sp, #16 * 3]
    stp x8, x9, [sp, #16 * 4]
    stp x10, x11, [sp, #16 * 5]
    stp x12, x13, [sp, #16 * 6]
    stp x14, x15, [sp, #16 * 7]
    stp x16, x17, [sp, #16 * 8]
    stp x18, x19, [sp, #16 * 9]
    stp x20, x21, [sp, #16 * 10]
    stp x22, x23, [sp, #16 * 11]
    stp x24, x25, [sp, #16 * 12]
    stp x26, x27, [sp, #16 * 13]
    stp x28, x29, [sp, #16 * 14]
    .if \from_user
    mrs x1, sp_el0
    mov x29, #0
    .else
    add x1, sp, #REGS_SIZE
    .endif
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x30, x1, [sp, #REGS_SP - 8]
    stp x2, x3, [sp, #REGS_PC]
    mov x4, #-1
    stp x4, x0, [sp, #REGS_NR]
    .if !\from_user
    /* A frame for backtraces: {x29, pc} */
    stp x29, x2, [sp, #-16]!
    mov x29, sp
    add x0, sp, #16
    .else
    mov x0, sp
    .endif
.endm

.macro LEAVE from_user
    ldp x2, x3, [sp, #REGS_PC]
    .if \from_user
    ldr x1, [sp, #REGS_SP]
    msr sp_el0, x1
    .endif
    msr elr_el1, x2
    msr spsr_el1, x3
    ldp x0, x1, [sp, #16 * 0]
    ldp x2, x3, [sp, #16 * 1]
    ldp x4, x5, [sp, #16 * 2]
    ldp x6, x7, [sp, #16 * 3]
    ldp x8, x9, [sp, #16 * 4]
    ldp x10, x11, [sp, #16 * 5]
    ldp x12, x13, [sp, #16 * 6]
    ldp x14, x15, [sp, #16 * 7]
    ldp x16, x17, [sp, #16 * 8]
    ldp x18, x19, [sp, #16 * 9]
    ldp x20, x21, [sp, #16 * 10]
    ldp x22, x23, [sp, #16 * 11]
    ldp x24, x25, [sp, #16 * 12]
    ldp x26, x27, [sp, #16 * 13]
    ldp x28, x29, [sp, #16 * 14]
    ldr x30, [sp, #REGS_SP - 8]
    add sp, sp, #REGS_SIZE
    eret
.endm

.macro VECTOR to
    .balign 0x80
    b \to
.endm

.text
.balign 2048
.globl vectors
vectors:
    .rept 4 /* with SP_EL0: never used by the kernel */
    VECTOR kernel_other
    .endr
    VECTOR kernel_sync
    VECTOR kernel_irq
    VECTOR kernel_other
    VECTOR kernel_other
    VECTOR user_sync
    VECTOR user_irq
    VECTOR user_other
    VECTOR user_other
    .rept 4 /* AArch32 programs do not run */
    VECTOR user_other
    .endr

user_sync:
    ENTER 1
    mrs x1, esr_el1
    bl trap_user_sync
.globl user_return
user_return: /* sp = struct arch_regs, interrupts off */
    LEAVE 1

user_irq:
    ENTER 1
    bl trap_user_irq
    LEAVE 1

user_other: /* SError, FIQ */
    ENTER 1
    mrs x1, esr_el1
    bl trap_user_other
    LEAVE 1

kernel_sync:
    ENTER 0
    mrs x1, esr_el1
    bl trap_kernel_sync
    add sp, sp, #16
    LEAVE 0

kernel_irq:
    ENTER 0
    bl irq_serve
    add sp, sp, #16
    LEAVE 0

kernel_other:
    ENTER 0
    mrs x1, esr_el1
    bl trap_fatal
    brk #0
