// SPDX-License-Identifier: Apache-2.0
/* Private to arch/x86_64: what CPUID says to a guest. */
#pragma once

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { CPUID_ENTRIES_MAX = 256 };

static inline size_t cpuid_size(unsigned entries)
{
    return sizeof(struct kvm_cpuid2) +
           entries * sizeof(struct kvm_cpuid_entry2);
}

/*
 * What this host's KVM supports, into a table of CPUID_ENTRIES_MAX: from
 * `cache_fd` (what arch_cache_save() wrote, on this CPU; -1: none) or else from
 * KVM. Allocates nothing.
 */
int cpuid_load(int kvm_fd, int cache_fd, struct kvm_cpuid2 *out, struct err *e);

/* The same for one CPU: its APIC id, and what KVM leaves to us. */
void cpuid_set_cpu(struct kvm_cpuid2 *c, uint32_t apic_id);

/* XCR0 with all that our kernel manages: x87, SSE, AVX, AVX-512. 0: the CPU
 * has no XSAVE. */
uint64_t cpuid_xcr0(const struct kvm_cpuid2 *c);
