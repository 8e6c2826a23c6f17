// SPDX-License-Identifier: Apache-2.0
/* The signal frame of arm64. Source: Linux UAPI asm/sigcontext.h,
 * asm/ucontext.h (arm64). tests/abi compares. */
#pragma once

#include "abi/linux/signal.h"

/* In the reserved part of the context, one after another; size 0 ends. */
struct lx_arm_record {
    uint32_t magic;
    uint32_t size; /* bytes, with this header; multiple of 16 */
};
#define LX_ARM_FPSIMD UINT32_C(0x46508001)
#define LX_ARM_ESR    UINT32_C(0x45535201)
#define LX_ARM_EXTRA  UINT32_C(0x45585401)

struct lx_arm_fpsimd {
    struct lx_arm_record head;
    uint32_t fpsr, fpcr;
    uint64_t v[64]; /* q0..q31 */
};
ABI_SIZE(struct lx_arm_fpsimd, 528);

struct lx_arm_esr {
    struct lx_arm_record head;
    uint64_t esr;
};
ABI_SIZE(struct lx_arm_esr, 16);

struct lx_arm_regs {
    uint64_t fault_address;
    uint64_t x[31];
    uint64_t sp, pc, pstate;
};
ABI_AT(struct lx_arm_regs, pstate, 272);

struct lx_sigcontext {
    struct lx_arm_regs regs;
    uint8_t reserved[4096] __attribute__((aligned(16)));
};
ABI_AT(struct lx_sigcontext, reserved, 288);
ABI_SIZE(struct lx_sigcontext, 4384);

struct lx_uc_head {
    uint64_t flags; /* 0 */
    uint64_t link;
    struct lx_stack stack;
    uint64_t sigmask;
};

struct lx_ucontext {
    struct lx_uc_head head;
    uint8_t unused[120]; /* room for a sigmask of 1024 */
    struct lx_sigcontext mcontext;
};
ABI_AT(struct lx_uc_head, sigmask, 40);
ABI_AT(struct lx_ucontext, mcontext, 176);
ABI_SIZE(struct lx_ucontext, 4560);

struct lx_rt_sigframe {
    struct lx_siginfo info;
    struct lx_ucontext uc;
};
ABI_SIZE(struct lx_rt_sigframe, 4688);

/* Right above the frame: what x29 points to, so that debuggers and unwinders
 * go on to the code that was interrupted. */
struct lx_arm_frame_record {
    uint64_t fp, lr;
};
