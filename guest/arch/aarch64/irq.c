// SPDX-License-Identifier: Apache-2.0
/* Interrupts: which number is what. Handlers run with interrupts off. */
#include "guest/core/irq.h"

#include "abi/linux/errno.h"

#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/cpu.h"
#include "guest/core/log.h"
#include "guest/core/timer.h"

#define FDT_SPI  0 /* first cell of `interrupts` */
#define FDT_EDGE 3 /* third cell: rising 1, falling 2, level 4 and 8 */

#define SPI_MAX 988

const struct gic_ops *gic;
volatile uint32_t *gic_dist;

static uint8_t spi_edge[SPI_MAX / 8 + 1]; /* bit: arch_irq_line saw it so */

/* Distributor registers that both versions have (GICv3 IHI 0069, 12.9). */
#define GICD_IGROUPR    (0x080 / 4)
#define GICD_IPRIORITYR (0x400 / 4)
#define GICD_ICFGR      (0xc00 / 4)
#define GIC_PRIORITY    0xa0u

void gic_dist_set(uint32_t id, bool edge)
{
    volatile uint32_t *d = gic_dist;
    uint32_t bit = edge ? UINT32_C(2) << (id % 16 * 2) : 0;
    uint32_t at = id % 4 * 8;

    reg_write(&d[GICD_ICFGR + id / 16], (reg_read(&d[GICD_ICFGR + id / 16]) &
                                         ~(UINT32_C(2) << (id % 16 * 2))) |
                                            bit);
    reg_write(
        &d[GICD_IPRIORITYR + id / 4],
        (reg_read(&d[GICD_IPRIORITYR + id / 4]) & ~(UINT32_C(0xff) << at)) |
            GIC_PRIORITY << at);
}

void gic_init(void)
{
    const struct fdt_node *n = board.gicv3.off ? &board.gicv3 : &board.gicv2;
    uint32_t size;
    const void *reg = n->off ? fdt_prop(n, "reg", &size) : NULL;

    if (!reg || size < 32)
        panic("the device tree has no interrupt controller");
    if (n == &board.gicv3)
        gicv3_find(fdt_cell2(reg, 0), fdt_cell2(reg, 4), fdt_cell2(reg, 6));
    else
        gicv2_find(fdt_cell2(reg, 0), fdt_cell2(reg, 4));
}

/* arch_barrier: all this CPU did before is visible, nothing after began. */
static void barrier_serve(struct cpu *c)
{
    uint32_t asked = __atomic_load_n(&c->arch.barrier_asked, __ATOMIC_SEQ_CST);

    ARM_DSB("ish");
    __atomic_store_n(&c->arch.barrier_done, asked, __ATOMIC_SEQ_CST);
}

static void irq_one(struct cpu *c, uint32_t id)
{
    switch (id) {
    case GIC_SGI_KICK: break; /* the way back looks at the run queue */
    case GIC_SGI_BARRIER: barrier_serve(c); break;
    default:
        if (id >= GIC_SPI) {
            irq_dispatch(id - GIC_SPI);
        } else if (id >= GIC_PPI) { /* the timer: no other is enabled */
            c->arch.deadline = 0;
            ARM_WRITE("cntv_ctl_el0", 0);
            ARM_ISB();
            c->interrupts++;
            timer_interrupt();
        }
        break;
    }
}

void irq_serve(void)
{
    struct cpu *c = arch_this_cpu();

    for (;;) {
        uint32_t claimed = gic->claim();
        uint32_t id = claimed & 0x3ff;
        if (id >= GIC_SPECIAL)
            return;
        irq_one(c, id);
        gic->done(claimed);
    }
}

void arch_kick(uint32_t cpu)
{
    gic->send(&cpus[cpu], GIC_SGI_KICK);
}

uint32_t arch_irq_line(const void *cells, unsigned index)
{
    unsigned at = index * ARCH_IRQ_CELLS;
    uint32_t line = fdt_cell(cells, at + 1);

    if (fdt_cell(cells, at) != FDT_SPI || line >= SPI_MAX)
        return UINT32_MAX;
    if (fdt_cell(cells, at + 2) & FDT_EDGE)
        spi_edge[line / 8] |= (uint8_t)(1u << line % 8);
    return line;
}

int arch_irq_enable_line(uint32_t line)
{
    if (line >= SPI_MAX)
        return -EINVAL;
    gic->enable(line + GIC_SPI, spi_edge[line / 8] >> line % 8 & 1);
    return 0;
}

void arch_halt(void)
{
    __asm__ volatile("dsb sy\n\twfi\n\tmsr daifclr, #2" ::: "memory");
}

void arch_barrier(struct arch_aspace *as)
{
    struct cpu *self = arch_this_cpu();

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < cpu_possible; i++) {
        struct cpu *c = &cpus[i];
        if (c == self ||
            __atomic_load_n(&c->arch.root, __ATOMIC_SEQ_CST) != as->root)
            continue;
        uint32_t ticket =
            __atomic_add_fetch(&c->arch.barrier_asked, 1, __ATOMIC_SEQ_CST);
        gic->send(c, GIC_SGI_BARRIER);
        /* Interrupts are on here: two CPUs may ask each other. */
        while (
            (int32_t)(__atomic_load_n(&c->arch.barrier_done, __ATOMIC_ACQUIRE) -
                      ticket) < 0)
            arch_pause();
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
