// SPDX-License-Identifier: Apache-2.0
/* What KVM is asked for in the same way on every architecture. */
#include "vmm/arch/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/err.h"
#include "vmm/arch/arch.h"

int kvm_ioctl(int fd, unsigned long request, uintptr_t arg, const char *name,
              struct err *e)
{
    int rc = ioctl(fd, request, arg);
    return rc < 0 ? err_set(e, -errno, "%s: %s", name, strerror(errno)) : rc;
}

int arch_vm_map(struct arch_vm *vm, uint32_t slot, const struct arch_window *at,
                void *host, bool readonly, struct err *e)
{
    struct kvm_userspace_memory_region r = {
        .slot = slot,
        .flags = readonly ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = at->gpa,
        .memory_size = at->size,
        .userspace_addr = (uintptr_t)host,
    };
    int rc = KVM_CALL(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &r, e);
    if (rc < 0)
        return rc;
    vm->mapped += at->size;
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
