// SPDX-License-Identifier: Apache-2.0
/* Kernel stacks: switching, and the first code of new tasks; FP registers. */
#include "guest/arch/aarch64/asm.h"

.text
/* struct task *switch_stack(struct task *prev, struct task *next): returns
 * prev on next's stack. arch.sp is the first word of struct task. */
.globl switch_stack
.type switch_stack, @function
switch_stack:
    stp x29, x30, [sp, #-96]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    mov x2, sp
    str x2, [x0]
    ldr x2, [x1]
    mov sp, x2
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp x29, x30, [sp], #96
    ret
.size switch_stack, . - switch_stack

/* A new kernel task: x19 = fn, x20 = arg; x0 = prev. */
.globl task_start_kernel
.type task_start_kernel, @function
task_start_kernel:
    mov x1, x19
    mov x2, x20
    bl task_run
    brk #0
.size task_start_kernel, . - task_start_kernel

/* A forked task: the stack pointer is at its struct arch_regs. */
.globl task_start_user
.type task_start_user, @function
task_start_user:
    bl task_run_user
    b user_return
.size task_start_user, . - task_start_user

/* void enter_user(struct arch_regs *r), interrupts off */
.globl enter_user
.type enter_user, @function
enter_user:
    mov sp, x0
    b user_return
.size enter_user, . - enter_user

/* void fp_save(struct arch_fp *fp) */
.arch_extension fp
.arch_extension simd
.globl fp_save
.type fp_save, @function
fp_save:
    stp q0, q1, [x0, #32 * 0]
    stp q2, q3, [x0, #32 * 1]
    stp q4, q5, [x0, #32 * 2]
    stp q6, q7, [x0, #32 * 3]
    stp q8, q9, [x0, #32 * 4]
    stp q10, q11, [x0, #32 * 5]
    stp q12, q13, [x0, #32 * 6]
    stp q14, q15, [x0, #32 * 7]
    stp q16, q17, [x0, #32 * 8]
    stp q18, q19, [x0, #32 * 9]
    stp q20, q21, [x0, #32 * 10]
    stp q22, q23, [x0, #32 * 11]
    stp q24, q25, [x0, #32 * 12]
    stp q26, q27, [x0, #32 * 13]
    stp q28, q29, [x0, #32 * 14]
    stp q30, q31, [x0, #32 * 15]
    mrs x1, fpsr
    mrs x2, fpcr
    add x0, x0, #512
    stp w1, w2, [x0]
    ret
.size fp_save, . - fp_save

/* void fp_load(const struct arch_fp *fp) */
.globl fp_load
.type fp_load, @function
fp_load:
    ldp q0, q1, [x0, #32 * 0]
    ldp q2, q3, [x0, #32 * 1]
    ldp q4, q5, [x0, #32 * 2]
    ldp q6, q7, [x0, #32 * 3]
    ldp q8, q9, [x0, #32 * 4]
    ldp q10, q11, [x0, #32 * 5]
    ldp q12, q13, [x0, #32 * 6]
    ldp q14, q15, [x0, #32 * 7]
    ldp q16, q17, [x0, #32 * 8]
    ldp q18, q19, [x0, #32 * 9]
    ldp q20, q21, [x0, #32 * 10]
    ldp q22, q23, [x0, #32 * 11]
    ldp q24, q25, [x0, #32 * 12]
    ldp q26, q27, [x0, #32 * 13]
    ldp q28, q29, [x0, #32 * 14]
    ldp q30, q31, [x0, #32 * 15]
    add x0, x0, #512
    ldp w1, w2, [x0]
    msr fpsr, x1
    msr fpcr, x2
    ret
.size fp_load, . - fp_load
