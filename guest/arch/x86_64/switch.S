// SPDX-License-Identifier: Apache-2.0
/* Kernel stacks: switching, and the first code of new tasks. */
#include "guest/arch/x86_64/asm.h"

.text
/* struct task *switch_stack(struct task *prev, struct task *next): returns
 * prev on next's stack. arch.sp is the first word of struct task. */
.globl switch_stack
.type switch_stack, @function
switch_stack:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    mov %rdi, %rax
    ret
.size switch_stack, . - switch_stack

/* A new kernel task: rbx = fn, r12 = arg. */
.globl task_start_kernel
.type task_start_kernel, @function
task_start_kernel:
    mov %rax, %rdi
    mov %rbx, %rsi
    mov %r12, %rdx
    call task_run
    ud2
.size task_start_kernel, . - task_start_kernel

/* A forked task: the stack pointer is at its struct arch_regs. */
.globl task_start_user
.type task_start_user, @function
task_start_user:
    mov %rax, %rdi
    call task_run_user
    jmp user_return
.size task_start_user, . - task_start_user

/* void enter_user(struct arch_regs *r), interrupts off */
.globl enter_user
.type enter_user, @function
enter_user:
    mov %rdi, %rsp
    jmp user_return
.size enter_user, . - enter_user

/* void pvm_halt_now(struct pvm_vif *v): interrupts on, then halt. One that
 * comes between the two must not find us halting afterwards: trap_kernel()
 * steps over the hypercall when it interrupts at pvm_halt_int. */
.globl pvm_halt_now, pvm_halt_int
.type pvm_halt_now, @function
pvm_halt_now:
    push %rbx
    mov $PVM_HC_HALT, %eax
    movb $1, (%rdi) /* vif.if_ */
pvm_halt_int:
    int $PVM_HYPERCALL
    pop %rbx
    ret
.size pvm_halt_now, . - pvm_halt_now

/* void pvm_irq_window(struct pvm_vif *v, uint64_t page): interrupts on; the one
 * held back, if any, is delivered at the hypercall, which flushes `page` only
 * because it has to do something. trap_kernel() knows by the addresses
 * that its own caller waits here and leaves them off on its way back. */
.globl pvm_irq_window, pvm_irq_window_start, pvm_irq_window_end
.type pvm_irq_window, @function
pvm_irq_window:
    push %rbx
    mov $PVM_HC_FLUSH_ONE, %eax
    mov %rsi, %rbx
    movb $1, (%rdi) /* vif.if_ */
pvm_irq_window_start:
    cmpb $0, 1(%rdi) /* vif.pending */
    je pvm_irq_window_end
    int $PVM_HYPERCALL
pvm_irq_window_end:
    pop %rbx
    ret
.size pvm_irq_window, . - pvm_irq_window

/* void ring0_halt(void): the same as pvm_halt_now(). The shadow of STI makes the two one, but an
 * emulated SVM host can lose it between them. */
.globl ring0_halt, ring0_halt_insn
.type ring0_halt, @function
ring0_halt:
    sti
ring0_halt_insn:
    hlt
    ret
.size ring0_halt, . - ring0_halt
