// SPDX-License-Identifier: Apache-2.0
/* The contract of vmm/arch/arch.h without a CPU. What is pure data (boot page
 * tables, device tree, map) comes from the architecture of the build. */
#include "vmm/arch/fake/fake.h"

#include "base/err.h"

struct fake fake;
const uint32_t arch_vcpu_requests[] = {0};

int arch_gpa_end(int kvm_fd, uint64_t *end, struct err *e)
{
    (void)kvm_fd;
    (void)e;
    *end = UINT64_C(1) << 39;
    return 0;
}

int arch_vm_init(struct arch_vm *vm, const struct arch_want *want,
                 struct err *e)
{
    (void)e;
    *vm = (struct arch_vm){
        .kvm_fd = want->kvm_fd, .vm_fd = -1, .cpus = want->cpus};
    return 0;
}

void arch_vm_fini(struct arch_vm *vm)
{
    *vm = (struct arch_vm){.vm_fd = -1};
}

int arch_vm_map(struct arch_vm *vm, uint32_t slot, const struct arch_window *at,
                void *host, bool readonly, struct err *e)
{
    (void)vm;
    (void)slot;
    (void)at;
    (void)readonly;
    return host == NULL ? err_set(e, -EINVAL, "fake: no memory") : 0;
}

int arch_irqchip_init(struct arch_vm *vm, struct err *e)
{
    (void)vm;
    (void)e;
    return 0;
}

int arch_irq_commit(struct arch_vm *vm, const struct irq_lines *lines,
                    struct err *e)
{
    (void)vm;
    (void)lines;
    (void)e;
    return 0;
}

int arch_bell_add(struct arch_vm *vm, uint64_t gpa, uint32_t value, int fd,
                  struct err *e)
{
    (void)vm;
    (void)gpa;
    (void)value;
    return fd < 0 ? err_set(e, -EBADF, "fake: no doorbell") : 0;
}

int arch_vcpu_init(struct arch_vcpu *v, struct arch_vm *vm, unsigned index,
                   struct err *e)
{
    (void)e;
    *v = (struct arch_vcpu){.vm = vm, .index = index, .fd = -1};
    vm->user_kernel = fake.user_kernel;
    return 0;
}

int arch_vcpu_prepare(struct arch_vcpu *v, struct err *e)
{
    (void)v;
    (void)e;
    return 0;
}

int arch_vcpu_boot(struct arch_vcpu *v, const struct arch_entry *entry,
                   struct err *e)
{
    (void)v;
    (void)e;
    fake.booted = *entry;
    return 0;
}

int arch_vcpu_run(struct arch_vcpu *v, struct arch_exit *out, struct err *e)
{
    if (fake.next == fake.step_count)
        return err_set(e, -ENODATA, "vCPU %u: end of script", v->index);
    struct fake_step *s = &fake.steps[fake.next++];
    if (s->code < 0)
        return err_set(e, s->code, "vCPU %u: scripted failure", v->index);
    *out = s->exit;
    out->data = s->bytes;
    return 0;
}

void arch_vcpu_fini(struct arch_vcpu *v)
{
    v->fd = -1;
}

uint64_t arch_counter(void)
{
    return fake.next;
}

int arch_cache_save(int kvm_fd, int fd, struct err *e)
{
    (void)kvm_fd;
    (void)fd;
    (void)e;
    return 0;
}
