// SPDX-License-Identifier: Apache-2.0
/* What CPUID says to a guest: all that KVM supports. */
#include "vmm/arch/x86_64/cpuid.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/err.h"
#include "vmm/arch/x86_64/kvm.h"

#define CPUID_1_ECX_X2APIC       (UINT32_C(1) << 21)
#define CPUID_1_ECX_TSC_DEADLINE (UINT32_C(1) << 24)
#define CPUID_1_ECX_HYPERVISOR   (UINT32_C(1) << 31)
#define XCR0_MANAGED             UINT32_C(0xe7)
#define CPUID_1_EBX_APIC_ID      UINT32_C(0xff000000)

/* A cache of another size is no cache: KVM checks the contents anyway. */
static bool load_cached(int fd, struct kvm_cpuid2 *c)
{
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, c, cpuid_size(CPUID_ENTRIES_MAX), 0);
    return n >= (ssize_t)sizeof(*c) && c->nent > 0 &&
           c->nent <= CPUID_ENTRIES_MAX && n == (ssize_t)cpuid_size(c->nent);
}

int cpuid_load(int kvm_fd, int cache_fd, struct kvm_cpuid2 *out, struct err *e)
{
    if (load_cached(cache_fd, out))
        return 0;
    out->nent = CPUID_ENTRIES_MAX;
    return KVM_CALL(kvm_fd, KVM_GET_SUPPORTED_CPUID, out, e) < 0 ? e->code : 0;
}

void cpuid_set_cpu(struct kvm_cpuid2 *c, uint32_t apic_id)
{
    for (unsigned i = 0; i < c->nent; i++) {
        struct kvm_cpuid_entry2 *l = &c->entries[i];
        if (l->function == 1) {
            l->ebx = (l->ebx & ~CPUID_1_EBX_APIC_ID) | apic_id << 24;
            l->ecx |= CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE |
                      CPUID_1_ECX_HYPERVISOR;
        }
        if (l->function == 0xb || l->function == 0x1f)
            l->edx = apic_id;
    }
}

uint64_t cpuid_xcr0(const struct kvm_cpuid2 *c)
{
    for (unsigned i = 0; i < c->nent; i++)
        if (c->entries[i].function == 0xd && c->entries[i].index == 0)
            return c->entries[i].eax & XCR0_MANAGED;
    return 0;
}
