// SPDX-License-Identifier: Apache-2.0
/* What programs are told about the processor: auxv, /proc/cpuinfo. */
#include "guest/arch/x86_64/x86.h"
#include "guest/core/klib.h"

#define EM_X86_64 62

const uint16_t arch_elf_machine = EM_X86_64;
const char arch_platform[] = "x86_64";

/* Names of the bits, in order; "" is not shown. CPUID 1.EDX, 1.ECX, 7.EBX as
 * /proc/cpuinfo spells them. */
static const char flags_1d[] =
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat "
    "pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe ";
static const char flags_1c[] =
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma "
    "cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt "
    "tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor ";
static const char flags_7b[] =
    "- tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx "
    "rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb "
    "intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl ";

/* AT_HWCAP is CPUID 1.EDX; AT_HWCAP2 bit 1 would promise WRGSBASE, which is
 * not kept across switches here. */
uint64_t arch_hwcap(unsigned index)
{
    static uint32_t edx; /* CPUID is an exit: once */

    if (index != 0)
        return 0;
    if (!edx)
        edx = x86_cpuid(1, 0).d;
    return edx;
}

struct text {
    char *to;
    size_t size, used;
};

static void text_flags(struct text *t, const char *names, uint32_t bits)
{
    for (unsigned i = 0; *names; i++) {
        const char *end = strchr(names, ' ');
        int n = (int)(end - names);
        size_t left = t->used < t->size ? t->size - t->used : 0;

        if ((bits >> i & 1) && *names != '-')
            t->used +=
                (size_t)ksnprintf(t->to + t->used, left, " %.*s", n, names);
        names = end + 1;
    }
}

int arch_cpuinfo(char *to, size_t size, uint32_t cpu)
{
    struct x86_cpuid f0 = x86_cpuid(0, 0), f1 = x86_cpuid(1, 0);
    struct x86_cpuid f7 = f0.a >= 7 ? x86_cpuid(7, 0) : (struct x86_cpuid){0};
    uint32_t vendor[4] = {f0.b, f0.d, f0.c, 0};
    struct x86_cpuid brand[4] = {{0}};
    uint32_t family = f1.a >> 8 & 15, model = f1.a >> 4 & 15;

    if (x86_cpuid(0x80000000, 0).a >= 0x80000004)
        for (unsigned i = 0; i < 3; i++)
            brand[i] = x86_cpuid(0x80000002 + i, 0);
    if (family == 15)
        family += f1.a >> 20 & 255;
    if (family == 6 || family >= 15)
        model |= f1.a >> 12 & 0xf0;

    struct text t = {to, size, 0};
    t.used = (size_t)ksnprintf(
        to, size,
        "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
        "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %u.%03u\n"
        "physical id\t: 0\nsiblings\t: 1\ncore id\t\t: %u\ncpu cores\t: 1\n"
        "flags\t\t:",
        (char *)vendor, family, model, (char *)brand, f1.a & 15,
        (unsigned)(x86_tsc_hz / 1000000), (unsigned)(x86_tsc_hz / 1000 % 1000),
        cpu);
    text_flags(&t, flags_1d, f1.d);
    text_flags(&t, flags_1c, f1.c);
    text_flags(&t, flags_7b, f7.b);
    t.used += (size_t)ksnprintf(to + MIN(t.used, size),
                                size - MIN(t.used, size), " lm nx syscall\n\n");
    return (int)MIN(t.used, size ? size - 1 : 0);
}
