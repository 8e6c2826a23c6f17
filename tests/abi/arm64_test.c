// SPDX-License-Identifier: Apache-2.0
/* arm64: our system call numbers, all of them, and our signal frame against the
 * UAPI headers. Compile-only. */
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <assert.h>
#include <stddef.h>

#include "abi/linux/aarch64/nr.h"
#include "abi/linux/aarch64/signal.h"

#ifndef __NR_fchmodat2 /* newer than these headers */
#define __NR_fchmodat2 452
#endif

#define SAME_NR(name, nr) static_assert(__NR_##name == (nr), #name);
LX_SYSCALLS(SAME_NR)

static_assert(sizeof(struct lx_sigcontext) == sizeof(struct sigcontext), "");
static_assert(offsetof(struct lx_sigcontext, reserved) ==
                  offsetof(struct sigcontext, __reserved),
              "");
static_assert(offsetof(struct lx_arm_regs, sp) ==
                  offsetof(struct sigcontext, sp),
              "");
static_assert(sizeof(struct lx_ucontext) == sizeof(struct ucontext), "");
static_assert(offsetof(struct lx_ucontext, mcontext) ==
                  offsetof(struct ucontext, uc_mcontext),
              "");
static_assert(offsetof(struct lx_uc_head, sigmask) ==
                  offsetof(struct ucontext, uc_sigmask),
              "");
static_assert(sizeof(struct lx_arm_fpsimd) == sizeof(struct fpsimd_context),
              "");
static_assert(offsetof(struct lx_arm_fpsimd, v) ==
                  offsetof(struct fpsimd_context, vregs),
              "");
static_assert(LX_ARM_FPSIMD == FPSIMD_MAGIC && LX_ARM_ESR == ESR_MAGIC &&
                  LX_ARM_EXTRA == EXTRA_MAGIC,
              "");
static_assert(sizeof(struct lx_siginfo) == sizeof(siginfo_t), "");

int main(void)
{
    return 0;
}
