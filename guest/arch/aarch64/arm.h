// SPDX-License-Identifier: Apache-2.0
/* Private to guest/arch/aarch64: registers, interrupt controllers, PSCI. */
#pragma once

#include "abi/boot.h"

#include "guest/arch/aarch64/asm.h"
#include "guest/arch/arch.h"

#define PHYS(pa)  ((void *)(uintptr_t)(ARCH_PHYSMAP + (pa)))
#define VIRT(ptr) ((paddr_t)((uintptr_t)(ptr)-ARCH_PHYSMAP))

#define ARM_READ(reg)                                                          \
    ({                                                                         \
        uint64_t v_;                                                           \
        __asm__ volatile("mrs %0, " reg : "=r"(v_)::"memory");                 \
        v_;                                                                    \
    })
#define ARM_WRITE(reg, value)                                                  \
    __asm__ volatile("msr " reg ", %0" ::"r"((uint64_t)(value)) : "memory")
#define ARM_ISB()  __asm__ volatile("isb" ::: "memory")
#define ARM_DSB(x) __asm__ volatile("dsb " x ::: "memory")

/* Interrupt numbers of the GIC (GICv2 2.2.1): SGI, PPI, SPI. */
#define GIC_SGI_KICK    0u
#define GIC_SGI_BARRIER 1u
#define GIC_PPI         16u
#define GIC_SPI         32u
#define GIC_SPECIAL     1020u /* from here on: nothing is pending */

/* One interrupt controller; chosen once. Interrupts off. */
struct gic_ops {
    void (*cpu_init)(struct cpu *c, uint32_t timer); /* timer: its PPI */
    uint32_t (*claim)(void);                         /* highest pending */
    void (*done)(uint32_t claimed);
    void (*send)(const struct cpu *to, uint32_t sgi);
    void (*enable)(uint32_t line, bool edge); /* an SPI, to CPU 0 */
};
extern const struct gic_ops gicv2_ops, gicv3_ops;
extern const struct gic_ops *gic;
/* Finds the controller in the device tree, once. */
void gic_init(void);
void gicv2_find(paddr_t dist, paddr_t cpu);
void gicv3_find(paddr_t dist, paddr_t redist, uint64_t redist_size);
extern volatile uint32_t *gic_dist; /* registers of the distributor */

/* Registers of the interrupt controllers. A hypervisor emulates them and sees
 * only the syndrome: plain loads and stores, which a compiler may not turn into
 * post-indexed or paired ones. */
static inline uint32_t reg_read(const volatile uint32_t *at)
{
    uint32_t v;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
    return v;
}

static inline void reg_write(volatile uint32_t *at, uint32_t v)
{
    __asm__ volatile("str %w0, [%1]" ::"r"(v), "r"(at) : "memory");
}

/* What both versions do to one interrupt: group, priority, trigger. */
void gic_dist_set(uint32_t id, bool edge);

/* start.c */
_Noreturn void arch_start(paddr_t info, uint64_t counter);
_Noreturn void arch_start_secondary(uint32_t cpu);
void secondary_entry(void); /* start.S */
extern uint64_t secondary_stacks[BOOT_CPU_MAX];
extern uint64_t arch_entry_cnt;
extern uint8_t arch_pan; /* usercopy.S */

/* mmu.c: the kernel's tables; aspace.c: programs'. */
void mmu_init(const struct boot_info *bi);
void mmu_load(void); /* on every CPU: leave the boot tables */
void mmu_switch(uint64_t ttbr1, uint64_t ttbr0);
void icache_init(void);
void asid_init(void);
extern uint64_t empty_root[];

/* qemu.c: boot_info for a kernel that a loader of Linux started. */
struct boot_info *qemu_boot(paddr_t fdt);
/* psci.c */
void psci_init(void);
bool psci_cpu_on(uint64_t mpidr, paddr_t entry, uint64_t context);
void uart_set(paddr_t at); /* messages go to this PL011 */

/* timer.c */
void clock_init(const struct boot_info *bi);
void clock_cpu_init(void);

/* vectors.S, switch.S */
extern const char vectors[];
struct task *switch_stack(struct task *prev, struct task *next);
_Noreturn void enter_user(struct arch_regs *r);
void fp_save(struct arch_fp *fp);
void fp_load(const struct arch_fp *fp);

/* From assembly; interrupts off. */
void trap_user_sync(struct arch_regs *r, uint64_t esr);
void trap_user_irq(struct arch_regs *r);
void trap_user_other(struct arch_regs *r, uint64_t esr);
void trap_kernel_sync(struct arch_regs *r, uint64_t esr);
_Noreturn void trap_fatal(const struct arch_regs *r, uint64_t esr);
void task_run(struct task *prev, void (*fn)(void *arg), void *arg);
void task_run_user(struct task *prev);
void irq_serve(void);
/* Signals and rescheduling before a program goes on. */
void user_return_work(void);

/* task.c: the current program's FP registers <-> its struct arch_fp. */
void fp_sync(struct task *t);
void fp_reload(struct task *t);

/* idreg.c: MRS of an ID register by a program. False: not one of those. */
bool idreg_emulate(struct arch_regs *r, uint32_t insn);
