// SPDX-License-Identifier: Apache-2.0
/* The signal frame of x86-64. Source: Linux UAPI asm/sigcontext.h,
 * asm-generic/ucontext.h; x86-64 psABI 3.2.2 (red zone). */
#pragma once

#include "abi/linux/signal.h"

struct lx_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uint64_t fpstate; /* user address of the FP area, 0: none */
    uint64_t reserved[8];
};
ABI_AT(struct lx_sigcontext, rip, 128);
ABI_AT(struct lx_sigcontext, fpstate, 184);
ABI_SIZE(struct lx_sigcontext, 256);

#define LX_UC_FP_XSTATE         1u
#define LX_UC_SIGCONTEXT_SS     2u
#define LX_UC_STRICT_RESTORE_SS 4u

struct lx_ucontext {
    uint64_t flags; /* LX_UC_* */
    uint64_t link;
    struct lx_stack stack;
    struct lx_sigcontext mcontext;
    uint64_t sigmask;
};
ABI_AT(struct lx_ucontext, mcontext, 40);
ABI_AT(struct lx_ucontext, sigmask, 296);
ABI_SIZE(struct lx_ucontext, 304);

struct lx_rt_sigframe {
    uint64_t restorer; /* return address of the handler */
    struct lx_ucontext uc;
    struct lx_siginfo info;
};
ABI_SIZE(struct lx_rt_sigframe, 440);

/* In the FP area, at LX_FP_SW: says whether XSAVE components follow the
 * legacy part. LX_FP_MAGIC2 follows the last of them. */
struct lx_fp_sw {
    uint32_t magic1;        /* LX_FP_MAGIC1 */
    uint32_t extended_size; /* bytes with magic2 */
    uint64_t features;      /* XCR0 bits in the area */
    uint32_t xstate_size;   /* bytes without magic2 */
    uint32_t pad[7];
};
ABI_SIZE(struct lx_fp_sw, 48);
#define LX_FP_LEGACY UINT32_C(512) /* FXSAVE part */
#define LX_FP_SW     UINT32_C(464)
#define LX_FP_MAGIC1 UINT32_C(0x46505853)
#define LX_FP_MAGIC2 UINT32_C(0x46505845)
