// SPDX-License-Identifier: Apache-2.0
/* What the arm64 machine is, as data: its boot entry and device tree, in
 * Linux's bindings. No KVM here. */
#include <elf.h>
#include <libfdt.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>

#include "boards/virt-arm64/layout.h"

#include "base/auto.h"
#include "vmm/arch/arch.h"
#include "vmm/irq.h"

_Static_assert(IRQ_MAX <= BOARD_SPI_COUNT, "an SPI for every line");
_Static_assert(BOARD_RAM_BASE == BOOT_RAM_BASE, "abi/boot.h and the board");
_Static_assert(BOARD_GICR + BOOT_CPU_MAX * BOARD_GICR_SIZE <= BOARD_MMIO_BASE,
               "redistributors below the device windows");

#define GIC_SPI        0
#define GIC_PPI        1
#define IRQ_EDGE       1
#define IRQ_LEVEL      4
#define GIC_PHANDLE    1
#define AFF0_CPUS      16 /* per cluster, as KVM numbers them */
#define GIC2_PPI_CPUS  8
#define GIC2_PPI_SHIFT 8

const uint16_t arch_elf_machine = EM_AARCH64;
const uint32_t arch_audit = AUDIT_ARCH_AARCH64;

int arch_boot_cpus(const struct arch_vm *vm, struct lowmem *low,
                   const struct arch_window *image, struct arch_entry *entry,
                   struct err *e)
{
    (void)vm;
    (void)low;
    (void)image;
    (void)e;
    *entry = (struct arch_entry){.info = BOARD_BOOT_INFO};
    return 0;
}

static int put_cells(void *fdt, const char *name, const uint32_t *cells,
                     unsigned count)
{
    fdt32_t be[16];
    for (unsigned i = 0; i < count; i++)
        be[i] = cpu_to_fdt32(cells[i]);
    return fdt_property(fdt, name, be, (int)count * (int)sizeof(be[0]));
}

/* Affinity as KVM numbers CPUs: 16 per cluster. */
static uint32_t mpidr_of(unsigned cpu)
{
    return cpu % AFF0_CPUS | cpu / AFF0_CPUS << 8;
}

static int node_cpus(const struct arch_vm *vm, void *fdt)
{
    int rc = fdt_begin_node(fdt, "cpus");
    if (rc == 0)
        rc = fdt_property_u32(fdt, "#address-cells", 1);
    if (rc == 0)
        rc = fdt_property_u32(fdt, "#size-cells", 0);
    for (unsigned i = 0; i < vm->cpus && rc == 0; i++) {
        char node[24];
        (void)snprintf(node, sizeof(node), "cpu@%x", mpidr_of(i));
        rc = fdt_begin_node(fdt, node);
        if (rc == 0)
            rc = fdt_property_string(fdt, "device_type", "cpu");
        if (rc == 0)
            rc = fdt_property_string(fdt, "compatible", "arm,armv8");
        if (rc == 0)
            rc = fdt_property_u32(fdt, "reg", mpidr_of(i));
        if (rc == 0)
            rc = fdt_property_string(fdt, "enable-method", "psci");
        if (rc == 0)
            rc = fdt_end_node(fdt);
    }
    return rc != 0 ? rc : fdt_end_node(fdt);
}

static int node_psci(void *fdt)
{
    static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";
    int rc = fdt_begin_node(fdt, "psci");
    if (rc == 0)
        rc = fdt_property(fdt, "compatible", compatible, sizeof(compatible));
    if (rc == 0)
        rc = fdt_property_string(fdt, "method", "hvc");
    return rc != 0 ? rc : fdt_end_node(fdt);
}

static int node_gic(const struct arch_vm *vm, void *fdt)
{
    const bool v3 = vm->gic == 3;
    const uint64_t base = v3 ? BOARD_GICR : BOARD_GICC;
    const uint64_t size = v3 ? vm->cpus * BOARD_GICR_SIZE : BOARD_GICC_SIZE;
    const uint32_t reg[] = {
        0, (uint32_t)BOARD_GICD, 0, (uint32_t)BOARD_GICD_SIZE,
        0, (uint32_t)base,       0, (uint32_t)size,
    };
    char node[24];
    (void)snprintf(node, sizeof(node), "intc@%llx",
                   (unsigned long long)BOARD_GICD);
    int rc = fdt_begin_node(fdt, node);
    if (rc == 0 && v3)
        rc = fdt_property_string(fdt, "compatible", "arm,gic-v3");
    else if (rc == 0)
        rc = fdt_property_string(fdt, "compatible", "arm,cortex-a15-gic");
    if (rc == 0)
        rc = fdt_property(fdt, "interrupt-controller", NULL, 0);
    if (rc == 0)
        rc = fdt_property_u32(fdt, "#interrupt-cells", 3);
    if (rc == 0)
        rc = put_cells(fdt, "reg", reg, ARRAY_COUNT(reg));
    if (rc == 0)
        rc = fdt_property_u32(fdt, "phandle", GIC_PHANDLE);
    return rc != 0 ? rc : fdt_end_node(fdt);
}

/* PPIs of the secure, physical, virtual and hypervisor timers. */
static int node_timer(const struct arch_vm *vm, void *fdt)
{
    static const uint32_t ppi[] = {13, 14, BOARD_TIMER_VIRT, 10};
    const uint32_t mask = vm->gic == 2 && vm->cpus <= GIC2_PPI_CPUS
                              ? ((1U << vm->cpus) - 1) << GIC2_PPI_SHIFT
                              : 0;
    uint32_t cells[3 * ARRAY_COUNT(ppi)];
    for (unsigned i = 0; i < ARRAY_COUNT(ppi); i++) {
        cells[3 * i] = GIC_PPI;
        cells[3 * i + 1] = ppi[i];
        cells[3 * i + 2] = IRQ_LEVEL | mask;
    }
    int rc = fdt_begin_node(fdt, "timer");
    if (rc == 0)
        rc = fdt_property_string(fdt, "compatible", "arm,armv8-timer");
    if (rc == 0)
        rc = fdt_property(fdt, "always-on", NULL, 0);
    if (rc == 0)
        rc = put_cells(fdt, "interrupts", cells, ARRAY_COUNT(cells));
    return rc != 0 ? rc : fdt_end_node(fdt);
}

int arch_fdt_machine(const struct arch_vm *vm, void *fdt)
{
    int rc = fdt_property_u32(fdt, "interrupt-parent", GIC_PHANDLE);
    if (rc == 0)
        rc = node_cpus(vm, fdt);
    if (rc == 0)
        rc = node_psci(fdt);
    if (rc == 0)
        rc = node_gic(vm, fdt);
    return rc != 0 ? rc : node_timer(vm, fdt);
}

unsigned arch_fdt_irq(unsigned line, uint32_t cells[ARCH_FDT_IRQ_CELLS])
{
    cells[0] = GIC_SPI;
    cells[1] = line;
    cells[2] = IRQ_EDGE;
    return 3;
}
