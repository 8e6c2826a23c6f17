// SPDX-License-Identifier: Apache-2.0
/* What the x86-64 machine is, as data: no KVM here. */
#include <elf.h>
#include <linux/audit.h>

#include "boards/virt-x86_64/layout.h"

#include "vmm/arch/arch.h"
#include "vmm/irq.h"

_Static_assert(IRQ_MAX <= BOARD_IRQ_COUNT, "vectors for every line");

const uint16_t arch_elf_machine = EM_X86_64;
const uint32_t arch_audit = AUDIT_ARCH_X86_64;

/* The guest asks CPUID, the interrupts need no controller's node. */
int arch_fdt_machine(const struct arch_vm *vm, void *fdt)
{
    (void)vm;
    (void)fdt;
    return 0;
}

unsigned arch_fdt_irq(unsigned line, uint32_t cells[ARCH_FDT_IRQ_CELLS])
{
    cells[0] = BOARD_IRQ_VECTOR + line; /* of the CPU */
    return 1;
}
