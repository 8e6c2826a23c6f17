// SPDX-License-Identifier: Apache-2.0
/* The VM as KVM sees it on x86-64: creation and memory. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/kvm.h"

/* Pages KVM may use on VMX hosts that cannot run real mode. Above all
 * devices, below 4 GiB. */
#define TSS_ADDR UINT64_C(0xfffbd000)

/* What one top-level table of the boot page tables reaches. */
#define PHYSMAP_END (UINT64_C(512) << 30)

int arch_gpa_end(int kvm_fd, uint64_t *end, struct err *e)
{
    (void)kvm_fd;
    (void)e;
    *end = PHYSMAP_END;
    return 0;
}

int arch_vm_init(struct arch_vm *vm, const struct arch_want *want,
                 struct err *e)
{
    const int kvm_fd = want->kvm_fd;
    *vm = (struct arch_vm){.kvm_fd = kvm_fd,
                           .vm_fd = -1,
                           .cpus = want->cpus,
                           .stock = want->stock,
                           .cpuid_fd = want->cpuid_fd};
    vm->cpuid = calloc(1, cpuid_size(CPUID_ENTRIES_MAX));
    if (vm->cpuid == NULL)
        return err_set(e, -ENOMEM, "CPUID table: out of memory");
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
    vm->vm_fd = KVM_CALL(kvm_fd, KVM_CREATE_VM, 0, e);
    if (vm->vm_fd < 0)
        return e->code;
    return KVM_CALL(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR, e) < 0 ? e->code : 0;
}

void arch_vm_fini(struct arch_vm *vm)
{
    if (vm->vm_fd > 0)
        (void)close(vm->vm_fd);
    free(vm->cpuid);
    *vm = (struct arch_vm){.vm_fd = -1};
}

uint64_t arch_counter(void)
{
    return __rdtsc();
}
