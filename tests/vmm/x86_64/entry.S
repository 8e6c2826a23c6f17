// SPDX-License-Identifier: Apache-2.0
/* Toy guest: entry of every CPU, and one interrupt gate per vector. */
    .section .note.limpet, "a", @note
    .balign 4
    .long 7, 4, 1
    .asciz "Limpet"
    .balign 4
    .long 2 /* BOOT_VERSION */

    .section .text.start, "ax"
    .globl toy_start
toy_start:
    xor %ebp, %ebp
    call toy_main
1:  jmp 1b

/* A handler is 16 bytes: push the vector, go on. */
    .text
    .balign 16
    .globl toy_vectors
toy_vectors:
    .set i, 0
    .rept 256
    .balign 16
    .if !(i == 8 || (i >= 10 && i <= 14) || i == 17)
    push $0
    .endif
    push $i
    jmp toy_common
    .set i, i + 1
    .endr

toy_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    mov 80(%rsp), %rdi      /* vector */
    mov 96(%rsp), %rsi      /* rip */
    call toy_trap
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    movq $0x33, 8(%rsp)     /* pvm.md 3: a native iretq stays in the kernel */
    movq $0x2b, 32(%rsp)
    push %rax
    mov toy_vif(%rip), %rax
    movb $1, (%rax)
    pop %rax
    iretq
    .section .note.GNU-stack, "", @progbits
