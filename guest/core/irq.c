// SPDX-License-Identifier: Apache-2.0
/* Device interrupt lines. */
#include "guest/core/irq.h"

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"

#define IRQ_LINES 256

/* Written before the line is enabled: at boot, or by the net thread for a
 * device that comes later, whose lines nobody shares. */
static struct irq_handler *irq_handlers[IRQ_LINES];

int irq_attach(uint32_t line, struct irq_handler *h)
{
    if (line >= IRQ_LINES)
        return -EINVAL;
    h->next = irq_handlers[line];
    __atomic_store_n(&irq_handlers[line], h, __ATOMIC_RELEASE);
    return h->next != NULL ? 0 : arch_irq_enable_line(line);
}

void irq_dispatch(uint32_t line)
{
    arch_this_cpu()->interrupts++;
    if (line >= IRQ_LINES)
        return;
    /* Pairs with the release above. */
    struct irq_handler *h =
        __atomic_load_n(&irq_handlers[line], __ATOMIC_ACQUIRE);
    for (; h != NULL; h = h->next)
        h->fn(h);
}
