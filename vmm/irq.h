// SPDX-License-Identifier: Apache-2.0
/* Interrupt lines of devices: one eventfd each, wired to the CPU by arch/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

enum { IRQ_MAX = 96 };

/* All lines of a VM. Allocate everything, then arch_irq_commit() once. */
struct irq_lines {
    int fd[IRQ_MAX]; /* owned eventfds */
    unsigned count;
    /* A device has one line for everything, as virtio-mmio's standard says;
     * else each of its queues has its own. */
    bool shared;
};

/* A new line; its number is the index into fd[]. */
int irq_alloc(struct irq_lines *l, unsigned *line, struct err *e);
void irq_fini(struct irq_lines *l);

/* Raise (an edge). Any thread. */
void irq_raise(const struct irq_lines *l, unsigned line);
