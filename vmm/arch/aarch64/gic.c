// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts on arm64: KVM's GICv3 or GICv2, whichever this host can make. Each
 * line is one SPI; KVM's default routes take GSI n to SPI n.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "boards/virt-arm64/layout.h"

#include "base/auto.h"
#include "base/err.h"
#include "vmm/arch/aarch64/kvm.h"
#include "vmm/arch/arch.h"
#include "vmm/irq.h"

static int set_attr(const struct arch_vm *vm, uint32_t group, uint64_t attr,
                    const void *value, struct err *e)
{
    const struct kvm_device_attr a = {
        .group = group, .attr = attr, .addr = (uintptr_t)value};
    if (KVM_CALL(vm->gic_fd, KVM_SET_DEVICE_ATTR, &a, e) < 0)
        return err_wrap(e, "GICv%u", vm->gic);
    return 0;
}

/* The newest controller there is; vm->gic says which. */
static int create(struct arch_vm *vm, struct err *e)
{
    static const struct {
        unsigned version;
        uint32_t type;
    } kinds[] = {{3, KVM_DEV_TYPE_ARM_VGIC_V3}, {2, KVM_DEV_TYPE_ARM_VGIC_V2}};
    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct kvm_create_device d = {.type = kinds[i].type};
        if (ioctl(vm->vm_fd, KVM_CREATE_DEVICE, &d) < 0)
            continue;
        vm->gic = kinds[i].version;
        vm->gic_fd = (int)d.fd;
        return 0;
    }
    return err_set(e, -ENOTSUP,
                   "this host's KVM can make neither a GICv3 nor a GICv2: "
                   "micro-VMs cannot get interrupts here: use --accel emulate");
}

/* KVM knows the limit of a VM once it has its GIC. */
static int check_cpus(const struct arch_vm *vm, struct err *e)
{
    int max = ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    if (max <= 0 || vm->cpus <= (unsigned)max)
        return 0;
    return err_set(e, -E2BIG,
                   "%u vCPUs: this host's GICv%u allows %d: use --vcpus %d",
                   vm->cpus, vm->gic, max, max);
}

static int place(const struct arch_vm *vm, struct err *e)
{
    const uint64_t gicd = BOARD_GICD;
    const uint64_t second = vm->gic == 3 ? BOARD_GICR : BOARD_GICC;
    const uint32_t group = KVM_DEV_ARM_VGIC_GRP_ADDR;
    if (set_attr(vm, group,
                 vm->gic == 3 ? KVM_VGIC_V3_ADDR_TYPE_DIST
                              : KVM_VGIC_V2_ADDR_TYPE_DIST,
                 &gicd, e) < 0)
        return e->code;
    return set_attr(vm, group,
                    vm->gic == 3 ? KVM_VGIC_V3_ADDR_TYPE_REDIST
                                 : KVM_VGIC_V2_ADDR_TYPE_CPU,
                    &second, e);
}

int arch_irqchip_init(struct arch_vm *vm, struct err *e)
{
    const uint32_t count = BOARD_SPI_FIRST + BOARD_SPI_COUNT;
    if (create(vm, e) < 0 || check_cpus(vm, e) < 0 || cpus_create(vm, e) < 0 ||
        place(vm, e) < 0 ||
        set_attr(vm, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &count, e) < 0)
        return e->code;
    return set_attr(vm, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT,
                    NULL, e);
}

int arch_irq_commit(struct arch_vm *vm, const struct irq_lines *lines,
                    struct err *e)
{
    for (unsigned i = 0; i < lines->count; i++) {
        struct kvm_irqfd q = {.fd = (uint32_t)lines->fd[i], .gsi = i};
        if (KVM_CALL(vm->vm_fd, KVM_IRQFD, &q, e) < 0)
            return e->code;
    }
    return 0;
}
