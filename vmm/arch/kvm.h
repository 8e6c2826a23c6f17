// SPDX-License-Identifier: Apache-2.0
/* Private to the real architectures, not arch/fake: checked KVM ioctls. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

struct err;

/* ioctl(2) with the request's name in the message. Result or -errno. */
int kvm_ioctl(int fd, unsigned long request, uintptr_t arg, const char *name,
              struct err *e);
#define KVM_CALL(fd, request, arg, e)                                          \
    kvm_ioctl(fd, request, (uintptr_t)(arg), #request, e)
