// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts on x86-64: local APICs in KVM, nothing else (split irqchip). Each
 * line is a GSI with an MSI route to CPU 0: other CPUs join late, and an MSI
 * to a CPU that is not there would be lost.
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
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_SPLIT_IRQCHIP,
        .args = {BOARD_GSI_BASE}, /* GSIs of the IOAPIC that nobody makes */
    };
    return KVM_CALL(vm->vm_fd, KVM_ENABLE_CAP, &cap, e);
}

int arch_irq_commit(struct arch_vm *vm, const struct irq_lines *lines,
                    struct err *e)
{
    AUTO_FREE struct kvm_irq_routing *r =
        calloc(1, sizeof(*r) + lines->count * sizeof(r->entries[0]));
    if (r == NULL)
        return err_set(e, -ENOMEM, "interrupt routes: out of memory");
    r->nr = lines->count;
    for (unsigned i = 0; i < lines->count; i++) {
        struct kvm_irq_routing_entry *to = &r->entries[i];
        to->gsi = BOARD_GSI_BASE + i;
        to->type = KVM_IRQ_ROUTING_MSI;
        to->u.msi.address_lo = (uint32_t)BOARD_APIC; /* APIC id 0, fixed */
        to->u.msi.data = BOARD_IRQ_VECTOR + i;       /* edge */
    }
    if (KVM_CALL(vm->vm_fd, KVM_SET_GSI_ROUTING, r, e) < 0)
        return e->code;
    for (unsigned i = 0; i < lines->count; i++) {
        struct kvm_irqfd q = {.fd = (uint32_t)lines->fd[i],
                              .gsi = BOARD_GSI_BASE + i};
        if (KVM_CALL(vm->vm_fd, KVM_IRQFD, &q, e) < 0)
            return e->code;
    }
    return 0;
}

int arch_bell_add(struct arch_vm *vm, uint64_t gpa, uint32_t value, int fd,
                  struct err *e)
{
    struct kvm_ioeventfd b = {
        .datamatch = value,
        .addr = gpa,
        .len = sizeof(value),
        .fd = fd,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };
    return KVM_CALL(vm->vm_fd, KVM_IOEVENTFD, &b, e);
}
