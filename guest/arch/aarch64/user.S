// SPDX-License-Identifier: Apache-2.0
/* Code for programs (arch_user_page): where a signal handler returns to. The
 * two instructions are what unwinders know a frame by; it must start here. */
.section .rodata
.balign 16
.globl user_page, user_page_end
user_page:
    mov x8, #139 /* rt_sigreturn */
    svc #0
user_page_end:
