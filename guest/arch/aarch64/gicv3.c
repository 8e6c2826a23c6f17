// SPDX-License-Identifier: Apache-2.0
/* GICv3: Arm IHI 0069; system registers by number (12.2), for assemblers of
 * ARMv8.0. One security state is assumed: interrupts are of group 1. */
#include "guest/arch/aarch64/arm.h"
#include "guest/core/cpu.h"
#include "guest/core/lock.h"
#include "guest/core/log.h"

#define ICC_PMR   "s3_0_c4_c6_0"
#define ICC_SGI1R "s3_0_c12_c11_5"
#define ICC_IAR1  "s3_0_c12_c12_0"
#define ICC_EOIR1 "s3_0_c12_c12_1"
#define ICC_BPR1  "s3_0_c12_c12_3"
#define ICC_CTLR  "s3_0_c12_c12_4"
#define ICC_SRE   "s3_0_c12_c12_5"
#define ICC_IGRP1 "s3_0_c12_c12_7"

#define GICD_CTLR      0
#define GICD_IGROUPR   (0x080 / 4)
#define GICD_ISENABLER (0x100 / 4)
#define GICD_IROUTER   (0x6000 / 4)
#define GICD_ARE_G1    0x12u /* ARE_NS | EnableGrp1 */
#define GICD_RWP       (UINT32_C(1) << 31)

/* Redistributor: two 64 KiB frames, four with GICv4. */
#define GICR_FRAME      UINT64_C(0x10000)
#define GICR_TYPER      (0x08 / 4)
#define GICR_WAKER      (0x14 / 4)
#define GICR_VLPIS      (UINT32_C(1) << 1)
#define GICR_LAST       (UINT32_C(1) << 4)
#define GICR_SLEEP      (UINT32_C(1) << 1)
#define GICR_ASLEEP     (UINT32_C(1) << 2)
#define GICR_IGROUPR    ((GICR_FRAME + 0x080) / 4)
#define GICR_ISENABLER  ((GICR_FRAME + 0x100) / 4)
#define GICR_IPRIORITYR ((GICR_FRAME + 0x400) / 4)
#define GIC_PRIORITIES  UINT32_C(0xa0a0a0a0)

#define WAIT_MAX 1000000 /* reads of a register that changes soon */

static paddr_t redist;
static uint64_t redist_size;
static struct spinlock lock; /* irq-safe; leaf: read-modify-write */

static volatile uint32_t *redist_find(uint64_t mpidr)
{
    /* TYPER has the affinity as Aff3.Aff2.Aff1.Aff0. */
    uint32_t aff =
        (uint32_t)(mpidr >> 32 & 0xff) << 24 | (uint32_t)(mpidr & 0xffffff);

    for (uint64_t at = 0; at + 2 * GICR_FRAME <= redist_size;) {
        volatile uint32_t *r = PHYS(redist + at);
        uint32_t type = reg_read(&r[GICR_TYPER]);
        if (reg_read(&r[GICR_TYPER + 1]) == aff)
            return r;
        if (type & GICR_LAST)
            break;
        at += (type & GICR_VLPIS ? 4 : 2) * GICR_FRAME;
    }
    panic("the device tree has no redistributor of this CPU");
}

static void dist_wait(void)
{
    for (unsigned i = 0;
         i < WAIT_MAX && (reg_read(&gic_dist[GICD_CTLR]) & GICD_RWP); i++)
        arch_pause();
}

static void v3_cpu_init(struct cpu *c, uint32_t timer)
{
    ARM_WRITE(ICC_SRE, ARM_READ(ICC_SRE) | 1);
    ARM_ISB();
    if (c->id == 0) {
        reg_write(&gic_dist[GICD_CTLR], GICD_ARE_G1);
        dist_wait();
    }
    volatile uint32_t *r = redist_find(c->arch.mpidr);
    c->arch.gicr = r;
    reg_write(&r[GICR_WAKER], reg_read(&r[GICR_WAKER]) & ~GICR_SLEEP);
    for (unsigned i = 0;
         i < WAIT_MAX && (reg_read(&r[GICR_WAKER]) & GICR_ASLEEP); i++)
        arch_pause();
    reg_write(&r[GICR_IGROUPR], UINT32_MAX);
    for (unsigned i = 0; i < 8; i++)
        reg_write(&r[GICR_IPRIORITYR + i], GIC_PRIORITIES);
    reg_write(&r[GICR_ISENABLER], UINT32_C(1) << timer | UINT32_C(0xffff));
    ARM_WRITE(ICC_PMR, 0xff);
    ARM_WRITE(ICC_BPR1, 0);
    ARM_WRITE(ICC_CTLR, 0); /* EOI deactivates too */
    ARM_WRITE(ICC_IGRP1, 1);
    ARM_ISB();
}

static uint32_t v3_claim(void)
{
    uint32_t id = (uint32_t)ARM_READ(ICC_IAR1);

    ARM_DSB("sy");
    return id & 0xffffff;
}

static void v3_done(uint32_t claimed)
{
    ARM_WRITE(ICC_EOIR1, claimed);
    ARM_ISB();
}

static void v3_send(const struct cpu *to, uint32_t sgi)
{
    uint64_t m = to->arch.mpidr;
    uint64_t list = UINT64_C(1) << (m & 0xf);

    ARM_DSB("ishst"); /* what it is to see */
    ARM_WRITE(ICC_SGI1R, (m >> 32 & 0xff) << 48 | (m >> 16 & 0xff) << 32 |
                             (m >> 8 & 0xff) << 16 | (m >> 4 & 0xf) << 44 |
                             (uint64_t)sgi << 24 | list);
    ARM_ISB();
}

static void v3_enable(uint32_t id, bool edge)
{
    volatile uint32_t *d = gic_dist;
    volatile uint32_t *router = &d[GICD_IROUTER]; /* 64 bits each */
    unsigned long flags = spin_lock_irq(&lock);

    gic_dist_set(id, edge);
    reg_write(&d[GICD_IGROUPR + id / 32],
              reg_read(&d[GICD_IGROUPR + id / 32]) | UINT32_C(1) << id % 32);
    reg_write(&router[2 * id], (uint32_t)cpus[0].arch.mpidr);
    reg_write(&router[2 * id + 1], (uint32_t)(cpus[0].arch.mpidr >> 32));
    reg_write(&d[GICD_ISENABLER + id / 32], UINT32_C(1) << id % 32);
    spin_unlock_irq(&lock, flags);
}

const struct gic_ops gicv3_ops = {
    .cpu_init = v3_cpu_init,
    .claim = v3_claim,
    .done = v3_done,
    .send = v3_send,
    .enable = v3_enable,
};

void gicv3_find(paddr_t dist, paddr_t first, uint64_t size)
{
    gic_dist = PHYS(dist);
    redist = first;
    redist_size = size;
    gic = &gicv3_ops;
}
