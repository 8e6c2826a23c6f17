// SPDX-License-Identifier: Apache-2.0
/* Copy and fill: "fast string" instructions (Intel SDM 1, 7.3.9.3); short runs
 * byte by byte would cost more than the start-up of rep. */
.text
.globl arch_memcpy
.type arch_memcpy, @function
arch_memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    cmp $64, %rdx
    jae 1f
    shr $3, %rcx
    jz 3f
2:  mov (%rsi), %r8
    mov %r8, (%rdi)
    add $8, %rsi
    add $8, %rdi
    dec %rcx
    jnz 2b
3:  and $7, %edx
    jz 5f
4:  mov (%rsi), %r8b
    mov %r8b, (%rdi)
    inc %rsi
    inc %rdi
    dec %edx
    jnz 4b
5:  ret
1:  rep movsb
    ret
.size arch_memcpy, . - arch_memcpy

.globl arch_memset
.type arch_memset, @function
arch_memset:
    mov %rdi, %r8
    mov %esi, %eax
    mov %rdx, %rcx
    rep stosb
    mov %r8, %rax
    ret
.size arch_memset, . - arch_memset
