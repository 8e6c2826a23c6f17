// SPDX-License-Identifier: Apache-2.0
/* What CPUID says to a guest: all that KVM supports. */
#include "vmm/arch/x86_64/cpuid.h"

#include <cpuid.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/kvm.h"

#define CPUID_1_ECX_X2APIC       (UINT32_C(1) << 21)
#define CPUID_1_ECX_TSC_DEADLINE (UINT32_C(1) << 24)
#define CPUID_1_ECX_HYPERVISOR   (UINT32_C(1) << 31)
#define XCR0_MANAGED             UINT32_C(0xe7)
#define CPUID_1_EBX_APIC_ID      UINT32_C(0xff000000)

#define CACHE_MAGIC UINT64_C(0x3144495550434c21) /* "!LCPUID1" */

/* Before the table in the cache file. */
struct cache_head {
    uint64_t magic;
    uint64_t sum;    /* of the table, FNV-1a */
    uint32_t cpu[8]; /* as the instruction says: vendor, model, features */
    uint32_t size;   /* of the table, bytes */
    uint32_t pad0;
};

static uint64_t fnv1a(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static struct cache_head make_head(const struct kvm_cpuid2 *c)
{
    uint32_t unused;
    struct cache_head h = {.magic = CACHE_MAGIC,
                           .sum = fnv1a(c, cpuid_size(c->nent)),
                           .size = (uint32_t)cpuid_size(c->nent)};
    __cpuid(0, unused, h.cpu[0], unused, h.cpu[1]);
    __cpuid(1, h.cpu[2], unused, h.cpu[3], h.cpu[4]);
    __cpuid_count(7, 0, unused, h.cpu[5], h.cpu[6], h.cpu[7]);
    return h;
}

/* A file that is not whole, or was made on another CPU, is no cache. */
static bool load_cached(int fd, struct kvm_cpuid2 *c)
{
    struct cache_head is;
    const size_t room = cpuid_size(CPUID_ENTRIES_MAX);
    if (fd < 0 || pread(fd, &is, sizeof(is), 0) != (ssize_t)sizeof(is))
        return false;
    ssize_t n = pread(fd, c, room, sizeof(is));
    if (n < (ssize_t)sizeof(*c) || c->nent == 0 ||
        c->nent > CPUID_ENTRIES_MAX || n != (ssize_t)cpuid_size(c->nent))
        return false;
    const struct cache_head want = make_head(c);
    return memcmp(&is, &want, sizeof(is)) == 0;
}

int arch_cache_save(int kvm_fd, int fd, struct err *e)
{
    AUTO_FREE struct kvm_cpuid2 *c = calloc(1, cpuid_size(CPUID_ENTRIES_MAX));
    if (c == NULL)
        return err_set(e, -ENOMEM, "CPUID table: out of memory");
    if (cpuid_load(kvm_fd, -1, c, e) < 0)
        return e->code;
    const struct cache_head h = make_head(c);
    if (write(fd, &h, sizeof(h)) != (ssize_t)sizeof(h) ||
        write(fd, c, h.size) != (ssize_t)h.size)
        return err_set(e, -EIO, "CPUID cache: %s", strerror(errno));
    return 0;
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
