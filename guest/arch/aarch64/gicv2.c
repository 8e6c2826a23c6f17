// SPDX-License-Identifier: Apache-2.0
/* GICv2: Arm IHI 0048. */
#include "guest/arch/aarch64/arm.h"
#include "guest/core/cpu.h"
#include "guest/core/lock.h"

#define GICD_CTLR      0
#define GICD_ISENABLER (0x100 / 4)
#define GICD_ITARGETSR (0x800 / 4)
#define GICD_SGIR      (0xf00 / 4)

#define GICC_CTLR (0x00 / 4)
#define GICC_PMR  (0x04 / 4)
#define GICC_IAR  (0x0c / 4)
#define GICC_EOIR (0x10 / 4)

static volatile uint32_t *gicc;
static uint8_t cpu_mask[BOOT_CPU_MAX]; /* GICD_ITARGETSR0: whoami */
static struct spinlock lock;           /* irq-safe; leaf: read-modify-write */

static void v2_cpu_init(struct cpu *c, uint32_t timer)
{
    volatile uint32_t *d = gic_dist;

    cpu_mask[c->id] = (uint8_t)reg_read(&d[GICD_ITARGETSR]);
    gic_dist_set(timer, false);
    reg_write(&d[GICD_ISENABLER], UINT32_C(1) << timer | UINT32_C(0xffff));
    if (c->id == 0)
        reg_write(&d[GICD_CTLR], 1);
    reg_write(&gicc[GICC_PMR], 0xff);
    reg_write(&gicc[GICC_CTLR], 1);
}

static uint32_t v2_claim(void)
{
    return reg_read(&gicc[GICC_IAR]);
}

static void v2_done(uint32_t claimed)
{
    reg_write(&gicc[GICC_EOIR], claimed);
}

static void v2_send(const struct cpu *to, uint32_t sgi)
{
    ARM_DSB("ishst"); /* what it is to see */
    reg_write(&gic_dist[GICD_SGIR], (uint32_t)cpu_mask[to->id] << 16 | sgi);
}

static void v2_enable(uint32_t id, bool edge)
{
    volatile uint32_t *d = gic_dist;
    uint32_t at = id % 4 * 8;
    unsigned long flags = spin_lock_irq(&lock);

    gic_dist_set(id, edge);
    reg_write(
        &d[GICD_ITARGETSR + id / 4],
        (reg_read(&d[GICD_ITARGETSR + id / 4]) & ~(UINT32_C(0xff) << at)) |
            (uint32_t)cpu_mask[0] << at);
    reg_write(&d[GICD_ISENABLER + id / 32], UINT32_C(1) << id % 32);
    spin_unlock_irq(&lock, flags);
}

const struct gic_ops gicv2_ops = {
    .cpu_init = v2_cpu_init,
    .claim = v2_claim,
    .done = v2_done,
    .send = v2_send,
    .enable = v2_enable,
};

void gicv2_find(paddr_t dist, paddr_t cpu)
{
    gic_dist = PHYS(dist);
    gicc = PHYS(cpu);
    gic = &gicv2_ops;
}
