// SPDX-License-Identifier: Apache-2.0
/* What programs are told about the processor: auxv, /proc/cpuinfo. Linux:
 * Documentation/arm64/{elf_hwcaps,cpu-feature-registers}.rst. */
#include "guest/arch/aarch64/arm.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"

#define EM_AARCH64 183

const uint16_t arch_elf_machine = EM_AARCH64;
const char arch_platform[] = "aarch64";

enum id_register { ISAR0, ISAR1, PFR0, MMFR2, ID_COUNT };

/* One capability: a field of a register that is at least `min`. */
struct hwcap {
    const char *name;
    uint8_t bit; /* of AT_HWCAP; 32 and up: AT_HWCAP2 */
    uint8_t reg, shift, min;
};

/* Only what needs nothing of the kernel: no SVE, SME, PAuth, BTI, MTE. The
 * order is that of /proc/cpuinfo. */
static const struct hwcap hwcaps[] = {
    {"fp", 0, PFR0, 16, 0},         {"asimd", 1, PFR0, 20, 0},
    {"evtstrm", 2, ID_COUNT, 0, 0}, {"aes", 3, ISAR0, 4, 1},
    {"pmull", 4, ISAR0, 4, 2},      {"sha1", 5, ISAR0, 8, 1},
    {"sha2", 6, ISAR0, 12, 1},      {"crc32", 7, ISAR0, 16, 1},
    {"atomics", 8, ISAR0, 20, 2},   {"fphp", 9, PFR0, 16, 1},
    {"asimdhp", 10, PFR0, 20, 1},   {"cpuid", 11, ID_COUNT, 0, 0},
    {"asimdrdm", 12, ISAR0, 28, 1}, {"jscvt", 13, ISAR1, 12, 1},
    {"fcma", 14, ISAR1, 16, 1},     {"lrcpc", 15, ISAR1, 20, 1},
    {"dcpop", 16, ISAR1, 0, 1},     {"sha3", 17, ISAR0, 32, 1},
    {"sm3", 18, ISAR0, 36, 1},      {"sm4", 19, ISAR0, 40, 1},
    {"asimddp", 20, ISAR0, 44, 1},  {"sha512", 21, ISAR0, 12, 2},
    {"asimdfhm", 23, ISAR0, 48, 1}, {"uscat", 25, MMFR2, 32, 1},
    {"ilrcpc", 26, ISAR1, 20, 2},   {"flagm", 27, ISAR0, 52, 1},
    {"sb", 29, ISAR1, 36, 1},       {"dcpodp", 32, ISAR1, 0, 2},
    {"flagm2", 39, ISAR0, 52, 2},   {"frint", 40, ISAR1, 32, 1},
    {"i8mm", 45, ISAR1, 52, 1},     {"bf16", 46, ISAR1, 44, 1},
    {"rng", 48, ISAR0, 60, 1},
};

static uint64_t id_read(unsigned reg)
{
    switch (reg) {
    case ISAR0: return ARM_READ("id_aa64isar0_el1");
    case ISAR1: return ARM_READ("id_aa64isar1_el1");
    case PFR0: return ARM_READ("id_aa64pfr0_el1");
    case MMFR2: return ARM_READ("s3_0_c0_c7_2");
    default: return 0;
    }
}

/* FP and ASIMD are signed fields: 0xf is "not there". */
static bool hwcap_has(const struct hwcap *h)
{
    uint64_t field = id_read(h->reg) >> h->shift & 0xf;

    if (h->reg == PFR0 && field == 0xf)
        return false;
    return field >= h->min;
}

uint64_t arch_hwcap(unsigned index)
{
    static uint64_t words[2]; /* trapped by some hypervisors: once */

    if (!words[0])
        for (unsigned i = 0; i < ARRAY_COUNT(hwcaps); i++)
            if (hwcap_has(&hwcaps[i]))
                words[hwcaps[i].bit / 32] |= UINT64_C(1) << hwcaps[i].bit % 32;
    return index < 2 ? words[index] : 0;
}

int arch_cpuinfo(char *to, size_t size, uint32_t cpu)
{
    uint64_t midr = ARM_READ("midr_el1");
    uint64_t hz = ARM_READ("cntfrq_el0") & UINT32_MAX;
    size_t used;

    (void)cpu; /* all are alike: machines of ours have one kind */
    used = (size_t)ksnprintf(
        to, size, "BogoMIPS\t: %u.%02u\nFeatures\t:", (unsigned)(hz / 500000),
        (unsigned)(hz / 5000 % 100));
    for (unsigned i = 0; i < ARRAY_COUNT(hwcaps); i++) {
        const struct hwcap *h = &hwcaps[i];
        size_t at = MIN(used, size);
        if (arch_hwcap(h->bit / 32) >> h->bit % 32 & 1)
            used += (size_t)ksnprintf(to + at, size - at, " %s", h->name);
    }
    size_t at = MIN(used, size);
    used += (size_t)ksnprintf(
        to + at, size - at,
        "\nCPU implementer\t: 0x%02x\nCPU architecture: 8\n"
        "CPU variant\t: 0x%x\nCPU part\t: 0x%03x\nCPU revision\t: %u\n",
        (unsigned)(midr >> 24 & 0xff), (unsigned)(midr >> 20 & 0xf),
        (unsigned)(midr >> 4 & 0xfff), (unsigned)(midr & 0xf));
    return (int)MIN(used, size ? size - 1 : 0);
}
