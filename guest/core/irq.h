// SPDX-License-Identifier: Apache-2.0
/* Device interrupts. */
#pragma once

#include "guest/core/types.h"

struct irq_handler {
    void (*fn)(struct irq_handler *h); /* interrupt context */
    struct irq_handler *next;          /* lines may be shared (QEMU) */
};

/* Attach to interrupt `line` as the FDT names it (x86: the CPU vector on our
 * machine, the IOAPIC pin under QEMU) and enable it. 0 or -errno. */
int irq_attach(uint32_t line, struct irq_handler *h);
/* Called by arch code with the line; acknowledges are arch's. */
void irq_dispatch(uint32_t line);
