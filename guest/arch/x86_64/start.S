// SPDX-License-Identifier: Apache-2.0
/* 64-bit entry of every CPU (abi/boot.h): rdi = boot_info, rsi = CPU index,
 * rsp = boot stack. */
#include "guest/arch/x86_64/asm.h"

.section .text.start, "ax"
.globl _start
.type _start, @function
_start:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    test %esi, %esi
    jnz 1f
    mov %rax, arch_entry_tsc(%rip)
1:  xor %ebp, %ebp
    cld
    call arch_start
    ud2
.size _start, . - _start

/* How a loader knows that this ELF speaks abi/boot.h: version 2. */
.section .note.limpet, "a", @note
.balign 4
.long 8, 4, 1
.asciz "Limpet"
.balign 4
.long 2
