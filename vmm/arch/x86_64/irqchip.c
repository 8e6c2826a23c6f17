// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts on x86-64. For our kernel: local APICs in KVM, nothing else
 * (split irqchip). Each line is a GSI with an MSI route to CPU 0: other CPUs
 * join late, and an MSI to a CPU that is not there would be lost. For a stock
 * Linux: KVM's IOAPIC too, each line a pin, edge-triggered: the device sets its
 * status before it raises, so a driver that reads the status after the edge
 * misses nothing.
 */
#include <stdlib.h>

#include "boards/virt-x86_64/layout.h"

#include "base/auto.h"
#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/kvm.h"
#include "vmm/irq.h"

int arch_irqchip_init(struct arch_vm *vm, struct err *e)
{
    if (vm->stock)
        return KVM_CALL(vm->vm_fd, KVM_CREATE_IRQCHIP, 0, e);
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_SPLIT_IRQCHIP,
        .args = {BOARD_GSI_BASE}, /* GSIs of the IOAPIC that nobody makes */
    };
    return KVM_CALL(vm->vm_fd, KVM_ENABLE_CAP, &cap, e);
}

static uint32_t line_gsi(const struct arch_vm *vm, unsigned line)
{
    return (vm->stock ? BOARD_IOAPIC_FIRST : BOARD_GSI_BASE) + line;
}

static void set_route(const struct arch_vm *vm, unsigned line,
                      struct kvm_irq_routing_entry *to)
{
    to->gsi = line_gsi(vm, line);
    if (vm->stock) {
        to->type = KVM_IRQ_ROUTING_IRQCHIP;
        to->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
        to->u.irqchip.pin = to->gsi;
        return;
    }
    to->type = KVM_IRQ_ROUTING_MSI;
    to->u.msi.address_lo = (uint32_t)BOARD_APIC; /* APIC id 0, fixed */
    to->u.msi.data = BOARD_IRQ_VECTOR + line;    /* edge */
}

int arch_irq_commit(struct arch_vm *vm, const struct irq_lines *lines,
                    struct err *e)
{
    AUTO_FREE struct kvm_irq_routing *r =
        calloc(1, sizeof(*r) + lines->count * sizeof(r->entries[0]));
    if (vm->stock && lines->count > BOARD_IOAPIC_PINS - BOARD_IOAPIC_FIRST)
        return err_set(e, -ENOSPC,
                       "more devices than interrupt pins: use fewer disks");
    if (r == NULL)
        return err_set(e, -ENOMEM, "interrupt routes: out of memory");
    r->nr = lines->count;
    for (unsigned i = 0; i < lines->count; i++)
        set_route(vm, i, &r->entries[i]);
    if (KVM_CALL(vm->vm_fd, KVM_SET_GSI_ROUTING, r, e) < 0)
        return e->code;
    for (unsigned i = 0; i < lines->count; i++) {
        struct kvm_irqfd q = {.fd = (uint32_t)lines->fd[i],
                              .gsi = line_gsi(vm, i)};
        if (KVM_CALL(vm->vm_fd, KVM_IRQFD, &q, e) < 0)
            return e->code;
    }
    return 0;
}
