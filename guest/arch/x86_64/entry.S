// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel entry and exit. docs/guest-x86.md has the picture. On PVM the
 * hypervisor swaps GS and these soft instructions leave the kernel; in ring 0
 * (arch_ring0 != 0) swapgs, sysretq and iretq do.
 */
#include "guest/arch/x86_64/asm.h"

.macro PUSH_REGS
    push %r15
    push %r14
    push %r13
    push %r12
    push %rbp
    push %rbx
    push %r11
    push %rcx
    push %rax
    push %r9
    push %r8
    push %r10
    push %rdx
    push %rsi
    push %rdi
.endm

.macro POP_REGS
    pop %rdi
    pop %rsi
    pop %rdx
    pop %r10
    pop %r8
    pop %r9
    pop %rax
    pop %rcx
    pop %r11
    pop %rbx
    pop %rbp
    pop %r12
    pop %r13
    pop %r14
    pop %r15
.endm

.text
/* One 16-byte stub per vector; vectors with a hardware error code skip the
 * dummy one. */
.balign 16
.globl vector_stubs
vector_stubs:
.set i, 0
.rept 256
    .balign 16
    .if !(i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21)
    push $0
    .endif
    push $~i
    jmp trap_entry
    .set i, i + 1
.endr

.balign 16
.type trap_entry, @function
trap_entry:
    PUSH_REGS
    cld
    testb $3, REGS_CS(%rsp)
    jz 3f
    cmpb $0, arch_ring0(%rip)
    je 1f
    swapgs
    /* The program's AC would open SMAP, or on PVM trap our own accesses. */
1:  testl $X86_AC, REGS_RFLAGS(%rsp)
    jz 2f
    pushq $2
    popfq
2:  xor %ebp, %ebp
    mov %rsp, %rdi
    call trap_user

.globl user_return
user_return: /* rsp = struct arch_regs, interrupts off */
    POP_REGS
    add $16, %rsp
    cmpb $0, arch_ring0(%rip)
    jne 1f
    int $PVM_ERETU
1:  swapgs
    iretq

3:  mov %rsp, %rdi
    call trap_kernel
    POP_REGS
    add $16, %rsp
    cmpb $0, arch_ring0(%rip)
    jne 4f
    /* Hardware selectors make this a plain iretq from ring 3 to ring 3 that
     * does not exit; trap_kernel restored the virtual IF. */
    movq $X86_CS_USER, 8(%rsp)
    movq $X86_SS_USER, 32(%rsp)
4:  iretq
.size trap_entry, . - trap_entry

/* A frame like a trap's, from rcx = rip, r11 = rflags, user_sp. */
.macro SYSCALL_FRAME
    pushq $X86_SS_USER
    pushq %gs:CPU_USER_SP
    push %r11
    pushq $X86_CS_USER
    push %rcx
    pushq $0
    mov %eax, %eax
    push %rax
    PUSH_REGS
.endm

.balign 16
.globl syscall_entry_pvm
.type syscall_entry_pvm, @function
syscall_entry_pvm:
    mov %rsp, %gs:CPU_USER_SP
    mov %gs:CPU_KERNEL_SP, %rsp
    SYSCALL_FRAME
    /* The hypervisor does not promise to apply SFMASK. */
    test $(X86_AC | X86_NT | X86_DF | X86_TF), %r11d
    jnz 2f
1:  xor %ebp, %ebp
    mov %rsp, %rdi
    call syscall_serve
    test %al, %al
    jz user_return
    POP_REGS
    mov REGS_RSP - REGS_NR(%rsp), %rsp
    int $PVM_SYSRET
2:  pushq $2
    popfq
    jmp 1b
.size syscall_entry_pvm, . - syscall_entry_pvm

.balign 16
.globl syscall_entry_ring0
.type syscall_entry_ring0, @function
syscall_entry_ring0:
    swapgs
    mov %rsp, %gs:CPU_USER_SP
    mov %gs:CPU_KERNEL_SP, %rsp
    SYSCALL_FRAME
    xor %ebp, %ebp
    mov %rsp, %rdi
    call syscall_serve
    test %al, %al
    jz user_return
    POP_REGS
    mov REGS_RSP - REGS_NR(%rsp), %rsp
    swapgs
    sysretq
.size syscall_entry_ring0, . - syscall_entry_ring0

/* Nothing of ours sends NMIs; one may come between any two instructions, so
 * this touches neither GS nor the virtual IF. Own stack (IST). */
.balign 16
.globl nmi_entry
.type nmi_entry, @function
nmi_entry:
    cmpb $0, arch_ring0(%rip)
    jne 1f
    testb $3, 8(%rsp)
    jnz 2f
    movq $X86_CS_USER, 8(%rsp)
    movq $X86_SS_USER, 32(%rsp)
1:  iretq
2:  int $PVM_ERETU
.size nmi_entry, . - nmi_entry

/* Double fault and machine check: the end. Own stack (IST); GS may be the
 * program's in ring 0. */
.balign 16
.globl fatal_entry_mc
.type fatal_entry_mc, @function
fatal_entry_mc:
    pushq $0
    pushq $~VEC_MC
    jmp 1f
.globl fatal_entry_df
fatal_entry_df:
    pushq $~VEC_DF
1:  PUSH_REGS
    cld
    cmpb $0, arch_ring0(%rip)
    je 2f
    mov $MSR_GS_BASE, %ecx
    rdmsr
    test %edx, %edx
    js 2f
    swapgs
2:  mov %rsp, %rdi
    call trap_fatal
    ud2
.size fatal_entry_mc, . - fatal_entry_mc
