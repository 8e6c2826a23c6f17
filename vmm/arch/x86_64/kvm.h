// SPDX-License-Identifier: Apache-2.0
/* Private to arch/x86_64: checked KVM ioctls and MSR numbers. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

struct err;

#define MSR_IA32_TSC      UINT32_C(0x10)
#define MSR_IA32_MISC     UINT32_C(0x1a0)
#define MSR_IA32_MTRR_DEF UINT32_C(0x2ff)
#define MSR_PVM_VIF       UINT32_C(0x4b564d10) /* pvm.md 2.1 */
#define MSR_PVM_SIGNATURE UINT32_C(0x4b564d11)
#define MSR_PVM_TSC_KHZ   UINT32_C(0x4b564d13)
#define PVM_SIGNATURE     UINT64_C(0x4d5650) /* "PVM" */
#define PVM_VIF_FLAGS     UINT64_C(0x7f)     /* all of pvm.md 2.2 */

/* ioctl(2) with the request's name in the message. Result or -errno. */
int kvm_ioctl(int fd, unsigned long request, uintptr_t arg, const char *name,
              struct err *e);
#define KVM_CALL(fd, request, arg, e)                                          \
    kvm_ioctl(fd, request, (uintptr_t)(arg), #request, e)
