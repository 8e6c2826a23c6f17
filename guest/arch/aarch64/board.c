// SPDX-License-Identifier: Apache-2.0
/* One walk over the device tree: where everything is that this directory
 * drives. Bindings: docs/boot.md, those of Linux. */
#include "guest/arch/aarch64/board.h"

#include "guest/core/klib.h"

struct board board;

static void board_compatible(const struct fdt_value *v, struct fdt_node node)
{
    static const struct {
        const char *name;
        struct fdt_node *to;
    } kinds[] = {
        {"arm,psci-1.0", &board.psci},        {"arm,psci-0.2", &board.psci},
        {"arm,gic-v3", &board.gicv3},         {"arm,gic-400", &board.gicv2},
        {"arm,cortex-a15-gic", &board.gicv2}, {"arm,pl011", &board.uart},
        {"arm,armv8-timer", &board.timer},    {"limpet,image", &board.image},
    };

    uint32_t off = 0;
    const char *s;

    while ((s = fdt_list_next(v, &off)))
        for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++)
            if (!kinds[i].to->off && strcmp(s, kinds[i].name) == 0)
                *kinds[i].to = node;
}

/* A number of one or two cells. */
static uint64_t board_number(const struct fdt_value *v)
{
    if (v->size == 8)
        return fdt_cell2(v->data, 0);
    return v->size == 4 ? fdt_cell(v->data, 0) : 0;
}

void board_scan(void)
{
    struct fdt_walk w = {0};
    struct fdt_value v;

    memset(&board, 0, sizeof(board));
    while (fdt_walk(&w, &v)) {
        if (strcmp(v.name, "compatible") == 0) {
            board_compatible(&v, w.node);
        } else if (strcmp(v.name, "device_type") == 0) {
            if (fdt_has(&v, "cpu") && board.cpu_count < BOOT_CPU_MAX)
                board.cpu[board.cpu_count++] = w.node;
            else if (fdt_has(&v, "memory") && board.memory_count < BOOT_RAM_MAX)
                board.memory[board.memory_count++] = w.node;
        } else if (strcmp(v.name, "linux,initrd-start") == 0) {
            board.initrd_start = board_number(&v);
        } else if (strcmp(v.name, "linux,initrd-end") == 0) {
            board.initrd_end = board_number(&v);
        }
    }
}
