// SPDX-License-Identifier: Apache-2.0
/* The two platforms of our own monitor: PVM (ring 3, hypercalls) and KVM
 * (ring 0). Both have an x2APIC with TSC deadline and the BOOT_CALL window. */
#include "abi/linux/errno.h"

#include "guest/arch/x86_64/apic.h"
#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/main.h"

#define X2APIC_TPR      (MSR_X2APIC + 0x08)
#define X2APIC_EOI      (MSR_X2APIC + 0x0b)
#define X2APIC_SPURIOUS (MSR_X2APIC + 0x0f)
#define X2APIC_ICR      (MSR_X2APIC + 0x30)
#define X2APIC_TIMER    (MSR_X2APIC + 0x32)

#define APIC_BASE_ADDR 0xfee00000
#define APIC_BASE_BSP  0x100
#define APIC_BASE_X2   0xc00 /* enabled, x2APIC mode */
#define APIC_SW_ENABLE 0x100
#define APIC_DEADLINE  (UINT64_C(2) << 17)

#define BOOT_CALL_TEXT  512 /* bytes of one BOOT_CALL_LOG */
#define FLUSH_ALL_PAGES 32  /* ring 0: from here on reload CR3 */

uint32_t irq_line_bias;

static void x2apic_init(struct cpu *c)
{
    platform->msr_write(MSR_APIC_BASE, APIC_BASE_ADDR | APIC_BASE_X2 |
                                           (c->id == 0 ? APIC_BASE_BSP : 0));
    platform->msr_write(X2APIC_SPURIOUS, APIC_SW_ENABLE | VEC_SPURIOUS);
    platform->msr_write(X2APIC_TPR, 0);
    platform->msr_write(X2APIC_TIMER, APIC_DEADLINE | VEC_TIMER);
}

static void x2apic_timer_set(uint64_t tsc)
{
    platform->msr_write(MSR_DEADLINE, tsc);
}

static void x2apic_eoi(void)
{
    platform->msr_write(X2APIC_EOI, 0);
}

static void x2apic_ipi(uint32_t cpu, uint8_t vector)
{
    /* x2APIC writes are not ordered after earlier stores by themselves. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    platform->msr_write(X2APIC_ICR, (uint64_t)cpu << 32 | vector);
}

static int msi_line_enable(uint32_t line)
{
    return line >= VEC_DEVICE && line < VEC_KICK ? 0 : -EINVAL;
}

static void boot_call(uint32_t call, uint32_t value)
{
    if (boot_info && boot_info->console_gpa)
        *(volatile uint32_t *)PHYS(boot_info->console_gpa + call) = value;
}

static void boot_call_log(const char *text, unsigned size)
{
    static union {
        struct boot_log log;
        char room[sizeof(struct boot_log) + BOOT_CALL_TEXT];
    } line;
    static struct spinlock lock; /* irq-safe; leaf */

    while (size > 0) {
        unsigned long flags = spin_lock_irq(&lock);
        line.log.size = MIN(size, (unsigned)BOOT_CALL_TEXT);
        memcpy(line.log.text, text, line.log.size);
        text += line.log.size;
        size -= line.log.size;
        boot_call(BOOT_CALL_LOG, (uint32_t)((uint64_t)&line - BOOT_KERNEL_X86));
        spin_unlock_irq(&lock, flags);
    }
}

static void boot_call_poweroff(void)
{
    boot_call(BOOT_CALL_POWEROFF, 0);
}

/* --- PVM --- */

static void pvm_msr_write(uint32_t msr, uint64_t value)
{
    (void)pvm_call(PVM_HC_WRMSR, msr, value);
}

static void pvm_root_load(paddr_t root)
{
    (void)pvm_call(PVM_HC_SET_CR3, root, 0);
}

static void pvm_flush(struct arch_aspace *as, uint64_t start, uint64_t end)
{
    uint64_t mask = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST);
    uint64_t self = UINT64_C(1) << arch_this_cpu()->id;

    if (!mask)
        return;
    if (mask & ~self)
        (void)pvm_call(PVM_HC_FLUSH_CPUS, mask, 0);
    else if (end - start <= PAGE_SIZE) /* one page costs as much as all */
        (void)pvm_call(PVM_HC_FLUSH_ONE, start, 0);
    else
        (void)pvm_call(PVM_HC_FLUSH_ALL, 0, 0);
}

static void pvm_halt(void)
{
    pvm_halt_now(arch_vif());
}

/* Any exit delivers what is pending; this one is the cheapest harmless. */
void arch_irq_deliver(void)
{
    (void)pvm_call(PVM_HC_FLUSH_ONE, BOOT_KERNEL_X86, 0);
}

const struct platform_ops platform_pvm = {
    .cpu_init = x2apic_init,
    .msr_write = pvm_msr_write,
    .root_load = pvm_root_load,
    .flush = pvm_flush,
    .timer_set = x2apic_timer_set,
    .eoi = x2apic_eoi,
    .ipi = x2apic_ipi,
    .line_enable = msi_line_enable,
    .halt = pvm_halt,
    .log = boot_call_log,
    .poweroff = boot_call_poweroff,
};

/* --- ring 0 --- */

void ring0_msr_write(uint32_t msr, uint64_t value)
{
    x86_wrmsr(msr, value);
}

void ring0_root_load(paddr_t root)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
}

static void ring0_flush_local(uint64_t start, uint64_t end)
{
    if (end - start > FLUSH_ALL_PAGES * PAGE_SIZE) {
        uint64_t root;
        __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(root)::"memory");
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

void arch_flush_serve(void)
{
    unsigned long flags = arch_irq_save(); /* VEC_FLUSH comes here as well */
    struct arch_cpu *a = &arch_this_cpu()->arch;
    /* Acquire: the entries changed before the request was made. */
    uint32_t asked = __atomic_load_n(&a->flush_asked, __ATOMIC_ACQUIRE);

    if (asked != a->flush_done) {
        ring0_flush_local(0, UINT64_MAX);
        __atomic_store_n(&a->flush_done, asked, __ATOMIC_RELEASE);
    }
    arch_irq_restore(flags);
}

void ring0_flush(struct arch_aspace *as, uint64_t start, uint64_t end)
{
    uint32_t ticket[BOOT_CPU_MAX];
    uint64_t mask = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST);
    uint32_t self = arch_this_cpu()->id;

    for (uint32_t i = 0; i < BOOT_CPU_MAX; i++) {
        if (i == self || !(mask >> i & 1))
            continue;
        ticket[i] =
            __atomic_add_fetch(&cpus[i].arch.flush_asked, 1, __ATOMIC_ACQ_REL);
        platform->ipi(i, VEC_FLUSH);
    }
    if (mask >> self & 1)
        ring0_flush_local(start, end);
    for (uint32_t i = 0; i < BOOT_CPU_MAX; i++) {
        if (i == self || !(mask >> i & 1))
            continue;
        /* arch_pause serves our own: two CPUs may flush each other. */
        while ((int32_t)(__atomic_load_n(&cpus[i].arch.flush_done,
                                         __ATOMIC_ACQUIRE) -
                         ticket[i]) < 0)
            arch_pause();
    }
}

const struct platform_ops platform_kvm = {
    .cpu_init = x2apic_init,
    .msr_write = ring0_msr_write,
    .root_load = ring0_root_load,
    .flush = ring0_flush,
    .timer_set = x2apic_timer_set,
    .eoi = x2apic_eoi,
    .ipi = x2apic_ipi,
    .line_enable = msi_line_enable,
    .halt = ring0_halt,
    .log = boot_call_log,
    .poweroff = boot_call_poweroff,
};
