// SPDX-License-Identifier: Apache-2.0
/* First C code of every CPU: platform, GS, descriptor tables, features. */
#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/main.h"

#define GDT_ENTRIES 9
#define NMI_STACK   512
#define FATAL_STACK 4096

#define CR0_MP (UINT64_C(1) << 1)
#define CR0_EM (UINT64_C(1) << 2)
#define CR0_TS (UINT64_C(1) << 3)
#define CR0_NE (UINT64_C(1) << 5)
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_AM (UINT64_C(1) << 18)

#define CR4_OSFXSR     (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_UMIP       (UINT64_C(1) << 11)
#define CR4_FSGSBASE   (UINT64_C(1) << 16)
#define CR4_OSXSAVE    (UINT64_C(1) << 18)
#define CR4_SMEP       (UINT64_C(1) << 20)
#define CR4_SMAP       (UINT64_C(1) << 21)

struct gate {
    uint16_t off0;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t off1;
    uint32_t off2;
    uint32_t zero;
};
ABI_SIZE(struct gate, 16);

struct tss {
    uint32_t pad0;
    uint64_t rsp[3];
    uint64_t pad1;
    uint64_t ist[7];
    uint64_t pad2;
    uint16_t pad3;
    uint16_t iomap;
} __attribute__((packed));
ABI_SIZE(struct tss, 104);

struct cpu_tables {
    uint64_t gdt[GDT_ENTRIES];
    struct tss tss;
    uint8_t nmi_stack[NMI_STACK] __attribute__((aligned(16)));
};

struct table_ptr {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

ABI_AT(struct arch_cpu, kernel_sp, CPU_KERNEL_SP);
ABI_AT(struct arch_cpu, user_sp, CPU_USER_SP);
ABI_AT(struct cpu, current, ARCH_CPU_CURRENT);
ABI_AT(struct arch_regs, nr, REGS_NR);
ABI_AT(struct arch_regs, cs, REGS_CS);
ABI_AT(struct arch_regs, rflags, REGS_RFLAGS);
ABI_AT(struct arch_regs, rsp, REGS_RSP);
ABI_SIZE(struct arch_regs, REGS_SIZE);

extern const char vector_stubs[], nmi_entry[], fatal_entry_df[];
extern const char fatal_entry_mc[], syscall_entry_pvm[], syscall_entry_ring0[];

const struct platform_ops *platform;
uint8_t arch_ring0, arch_smap;
uint64_t arch_entry_tsc;

static struct gate idt[256] __attribute__((aligned(16)));
static struct cpu_tables cpu_tables[BOOT_CPU_MAX] __attribute__((aligned(64)));
static uint8_t fatal_stack[FATAL_STACK] __attribute__((aligned(16)));

static void idt_set(unsigned vector, const char *to, uint8_t ist)
{
    uint64_t at = (uint64_t)to;

    idt[vector] = (struct gate){
        .off0 = (uint16_t)at,
        .selector = X86_CS_KERNEL,
        .ist = ist,
        .type = vector == 3 ? 0xee : 0x8e, /* programs may execute INT3 */
        .off1 = (uint16_t)(at >> 16),
        .off2 = (uint32_t)(at >> 32),
    };
}

static void idt_init(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(idt); i++)
        idt_set(i, vector_stubs + 16 * (size_t)i, 0);
    idt_set(VEC_NMI, nmi_entry, 2);
    idt_set(VEC_DF, fatal_entry_df, 1);
    idt_set(VEC_MC, fatal_entry_mc, 1);
}

/* Segment descriptors: Intel SDM volume 3, 3.4.5 and 7.2.3. */
void tables_init(struct cpu *c)
{
    struct cpu_tables *t = &cpu_tables[c->id];
    uint64_t tss = (uint64_t)&t->tss;

    c->arch.tables = t;
    t->gdt[X86_CS_KERNEL / 8] = 0x00af9b000000ffff;
    t->gdt[X86_SS_KERNEL / 8] = 0x00cf93000000ffff;
    t->gdt[X86_SS_USER / 8] = 0x00cff3000000ffff;
    t->gdt[X86_CS_USER / 8] = 0x00affb000000ffff;
    t->gdt[X86_TSS / 8] = (sizeof(t->tss) - 1) | (tss & 0xffffff) << 16 |
                          UINT64_C(0x89) << 40 | (tss >> 24 & 0xff) << 56;
    t->gdt[X86_TSS / 8 + 1] = tss >> 32;
    t->tss.ist[0] = (uint64_t)(fatal_stack + sizeof(fatal_stack));
    t->tss.ist[1] = (uint64_t)(t->nmi_stack + sizeof(t->nmi_stack));
    t->tss.iomap = sizeof(t->tss);
    if (c->id == 0)
        idt_init();

    struct table_ptr gp = {sizeof(t->gdt) - 1, (uint64_t)t->gdt};
    struct table_ptr ip = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gp), "m"(ip),
                     "r"(X86_TSS)
                     : "memory");

    platform->msr_write(MSR_STAR, (uint64_t)(X86_SS_USER - 8) << 48 |
                                      (uint64_t)X86_CS_KERNEL << 32);
    platform->msr_write(MSR_LSTAR, (uint64_t)(arch_ring0 ? syscall_entry_ring0
                                                         : syscall_entry_pvm));
    platform->msr_write(MSR_SFMASK,
                        X86_TF | X86_IF | X86_DF | X86_NT | X86_RF | X86_AC);
}

void tables_set_stack(struct cpu *c, uint64_t sp)
{
    c->arch.kernel_sp = sp;
    c->arch.tables->tss.rsp[0] = sp;
}

/* Ring 0 only: on PVM control registers are the host's business. FSGSBASE
 * stays off, so a program's bases change through the kernel only. */
void features_init(struct cpu *c)
{
    if (!arch_ring0)
        return;
    struct x86_cpuid f1 = x86_cpuid(1, 0);
    struct x86_cpuid f0 = x86_cpuid(0, 0);
    struct x86_cpuid f7 = f0.a >= 7 ? x86_cpuid(7, 0) : (struct x86_cpuid){0};
    uint64_t cr0, cr4;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    cr0 = (cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP | CR0_AM;
    __asm__ volatile("mov %0, %%cr0" ::"r"(cr0) : "memory");

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 = (cr4 & ~CR4_FSGSBASE) | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (f1.c & (1u << 26))
        cr4 |= CR4_OSXSAVE;
    if (f7.b & (1u << 7))
        cr4 |= CR4_SMEP;
    if (f7.b & (1u << 20))
        cr4 |= CR4_SMAP;
    if (f7.c & (1u << 2))
        cr4 |= CR4_UMIP;
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
    if (c->id == 0)
        arch_smap = (f7.b & (1u << 20)) != 0;
}

static void platform_choose(const struct boot_info *bi)
{
    switch ((enum boot_platform)bi->platform) {
    case BOOT_PLATFORM_PVM: platform = &platform_pvm; break;
    case BOOT_PLATFORM_QEMU: platform = &platform_qemu; break;
    case BOOT_PLATFORM_KVM: platform = &platform_kvm; break;
    }
    arch_ring0 = bi->platform != BOOT_PLATFORM_PVM;
}

static void gs_init(struct cpu *c)
{
    if (!arch_ring0) {
        __asm__ volatile("wrgsbase %0" ::"r"(c) : "memory");
        return;
    }
    /* Null selectors: no descriptor of whoever started us is left. */
    __asm__ volatile(
        "mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" ::"r"(0));
    x86_wrmsr(MSR_GS_BASE, (uint64_t)c);
    x86_wrmsr(MSR_GS_USER, 0);
}

/* bi == NULL: QEMU's PVH entry (pvh.S) made the tables. */
void arch_start(struct boot_info *bi, uint32_t index)
{
    struct cpu *c = &cpus[index];

    if (!bi)
        bi = qemu_boot();
    platform_choose(bi); /* every CPU: which one comes first is open */
    gs_init(c);
    c->arch.self = c;
    c->id = index;
    if (!arch_ring0)
        c->arch.vif = PHYS(bi->vif_gpa + index * PAGE_SIZE);
    if (index == 0) {
        clock_init(bi);
        mmu_init(bi);
    }
    kernel_main(bi, index);
}

void arch_cpu_init(struct cpu *c)
{
    tables_init(c);
    features_init(c);
    fpu_init(c);
    platform->cpu_init(c);
}
