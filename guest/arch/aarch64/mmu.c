// SPDX-License-Identifier: Apache-2.0
/* The kernel's own page tables, and instruction caches. DDI 0487 D8. */
#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/log.h"
#include "guest/core/page.h"

#define GIB    UINT64_C(0x40000000)
#define PA_END (UINT64_C(1) << 47)
#define TABLES                                                                 \
    24 /* for any boot_info: one per level and odd end of a range              \
        */

#define KERNEL_PTE (ARM_PTE_VALID | ARM_PTE_AF | ARM_PTE_INNER | ARM_PTE_UXN)
#define KERNEL_RX  (KERNEL_PTE | ARM_PTE_RDONLY)
#define KERNEL_RO  (KERNEL_PTE | ARM_PTE_RDONLY | ARM_PTE_PXN)
#define KERNEL_RW  (KERNEL_PTE | ARM_PTE_PXN)
#define KERNEL_DEV (KERNEL_RW | (MAIR_DEVICE << ARM_PTE_ATTR))

#define CTR_IDC (UINT64_C(1) << 28)
#define CTR_DIC (UINT64_C(1) << 29)

extern char arch_text_end[], arch_rodata_end[]; /* link.ld */

static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));
static unsigned tables_used;
static uint64_t *kernel_root;

static uint64_t *table_new(void)
{
    if (tables_used == TABLES)
        panic("boot_info: too many ranges of memory");
    return tables[tables_used++];
}

/* Map [pa, end) where it belongs, with the largest leaves that fit. */
static void map(paddr_t pa, paddr_t end, uint64_t rights)
{
    end = ROUND_UP(end, PAGE_SIZE);
    if (end > PA_END)
        panic("boot_info: memory above 128 TiB");
    while (pa < end) {
        uint64_t *table = kernel_root;
        unsigned level = 3;
        uint64_t size = GIB * 512;
        while (level > 2 ||
               (level > 0 && ((pa & (size - 1)) != 0 || end - pa < size))) {
            uint64_t *e = &table[pa >> (PAGE_SHIFT + 9 * level) & 511];
            if (!*e)
                *e = arch_pte_table(VIRT(table_new()));
            table = PHYS(arch_pte_pa(*e));
            level--;
            size >>= 9;
        }
        unsigned i = pa >> (PAGE_SHIFT + 9 * level) & 511;
        uint64_t type = level ? 0 : ARM_PTE_TABLE;
        for (; i < 512 && end - pa >= size; i++, pa += size)
            table[i] = pa | rights | type;
    }
}

/* RAM without the kernel's image, which has rights of its own. */
static void map_ram(paddr_t pa, paddr_t end)
{
    paddr_t start = BOOT_KERNEL_GPA;
    paddr_t stop = VIRT(arch_kernel_end);

    if (end <= start || pa >= stop) {
        map(pa, end, KERNEL_RW);
        return;
    }
    map(pa, start, KERNEL_RW);
    map(start, VIRT(arch_text_end), KERNEL_RX);
    map(VIRT(arch_text_end), VIRT(arch_rodata_end), KERNEL_RO);
    map(VIRT(arch_rodata_end), stop, KERNEL_RW);
    map(stop, end, KERNEL_RW);
}

static void map_image(void)
{
    uint32_t size;
    const void *reg =
        board.image.off ? fdt_prop(&board.image, "reg", &size) : NULL;

    if (!reg || size < 16)
        return;
    paddr_t pa = fdt_cell2(reg, 0);
    uint64_t bytes = fdt_cell2(reg, 2);
    if (pa < PA_END && bytes <= PA_END - pa)
        map(pa, pa + bytes, KERNEL_RO);
}

void mmu_init(const struct boot_info *bi)
{
    kernel_root = table_new();
    map(0, BOOT_RAM_BASE, KERNEL_DEV);
    for (unsigned i = 0; i < BOOT_RAM_MAX && bi->ram[i].size; i++)
        map_ram(bi->ram[i].base, bi->ram[i].base + bi->ram[i].size);
    map_image();
    ARM_DSB("ishst");
}

void mmu_load(void)
{
    mmu_switch(VIRT(kernel_root), VIRT(empty_root));
}

/* --- instructions that were written as data: B2.4.4 --- */

static uint64_t ctr;

void icache_init(void)
{
    ctr = ARM_READ("ctr_el0");
}

void arch_sync_icache(void *page, size_t size)
{
    char *start = page, *end = start + size;

    if (!(ctr & CTR_IDC)) {
        uint64_t line = UINT64_C(4) << (ctr >> 16 & 0xf);
        for (char *p = start; p < end; p += line)
            __asm__ volatile("dc cvau, %0" ::"r"(p) : "memory");
    }
    ARM_DSB("ish");
    if (!(ctr & CTR_DIC)) {
        /* By set and way of all: user addresses alias this one. */
        __asm__ volatile("ic ialluis" ::: "memory");
        ARM_DSB("ish");
    }
    ARM_ISB();
}
