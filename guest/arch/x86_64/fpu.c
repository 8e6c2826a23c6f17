// SPDX-License-Identifier: Apache-2.0
/*
 * Programs' x87, SSE and AVX state. Saved when a program's task leaves the
 * CPU; loaded again only if another program's state came in between. Kernel
 * code never touches these registers. Intel SDM volume 1, chapter 13.
 */
#include "abi/linux/errno.h"

#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/task.h"

#define XCR0_OURS UINT64_C(0xe7) /* x87, SSE, AVX, AVX-512 */
#define FP_LEGACY 512
#define FP_NO_CPU UINT32_MAX

static uint64_t features; /* 0: FXSAVE only */
static size_t area_size;
/* Initial state: XSTATE_BV 0 after the legacy part; x87 CW and MXCSR are read
 * from it by FXRSTOR, MXCSR also by XRSTOR. */
static const uint32_t fp_initial[256] __attribute__((aligned(64))) = {
    [0] = 0x37f,
    [6] = 0x1f80,
};

void fpu_init(struct cpu *c)
{
    uint32_t lo, hi;
    uint64_t cr4 = 0;

    if (arch_ring0) {
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        if (!(cr4 & (UINT64_C(1) << 18))) { /* OSXSAVE */
            area_size = FP_LEGACY;
            return;
        }
        uint32_t want = (uint32_t)XCR0_OURS & x86_cpuid(0xd, 0).a;
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        if (lo != want || hi != 0) /* an exit; our monitor has set it */
            __asm__ volatile("xsetbv" ::"a"(want), "d"(0), "c"(0));
    }
    if (c->id != 0)
        return;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    features = lo & XCR0_OURS;
    area_size = x86_cpuid(0xd, 0).b;
    KASSERT(area_size <= PAGE_SIZE);
}

size_t fpu_size(void)
{
    return area_size;
}

uint64_t fpu_features(void)
{
    return features;
}

int fpu_alloc(struct task *t)
{
    /* XSAVE leaves reserved bytes as they were: XRSTOR wants zeros in the
     * header, and signal frames show them to programs. */
    paddr_t pa = page_alloc(0, PAGE_ZERO);

    if (!pa)
        return -ENOMEM;
    t->arch.fp = page_virt(pa);
    t->arch.fp_cpu = FP_NO_CPU;
    return 0;
}

static void area_load(const void *area)
{
    if (features)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)features),
                         "d"((uint32_t)(features >> 32))
                         : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

void fpu_save(void *area)
{
    if (features)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)features),
                         "d"((uint32_t)(features >> 32))
                         : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_leave(struct task *t)
{
    fpu_save(t->arch.fp);
}

void fpu_enter(struct cpu *c, struct task *t)
{
    if (c->arch.fp_owner == t && t->arch.fp_cpu == c->id)
        return;
    area_load(t->arch.fp);
    c->arch.fp_owner = t;
    t->arch.fp_cpu = c->id;
}

static void fpu_set(struct task *t, const void *area)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();

    area_load(area);
    c->arch.fp_owner = t;
    t->arch.fp_cpu = c->id;
    arch_irq_restore(flags);
}

void fpu_reset(struct task *t)
{
    fpu_set(t, fp_initial);
}

void fpu_reload(struct task *t)
{
    fpu_set(t, t->arch.fp);
}
