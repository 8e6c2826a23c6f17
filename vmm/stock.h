// SPDX-License-Identifier: Apache-2.0
/*
 * A stock Linux kernel as the guest (docs/vmm.md): its memory, and the one
 * window it has besides virtio. Device thread only.
 */
#pragma once

#include <stdbool.h>

#include "vmm/arch/arch.h"
#include "vmm/bus.h"

struct err;
struct gmem;
struct klog;
struct stock;
struct virtio_mmio;
struct vm_config;

/*
 * Registers in the window of BOARD_CALL_SLOT: a serial port that can only
 * write (uart8250,mmio32: one register per 4 bytes), for the kernel's early
 * messages and its panic; ACPI's sleep and reset registers (8 bits each).
 */
#define STOCK_REG_UART_TX  UINT32_C(0x00)
#define STOCK_REG_UART_LSR UINT32_C(0x14)
#define STOCK_REG_SLEEP    UINT32_C(0x20)
#define STOCK_REG_STATUS   UINT32_C(0x24)
#define STOCK_REG_RESET    UINT32_C(0x28)
#define STOCK_LSR_EMPTY    UINT8_C(0x60)
#define STOCK_SLEEP_TYPE   5             /* of \_S5_ */
#define STOCK_SLEEP_ENABLE UINT8_C(0x20) /* ACPI 6.4, table 4.20 */
#define STOCK_RESET_VALUE  UINT8_C(1)

struct stock_ops {
    /* The guest powered off, or wants to start again. */
    void (*ended)(struct stock *s, bool restart);
};

struct stock {
    struct bus_window window; /* first member */
    const struct stock_ops *ops;
    struct klog *log; /* borrowed */
};

void stock_init(struct stock *s, const struct stock_ops *ops, struct klog *log);

/* What goes into memory before the first instruction. */
struct stock_plan {
    const struct vm_config *config;
    const struct arch_vm *arch;
    const struct gmem *mem;
    const struct virtio_mmio *devs; /* slot 1 on; not preset */
    unsigned dev_count;
};

/*
 * Kernel, initrd with the container in it, command line, tables. The kernel
 * file is not trusted. Fills in *entry.
 */
int stock_write(const struct stock_plan *p, struct arch_entry *entry,
                struct err *e);
