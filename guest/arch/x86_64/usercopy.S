// SPDX-License-Identifier: Apache-2.0
/*
 * Access to user memory that may fault. Each faulting instruction has an
 * entry {instruction, where to go on} in the section extable, both relative
 * to their own place.
 */
.macro EXTABLE at, to
    .pushsection extable, "a"
    .balign 4
    .long \at - .
    .long \to - .
    .popsection
.endm

/* SMAP: user memory is open only between these. */
.macro USER_OPEN
    cmpb $0, arch_smap(%rip)
    je 77f
    stac
77:
.endm
.macro USER_CLOSE
    cmpb $0, arch_smap(%rip)
    je 78f
    clac
78:
.endm

.text
/* size_t arch_copy_user(void *to, const void *from, size_t n) */
.globl arch_copy_user
.type arch_copy_user, @function
arch_copy_user:
    USER_OPEN
    mov %rdx, %rcx
    cmp $128, %rdx
    jae 5f
    /* rcx: bytes left, exact at each access that may fault */
1:  cmp $8, %rcx
    jb 5f
2:  mov (%rsi), %rax
3:  mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rcx
    jmp 1b
5:  rep movsb
6:  USER_CLOSE
    mov %rcx, %rax
    ret
    /* A word failed: its first bytes may still be copied, one by one. */
    EXTABLE 2b, 5b
    EXTABLE 3b, 5b
    EXTABLE 5b, 6b
.size arch_copy_user, . - arch_copy_user

/* int arch_user_load32(uint64_t at, uint32_t *out) */
.globl arch_user_load32
.type arch_user_load32, @function
arch_user_load32:
    USER_OPEN
    xor %eax, %eax
1:  mov (%rdi), %ecx
    mov %ecx, (%rsi)
2:  USER_CLOSE
    ret
3:  mov $-14, %eax
    jmp 2b
    EXTABLE 1b, 3b
.size arch_user_load32, . - arch_user_load32

/* int arch_user_cmpxchg32(uint64_t at, uint32_t expect, uint32_t desired,
 *                         uint32_t *old) */
.globl arch_user_cmpxchg32
.type arch_user_cmpxchg32, @function
arch_user_cmpxchg32:
    USER_OPEN
    mov %rcx, %r8
    mov %esi, %eax
1:  lock cmpxchg %edx, (%rdi)
    mov %eax, (%r8)
    xor %eax, %eax
2:  USER_CLOSE
    ret
3:  mov $-14, %eax
    jmp 2b
    EXTABLE 1b, 3b
.size arch_user_cmpxchg32, . - arch_user_cmpxchg32
