// SPDX-License-Identifier: Apache-2.0
/* First C code of every CPU, and starting the others. */
#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/main.h"
#include "guest/core/page.h"

#define SCTLR_SPAN (UINT64_C(1) << 23)
#define MPIDR_AFF  UINT64_C(0xff00ffffff)

#define STACK_ORDER 1 /* pages: ARM_STACK */

ABI_AT(struct arch_regs, sp, REGS_SP);
ABI_AT(struct arch_regs, pc, REGS_PC);
ABI_AT(struct arch_regs, nr, REGS_NR);
ABI_AT(struct arch_regs, orig_x0, REGS_X0);
ABI_SIZE(struct arch_regs, REGS_SIZE);
ABI_AT(struct cpu, current, ARCH_CPU_CURRENT);
static_assert(ARCH_PHYSMAP == BOOT_KERNEL_ARM && ARM_VA == BOOT_KERNEL_ARM,
              "one linear map");
static_assert(ARM_STACK == PAGE_SIZE << STACK_ORDER, "idle stacks");

uint64_t arch_entry_cnt;
uint8_t arch_pan;
uint64_t secondary_stacks[BOOT_CPU_MAX];

static void cpu_enter(uint32_t index)
{
    struct cpu *c = &cpus[index];

    ARM_WRITE("tpidr_el1", c);
    ARM_WRITE("vbar_el1", vectors);
    ARM_ISB();
    c->arch.self = c;
    c->id = index;
}

/* `/cpus/cpu@N` in order: who may be started. */
static void cpus_find(struct boot_info *bi)
{
    uint32_t count = 0, size;

    for (uint32_t i = 0; i < board.cpu_count; i++) {
        const void *reg = fdt_prop(&board.cpu[i], "reg", &size);
        if (!reg || size < 4)
            continue;
        uint64_t mpidr = size < 8 ? fdt_cell(reg, 0) : fdt_cell2(reg, 0);
        cpus[count++].arch.mpidr = mpidr & MPIDR_AFF;
    }
    if (count == 0)
        cpus[count++].arch.mpidr = ARM_READ("mpidr_el1") & MPIDR_AFF;
    bi->cpu_count = MIN(MAX(bi->cpu_count, 1u), count);
}

void arch_start(paddr_t info, uint64_t counter)
{
    cpu_enter(0);
    arch_entry_cnt = counter;
    struct boot_info *bi = PHYS(info);
    if (bi->magic != BOOT_MAGIC)
        bi = qemu_boot(info);
    else if (fdt_init(PHYS(bi->fdt_gpa), bi->fdt_size) == 0)
        board_scan();
    psci_init();
    cpus_find(bi);
    mmu_init(bi);
    mmu_load();
    clock_init(bi);
    icache_init();
    asid_init();
    kernel_main(bi, 0);
}

void arch_start_secondary(uint32_t cpu)
{
    mmu_load();
    cpu_enter(cpu);
    kernel_main(NULL, cpu);
}

/* They wait in kernel_main() until CPU 0 is done. */
static void secondaries_start(void)
{
    for (uint32_t i = 1; i < cpu_possible; i++) {
        paddr_t stack = page_alloc(STACK_ORDER, PAGE_KERNEL);
        if (!stack)
            return;
        secondary_stacks[i] = (uint64_t)PHYS(stack);
        paddr_t entry = VIRT(secondary_entry);
        if (!psci_cpu_on(cpus[i].arch.mpidr, entry, i))
            page_put(stack);
    }
}

static void features_init(struct cpu *c)
{
    /* MMFR1.PAN: D17.2.65. */
    if (ARM_READ("id_aa64mmfr1_el1") >> 20 & 0xf) {
        ARM_WRITE("sctlr_el1", ARM_READ("sctlr_el1") & ~SCTLR_SPAN);
        ARM_ISB();
        __asm__ volatile(".inst 0xd500419f"); /* MSR PAN, #1 */
        if (c->id == 0)
            arch_pan = 1;
    }
    ARM_WRITE("tpidr_el0", 0);
    ARM_WRITE("tpidrro_el0", 0);
}

void arch_cpu_init(struct cpu *c)
{
    features_init(c);
    if (c->id == 0)
        gic_init();
    clock_cpu_init();
    if (c->id == 0)
        secondaries_start();
}
