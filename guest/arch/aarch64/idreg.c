// SPDX-License-Identifier: Apache-2.0
/* MRS of identification registers by programs (HWCAP_CPUID). Linux:
 * Documentation/arm64/cpu-feature-registers.rst says which and which fields. */
#include "guest/arch/aarch64/arm.h"

/* MRS <Xt>, <op0=3 op1 CRn CRm op2>: C6.2. */
#define MRS_MASK 0xfff80000u
#define MRS      0xd5380000u /* op0 = 3, op1 = 0 with the mask below */

#define ISAR0_SHOWN UINT64_C(0xf0fffffff0fffff0)
/* Without pointer authentication: APA, API, GPA, GPI. */
#define ISAR1_SHOWN UINT64_C(0x00fff0ff00fff00f)
#define PFR0_SHOWN  UINT64_C(0x000f000000ff0000)
#define MMFR2_SHOWN UINT64_C(0x0000000f00000000)
#define PFR0_EL     UINT64_C(0x11) /* EL0 and EL1 in AArch64 only */
#define MPIDR_RES1  (UINT64_C(1) << 31)

static uint64_t id_group(unsigned crm, unsigned op2)
{
    switch (crm << 3 | op2) {
    case 4 << 3 | 0:
        return (ARM_READ("id_aa64pfr0_el1") & PFR0_SHOWN) | PFR0_EL;
    case 5 << 3 | 0: return 6; /* ID_AA64DFR0: ARMv8.0 debug */
    case 6 << 3 | 0: return ARM_READ("id_aa64isar0_el1") & ISAR0_SHOWN;
    case 6 << 3 | 1: return ARM_READ("id_aa64isar1_el1") & ISAR1_SHOWN;
    case 7 << 3 | 2: return ARM_READ("s3_0_c0_c7_2") & MMFR2_SHOWN;
    default: return 0; /* the rest of the group reads as zero */
    }
}

bool idreg_emulate(struct arch_regs *r, uint32_t insn)
{
    unsigned op1 = insn >> 16 & 7, crn = insn >> 12 & 15;
    unsigned crm = insn >> 8 & 15, op2 = insn >> 5 & 7, to = insn & 31;
    uint64_t v;

    if ((insn & MRS_MASK) != MRS || op1 != 0 || crn != 0)
        return false;
    if (crm == 0 && op2 == 0)
        v = ARM_READ("midr_el1");
    else if (crm == 0 && op2 == 5)
        v = MPIDR_RES1;
    else if (crm == 0 && op2 == 6)
        v = ARM_READ("revidr_el1");
    else if (crm >= 4 && crm <= 7)
        v = id_group(crm, op2);
    else
        return false;
    if (to < 31)
        r->x[to] = v;
    r->pc += 4;
    return true;
}
