// SPDX-License-Identifier: Apache-2.0
/* A hypervisor made of a script, so that vmm/ runs in unit tests. */
#pragma once

#include "vmm/arch/arch.h"

/* What one arch_vcpu_run() does. */
struct fake_step {
    struct arch_exit exit; /* `data` is set to point at `bytes` */
    uint8_t bytes[8];      /* of a write; of a read: what the device said */
    int code;              /* < 0: the run fails with it */
};

/* Tests set it before they start; index 0 is CPU 0. */
struct fake {
    struct fake_step *steps; /* borrowed */
    unsigned step_count;
    unsigned next;
    bool user_kernel; /* what the first vCPU finds out */
    struct arch_entry booted;
};

extern struct fake fake;
