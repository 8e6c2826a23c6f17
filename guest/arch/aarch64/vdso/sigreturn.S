// SPDX-License-Identifier: Apache-2.0
/* Of the vDSO: where a signal handler returns to. The two instructions are what
 * unwinders know a frame by, so there is no CFI here. */
.section .text.sigreturn, "ax"
.globl __kernel_rt_sigreturn
.type __kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
    mov x8, #139 /* rt_sigreturn */
    svc #0
.size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn
.section .note.GNU-stack, "", %progbits
