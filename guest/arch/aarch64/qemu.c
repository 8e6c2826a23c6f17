// SPDX-License-Identifier: Apache-2.0
/*
 * Plain QEMU, `-M virt`, or any loader that speaks Linux's protocol: RAM, the
 * UART and our blob (the initrd) are found in its device tree. Blob and tree
 * move to the boot area, so that nothing else in RAM is reserved.
 */
#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/klib.h"

#define FDT_TOTAL_MAX UINT32_C(0x200000)
#define BLOB_AT       (BOOT_RAM_BASE + PAGE_SIZE)

static _Noreturn void boot_fail(const char *why)
{
    arch_log("limpet-kernel: ", 15);
    arch_log(why, (unsigned)strlen(why));
    arch_log("\n", 1);
    psci_init();
    arch_poweroff();
}

static uint32_t be32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* Bytes of the tree in use: QEMU leaves room behind it. */
static uint32_t fdt_used(const uint8_t *b)
{
    uint64_t structs = (uint64_t)be32_at(b + 8) + be32_at(b + 36);
    uint64_t strings = (uint64_t)be32_at(b + 12) + be32_at(b + 32);
    uint64_t used = ROUND_UP(MAX(structs, strings), UINT64_C(8));

    return (uint32_t)MIN(used, (uint64_t)be32_at(b + 4));
}

static void ram_find(struct boot_info *bi)
{
    unsigned count = 0;
    uint32_t size;

    memset(bi->ram, 0, sizeof(bi->ram));
    for (uint32_t n = 0; n < board.memory_count; n++) {
        const void *reg = fdt_prop(&board.memory[n], "reg", &size);
        for (uint32_t i = 0; reg && (i + 1) * 16 <= size; i++) {
            uint64_t base = fdt_cell2(reg, 4 * i);
            uint64_t bytes = ROUND_DOWN(fdt_cell2(reg, 4 * i + 2), HUGE_SIZE);
            if (bytes && base >= BOOT_RAM_BASE && count < BOOT_RAM_MAX)
                bi->ram[count++] = (struct boot_range){base, bytes};
        }
    }
    if (count == 0 || bi->ram[0].base != BOOT_RAM_BASE)
        boot_fail("no RAM at 1 GiB in the device tree");
}

static void uart_find(void)
{
    uint32_t size;
    const void *reg =
        board.uart.off ? fdt_prop(&board.uart, "reg", &size) : NULL;

    if (reg && size >= 8 && fdt_cell2(reg, 0) < BOOT_RAM_BASE)
        uart_set(fdt_cell2(reg, 0));
}

/* RAM that was never used is taken for zeroes (core/page.h): so leave none of
 * what was moved to below `moved`. */
static void forget(paddr_t start, paddr_t end, paddr_t moved)
{
    start = MAX(start, moved);
    if (start < end)
        memset(PHYS(start), 0, end - start);
}

struct boot_info *qemu_boot(paddr_t fdt)
{
    uint8_t *tree = PHYS(fdt);
    struct boot_info *bi = PHYS(BLOB_AT);

    if (fdt_init(tree, FDT_TOTAL_MAX) < 0)
        boot_fail("no device tree");
    board_scan();
    uart_find();
    uint64_t start = board.initrd_start, end = board.initrd_end;
    uint64_t used = fdt_used(tree), tree_size = be32_at(tree + 4);
    if (end <= start || end - start < sizeof(*bi))
        boot_fail("no boot data (-initrd)");
    uint64_t blob = ROUND_UP(end - start, UINT64_C(8));
    if (blob + used > BOOT_KERNEL_GPA - BLOB_AT)
        boot_fail("the boot data is too large");
    memcpy(bi, PHYS(start), end - start);
    memcpy((char *)bi + blob, tree, used);
    tree = (uint8_t *)bi + blob;
    uint32_t total = __builtin_bswap32((uint32_t)used);
    memcpy(tree + 4, &total, sizeof(total));
    if (bi->magic != BOOT_MAGIC || fdt_init(tree, used) < 0)
        boot_fail("the boot data (-initrd) is not ours");
    paddr_t moved = ROUND_UP(BLOB_AT + blob + used, PAGE_SIZE);
    forget(start, end, moved);
    forget(fdt, fdt + MIN(tree_size, (uint64_t)FDT_TOTAL_MAX), moved);

    bi->platform = BOOT_PLATFORM_QEMU;
    bi->cpu_count = BOOT_CPU_MAX;
    bi->fdt_gpa = BLOB_AT + blob;
    bi->fdt_size = used;
    bi->cont_gpa += BLOB_AT;
    bi->low_end = moved;
    bi->small_end = BOOT_KERNEL_GPA;
    bi->root_gpa = bi->vif_gpa = bi->console_gpa = 0;
    bi->wall_tsc = 0;
    ram_find(bi);
    return bi;
}
