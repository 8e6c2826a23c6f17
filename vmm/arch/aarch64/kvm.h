// SPDX-License-Identifier: Apache-2.0
/* Private to arch/aarch64: checked KVM ioctls. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

struct arch_vm;
struct err;

/* ioctl(2) with the request's name in the message. Result or -errno. */
int kvm_ioctl(int fd, unsigned long request, uintptr_t arg, const char *name,
              struct err *e);
#define KVM_CALL(fd, request, arg, e)                                          \
    kvm_ioctl(fd, request, (uintptr_t)(arg), #request, e)

/* Create and reset every vCPU: CPU 0 ready to run, the others off until PSCI
 * CPU_ON. Before the GIC is started, which fixes their number. */
int cpus_create(struct arch_vm *vm, struct err *e);
