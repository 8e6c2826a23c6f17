// SPDX-License-Identifier: Apache-2.0
/* The VM as KVM sees it on arm64: address size, creation, memory. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "vmm/arch/aarch64/kvm.h"
#include "vmm/arch/arch.h"

/* Bits of guest-physical addresses. Without the capability KVM gives every VM
 * the default. More than the map's maximum is never asked for: fewer bits are
 * fewer levels of stage 2 tables. */
enum { IPA_MIN = 32, IPA_DEFAULT = 40, IPA_MAX = 39 };

int arch_gpa_end(int kvm_fd, uint64_t *end, struct err *e)
{
    int bits = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
    if (bits <= 0)
        bits = IPA_DEFAULT;
    if (bits < IPA_MIN)
        return err_set(e, -ENOTSUP,
                       "this host's KVM gives guests %d address bits, they "
                       "need %d",
                       bits, IPA_MIN);
    *end = UINT64_C(1) << (bits < IPA_MAX ? bits : IPA_MAX);
    return 0;
}

/* Argument of KVM_CREATE_VM: as few address bits as the map needs. */
static unsigned vm_type(int kvm_fd, uint64_t gpa_end)
{
    unsigned bits = IPA_MIN;
    if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE) <= 0)
        return 0;
    while (UINT64_C(1) << bits < gpa_end)
        bits++;
    return bits;
}

static uint64_t counter_hz(void)
{
    uint64_t hz;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}

int arch_vm_init(struct arch_vm *vm, const struct arch_want *want,
                 struct err *e)
{
    const int kvm_fd = want->kvm_fd;
    *vm = (struct arch_vm){.kvm_fd = kvm_fd,
                           .vm_fd = -1,
                           .cpus = want->cpus,
                           .counter_hz = counter_hz(),
                           .gic_fd = -1};
    for (unsigned i = 0; i < BOOT_CPU_MAX; i++)
        vm->cpu_fd[i] = -1;
    int version = KVM_CALL(kvm_fd, KVM_GET_API_VERSION, 0, e);
    if (version < 0)
        return e->code;
    if (version != KVM_API_VERSION)
        return err_set(e, -ENOTSUP, "/dev/kvm speaks version %d, not %d",
                       version, KVM_API_VERSION);
    int size = KVM_CALL(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0, e);
    if (size < 0)
        return e->code;
    vm->run_size = (size_t)size;
    vm->vm_fd =
        KVM_CALL(kvm_fd, KVM_CREATE_VM, vm_type(kvm_fd, want->gpa_end), e);
    return vm->vm_fd < 0 ? e->code : 0;
}

void arch_vm_fini(struct arch_vm *vm)
{
    for (unsigned i = 0; i < vm->cpus; i++)
        if (vm->cpu_fd[i] >= 0)
            (void)close(vm->cpu_fd[i]);
    if (vm->gic_fd > 0)
        (void)close(vm->gic_fd);
    if (vm->vm_fd > 0)
        (void)close(vm->vm_fd);
    *vm = (struct arch_vm){.vm_fd = -1, .gic_fd = -1};
}

uint64_t arch_counter(void)
{
    uint64_t now;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now));
    return now;
}

int arch_cache_save(int kvm_fd, int fd, struct err *e)
{
    (void)kvm_fd;
    (void)fd;
    (void)e;
    return 0;
}
