// SPDX-License-Identifier: Apache-2.0
/* Private to arch/x86_64: MSR numbers. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#include "vmm/arch/kvm.h"

#define MSR_IA32_TSC      UINT32_C(0x10)
#define MSR_IA32_MISC     UINT32_C(0x1a0)
#define MSR_IA32_MTRR_DEF UINT32_C(0x2ff)
#define MSR_PVM_VIF       UINT32_C(0x4b564d10) /* pvm.md 2.1 */
#define MSR_PVM_SIGNATURE UINT32_C(0x4b564d11)
#define MSR_PVM_TSC_KHZ   UINT32_C(0x4b564d13)
#define PVM_SIGNATURE     UINT64_C(0x4d5650) /* "PVM" */
#define PVM_VIF_FLAGS     UINT64_C(0x7f)     /* all of pvm.md 2.2 */
