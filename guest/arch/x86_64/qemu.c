// SPDX-License-Identifier: Apache-2.0
/*
 * Plain QEMU, `-M microvm,acpi=off`: xAPIC by MMIO, one-shot LAPIC timer,
 * IOAPIC, port I/O, and a boot_info made from what PVH hands over. One CPU.
 * PVH: Xen public/arch-x86/hvm/start_info.h. IOAPIC: Intel 82093AA.
 */
#include "abi/linux/errno.h"
#include "boards/qemu-microvm/layout.h"

#include "guest/arch/x86_64/apic.h"
#include "guest/arch/x86_64/pvh.h"
#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"

#define XAPIC_TPR      0x80
#define XAPIC_EOI      0xb0
#define XAPIC_SPURIOUS 0xf0
#define XAPIC_TIMER    0x320
#define XAPIC_COUNT    0x380
#define XAPIC_CURRENT  0x390
#define XAPIC_DIVIDE   0x3e0
#define XAPIC_ENABLE   0x100
#define XAPIC_MASKED   0x10000
#define XAPIC_BY_1     0xb

#define IOAPIC_PINS  24
#define IOAPIC_LEVEL (UINT32_C(1) << 15)

#define PIT_HZ       UINT64_C(1193182)
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND  0x43
#define PIT_MODE2_0  0x34 /* channel 0, both bytes, rate generator */
#define PIT_LATCH_0  0x00
#define PIT_WAIT     11932 /* 10 ms */

#define QEMU_BOOT_INFO  UINT64_C(0x1000)
#define QEMU_TABLES     UINT64_C(0x20000) /* page directories from here */
#define QEMU_TABLES_END UINT64_C(0x90000)
#define QEMU_BLOB       UINT64_C(0x100000) /* our boot data, to the kernel */
#define GIB             UINT64_C(0x40000000)

static uint64_t apic_hz;

static void apic_write(uint32_t reg, uint32_t v)
{
    *(volatile uint32_t *)PHYS(QEMU_APIC + reg) = v;
}

static uint32_t apic_read(uint32_t reg)
{
    return *(volatile uint32_t *)PHYS(QEMU_APIC + reg);
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
    volatile uint32_t *io = PHYS(QEMU_IOAPIC);

    io[0] = reg;
    io[4] = v;
}

static void qemu_cpu_init(struct cpu *c)
{
    (void)c;
    irq_line_bias = VEC_DEVICE;
    apic_write(XAPIC_SPURIOUS, XAPIC_ENABLE | VEC_SPURIOUS);
    apic_write(XAPIC_TPR, 0);
    apic_write(XAPIC_DIVIDE, XAPIC_BY_1);
    apic_write(XAPIC_TIMER, VEC_TIMER);
}

static void qemu_timer_set(uint64_t tsc)
{
    uint64_t now = x86_rdtsc(), count = 0;

    if (tsc) {
        uint64_t ticks = tsc > now ? tsc - now : 0;
        count = (uint64_t)((unsigned __int128)ticks * apic_hz >> 32);
        /* Early is harmless: the timer code looks at the clock. */
        count = MAX(MIN(count, UINT64_C(0x7fffffff)), UINT64_C(1));
    }
    apic_write(XAPIC_COUNT, (uint32_t)count);
}

static void qemu_eoi(void)
{
    apic_write(XAPIC_EOI, 0);
}

static void qemu_ipi(uint32_t cpu, uint8_t vector)
{
    (void)cpu; /* there is only this CPU, and it is awake */
    (void)vector;
}

static int qemu_line_enable(uint32_t line)
{
    if (line >= IOAPIC_PINS)
        return -EINVAL;
    ioapic_write(0x11 + 2 * line, 0); /* to APIC 0 */
    ioapic_write(0x10 + 2 * line, IOAPIC_LEVEL | (VEC_DEVICE + line));
    return 0;
}

static void qemu_log(const char *text, unsigned size)
{
    while (size-- > 0)
        x86_outb(QEMU_DEBUG_PORT, (uint8_t)*text++);
}

static void qemu_poweroff(void)
{
    x86_outb(QEMU_EXIT_PORT, 0);
}

const struct platform_ops platform_qemu = {
    .cpu_init = qemu_cpu_init,
    .msr_write = ring0_msr_write,
    .root_load = ring0_root_load,
    .flush = ring0_flush,
    .timer_set = qemu_timer_set,
    .eoi = qemu_eoi,
    .ipi = qemu_ipi,
    .line_enable = qemu_line_enable,
    .halt = ring0_halt,
    .log = qemu_log,
    .poweroff = qemu_poweroff,
};

/* --- boot --- */

static unsigned pit_read(void)
{
    x86_outb(PIT_COMMAND, PIT_LATCH_0);
    unsigned lo = x86_inb(PIT_CHANNEL0);
    return lo | (unsigned)x86_inb(PIT_CHANNEL0) << 8;
}

/* TSC and LAPIC timer rates against the PIT; its interrupt stays masked. */
static uint64_t calibrate(void)
{
    x86_outb(PIT_COMMAND, PIT_MODE2_0);
    x86_outb(PIT_CHANNEL0, 0); /* counts down from 65536 */
    x86_outb(PIT_CHANNEL0, 0);
    apic_write(XAPIC_SPURIOUS, XAPIC_ENABLE | VEC_SPURIOUS);
    apic_write(XAPIC_DIVIDE, XAPIC_BY_1);
    apic_write(XAPIC_TIMER, XAPIC_MASKED | VEC_TIMER);

    unsigned pit0 = pit_read(), pit = 0;
    uint64_t tsc0 = x86_rdtsc(), tsc = tsc0;
    apic_write(XAPIC_COUNT, UINT32_MAX);
    /* The wait is bounded for a machine without a PIT. */
    while (pit < PIT_WAIT && tsc - tsc0 < NSEC_PER_SEC) {
        pit = (pit0 - pit_read()) & 0xffff;
        tsc = x86_rdtsc();
    }
    uint64_t apic = UINT32_MAX - apic_read(XAPIC_CURRENT);
    apic_write(XAPIC_COUNT, 0);
    if (pit < PIT_WAIT) {
        pit = PIT_WAIT;
        tsc = tsc0 + NSEC_PER_SEC / 100;
        apic = NSEC_PER_SEC / 100;
    }
    /* Timer ticks per TSC tick, 32 fraction bits. */
    apic_hz = (apic << 32) / (tsc - tsc0);
    return (tsc - tsc0) * PIT_HZ / pit;
}

/* 2 MiB pages for what lies above the 4 GiB that pvh.S mapped. */
static uint64_t map_high(uint64_t top)
{
    uint64_t *l3 = PHYS(PVH_PHYSMAP_L3);
    uint64_t table = QEMU_TABLES, at = 4 * GIB;

    for (; at < top && table < QEMU_TABLES_END; at += GIB, table += PAGE_SIZE) {
        uint64_t *l2 = PHYS(table);
        for (uint64_t i = 0; i < 512; i++)
            l2[i] = (at + i * HUGE_SIZE) | X86_PTE_P | X86_PTE_W | X86_PTE_PS;
        l3[at / GIB] = table | X86_PTE_P | X86_PTE_W;
    }
    return MIN(at, MAX(top, 4 * GIB));
}

static void ram_from_map(struct boot_info *bi, const struct pvh_info *p)
{
    unsigned n = 0;
    uint64_t top = 0;

    for (unsigned i = 0; i < p->map_count; i++)
        if (p->map[i].type == PVH_RAM)
            top = MAX(top, p->map[i].base + p->map[i].size);
    top = map_high(top);
    for (unsigned i = 0; i < p->map_count && n < BOOT_RAM_MAX; i++) {
        uint64_t base = p->map[i].base, end = base + p->map[i].size;

        if (p->map[i].type != PVH_RAM || base >= top)
            continue;
        if (base < BOOT_KERNEL_GPA && end > BOOT_KERNEL_GPA)
            base = 0; /* the hole below 1 MiB is inside low_end anyway */
        if (end <= BOOT_KERNEL_GPA)
            continue;
        bi->ram[n++] = (struct boot_range){base, MIN(end, top) - base};
    }
}

/* Our blob moves below the kernel, where nothing is allocated, and leaves
 * zeroes: RAM that was never used is taken for that (core/page.h). */
static void blob_move(const struct pvh_info *p)
{
    static const char text[] =
        "limpet-kernel: no boot data (-initrd), or too much\n";

    if (!p->module_count || p->module.size < sizeof(struct boot_info) ||
        p->module.size > BOOT_KERNEL_GPA - QEMU_BLOB) {
        arch_log(text, sizeof(text) - 1);
        arch_poweroff();
    }
    memcpy(PHYS(QEMU_BLOB), PHYS(p->module.base), p->module.size);
    memset(PHYS(p->module.base), 0, p->module.size);
}

struct boot_info *qemu_boot(void)
{
    const struct pvh_info *p = &pvh_info;
    struct boot_info *bi = PHYS(QEMU_BOOT_INFO);

    platform = &platform_qemu; /* for messages */
    arch_ring0 = 1;
    blob_move(p);
    memcpy(bi, PHYS(QEMU_BLOB), sizeof(*bi));
    bi->platform = BOOT_PLATFORM_QEMU;
    bi->fdt_gpa += QEMU_BLOB;
    bi->cont_gpa += QEMU_BLOB;
    bi->cpu_count = 1;
    bi->low_end = BOOT_KERNEL_GPA;
    bi->small_end = BOOT_KERNEL_GPA;
    bi->root_gpa = PVH_ROOT;
    bi->vif_gpa = 0;
    bi->console_gpa = 0;
    ram_from_map(bi, p);
    bi->tsc_hz = calibrate();
    if (!bi->wall_tsc)
        bi->wall_tsc = arch_entry_tsc;
    return bi;
}
