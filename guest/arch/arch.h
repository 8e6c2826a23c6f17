// SPDX-License-Identifier: Apache-2.0
/*
 * What the portable kernel asks of a processor. <arch_types.h> is found in
 * guest/arch/<arch>/include and defines, all inline where it says so:
 *
 *   struct arch_regs    a program's registers at kernel entry (the trap frame
 *                       at the top of its kernel stack)
 *   struct arch_task    what a task keeps while off the CPU (kernel sp, TLS
 *                       bases, FP state)
 *   struct arch_aspace  page-table roots and the CPUs that have them loaded
 *   struct arch_cpu     per-CPU arch data (first member of struct cpu)
 *   inline: arch_irq_save() -> unsigned long, arch_irq_restore(unsigned long),
 *     arch_irq_on(), arch_pause(), arch_this_cpu() -> struct cpu *,
 *     arch_current() -> struct task * (safe against migration)
 *   page-table entries, same 4-level 9-bit shape on both architectures:
 *     arch_pte_leaf(pa, prot, level), arch_pte_table(pa), arch_pte_none(),
 *     arch_pte_present(e), arch_pte_is_leaf(e, level), arch_pte_pa(e),
 *     arch_pte_writable(e), arch_pte_dirty(e), arch_pte_accessed(e)
 *     level 0 = 4 KiB leaf ... 3 = root; prot = PROT_* bits below
 *   ARCH_PHYSMAP          kernel address of paddr 0 (uint64_t expression)
 *   ARCH_KERNEL_END       first paddr after the kernel image (expression)
 *   ARCH_SIGSTACK_MIN     the least size of an alternate signal stack
 *   ARCH_SEMID_PAD        1 if struct semid64_ds has words after its times
 *   ARCH_HAS_LEGACY_CALLS 1 if the table has open(2), fork(2), stat(2) ...
 *   ARCH_BREAK_FIRST      1 if an entry must be none, and flushed, before it
 *                         may name another page
 *   ARCH_ICACHE_APART     1 if arch_sync_icache() is to be called for RAM that
 *                         becomes executable
 *   ARCH_IRQ_CELLS        cells of one interrupt in a device tree
 *   inline: arch_mmio_read32(const volatile void *), arch_mmio_read8(...),
 *     arch_mmio_write32(volatile void *, uint32_t): device registers, by
 *     instructions that a hypervisor can serve
 *   <arch_nr.h>           LX_SYSCALLS of this architecture
 */
#pragma once

#include <arch_types.h>

#include "guest/core/types.h"

struct boot_info;
struct cpu;
struct task;
struct lx_siginfo;
struct k_sigaction;

/* prot of a user leaf. Kernel leaves exist only in the boot tables. */
#define ARCH_PROT_WRITE (1u << 0)
#define ARCH_PROT_EXEC  (1u << 1)

/* --- CPUs and interrupts --- */

/* Once per CPU, first C code: descriptor tables, FP control, timer, the
 * platform's interrupt controller. */
void arch_cpu_init(struct cpu *c);
/* Interrupts on and wait for one, atomically; returns with them on. */
void arch_halt(void);
/* Arrange timer_interrupt() on this CPU at `deadline` (0: at once,
 * NSEC_NEVER: not). Interrupts off. */
void arch_timer_set(nsec_t deadline);
/* Interrupt `cpu` so that it looks at its run queue. */
void arch_kick(uint32_t cpu);
/* Line (core/irq.h) of the index-th interrupt in an `interrupts` property that
 * has as many; UINT32_MAX: not a device's. */
uint32_t arch_irq_line(const void *cells, unsigned index);
/* Enable device line (core/irq.h). 0 or -EINVAL. */
int arch_irq_enable_line(uint32_t line);
/* Counter in nanoseconds since boot; same on all CPUs. */
nsec_t arch_clock(void);
uint64_t arch_clock_wall_base(void); /* CLOCK_REALTIME at arch_clock() == 0 */
uint64_t arch_counter(void);         /* raw: TSC, CNTVCT */
uint64_t arch_entry_counter(void);   /* raw at the first instruction */

/* --- tasks --- */

/* A task whose first run calls fn(arg) on its own kernel stack, interrupts
 * on. fn never returns. The stack is task->stack (TASK_STACK_SIZE). */
int arch_task_init(struct task *t, void (*fn)(void *arg), void *arg);
/* A child whose first run returns to user with the parent's registers (FP and
 * TLS copied), result 0, and if `sp` != 0 that stack; `tls` if `set_tls`. */
int arch_task_fork(struct task *child, const struct task *parent, uint64_t sp,
                   bool set_tls, uint64_t tls);
void arch_task_fini(struct task *t);
/* Called with the run-queue lock held and interrupts off; returns in `next`'s
 * life, with `prev` = the task that ran before it. */
struct task *arch_switch(struct task *prev, struct task *next);
/* A program's registers: top of its kernel stack. */
struct arch_regs *arch_task_regs(const struct task *t);
/* After exec: clean registers, FP state and TLS, this entry and stack. */
void arch_regs_exec(struct task *t, uint64_t entry, uint64_t sp);
/* From a kernel task that has an aspace and registers: enter the program. */
_Noreturn void arch_enter_user(void);
/* Accessors for syscall restart and ptrace-like readers. */
uint64_t arch_regs_ip(const struct arch_regs *r);
uint64_t arch_regs_sp(const struct arch_regs *r);
void arch_regs_set_ip(struct arch_regs *r, uint64_t ip);
int64_t arch_regs_result(const struct arch_regs *r);
void arch_regs_set_result(struct arch_regs *r, int64_t v);
/* Number of the system call being served, or -1 (fault, interrupt). */
int64_t arch_regs_syscall(const struct arch_regs *r);
/* Go back to the instruction that made the call, with call number `nr`. */
void arch_regs_restart(struct arch_regs *r, uint64_t nr);

/* --- signals --- */

/* Push a Linux rt_sigframe for `si` and make the registers enter the handler.
 * `mask` is to be restored by rt_sigreturn. 0 or -EFAULT. */
int arch_signal_frame(struct task *t, const struct k_sigaction *sa,
                      const struct lx_siginfo *si, uint64_t mask,
                      bool on_altstack);
/* rt_sigreturn: registers and *mask from the frame. 0 or -EFAULT. */
int arch_signal_return(struct task *t, uint64_t *mask);
uint64_t arch_min_sigstack(void); /* AT_MINSIGSTKSZ, bytes */

/* --- memory --- */

int arch_aspace_init(struct arch_aspace *as); /* 0 or -ENOMEM */
void arch_aspace_fini(struct arch_aspace *as);
void arch_aspace_switch(struct arch_aspace *as); /* NULL: kernel only */
uint64_t *arch_root(struct arch_aspace *as);     /* 512 entries; read only */
void arch_root_set(struct arch_aspace *as, unsigned index, uint64_t entry);
/* Entries for [start, end) were removed or lost rights: no CPU uses the old
 * ones when this returns. */
void arch_flush(struct arch_aspace *as, uint64_t start, uint64_t end);
/* Every other CPU that runs a program of `as` executes a full barrier before
 * this returns, and this one too: membarrier(2). Interrupts on. */
void arch_barrier(struct arch_aspace *as);
/* What was written here will be executed: whole pages, kernel address. */
void arch_sync_icache(void *page, size_t size);
/* Bytes NOT copied because of a fault; either side may be user memory that
 * was range-checked. n = 0 is fine. */
size_t arch_copy_user(void *to, const void *from, size_t n);
int arch_user_load32(uint64_t at, uint32_t *out); /* 0 or -EFAULT */
int arch_user_cmpxchg32(uint64_t at, uint32_t expect, uint32_t desired,
                        uint32_t *old);

/* --- system --- */

/* A line to the debugging output of the platform. Any context. */
void arch_log(const char *text, unsigned size);
_Noreturn void arch_poweroff(void);
/* Return addresses from here up; returns how many. */
unsigned arch_backtrace(uint64_t *out, unsigned max);
/* arch_prctl(2) and the like: calls only this architecture has. */
int64_t arch_sys_prctl(const uint64_t *a);
/* ELF machine, platform string, HWCAP words for the auxiliary vector. */
extern const uint16_t arch_elf_machine;
extern const char arch_platform[];
uint64_t arch_hwcap(unsigned index); /* 0: AT_HWCAP, 1: AT_HWCAP2 */
/* Text after "processor : N" in /proc/cpuinfo. Returns the length. */
int arch_cpuinfo(char *to, size_t size, uint32_t cpu);
