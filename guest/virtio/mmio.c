// SPDX-License-Identifier: Apache-2.0
/* Finding and starting virtio-mmio devices. Virtio 1.2, 4.2 and docs/boot.md.
 */
#include "abi/linux/errno.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_ring.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/virtio/queue.h"

#define QUEUE_CELLS 7 /* limpet,queues: cells of one queue */

static uint32_t mmio_read(const struct virtio_device *d, uint32_t reg)
{
    return arch_mmio_read32(page_virt(d->regs + reg));
}

static void mmio_write(const struct virtio_device *d, uint32_t reg, uint32_t v)
{
    arch_mmio_write32(page_virt(d->regs + reg), v);
}

void virtq_doorbell(struct virtq *q)
{
    mmio_write(q->dev, VIRTIO_MMIO_REG_QUEUE_NOTIFY, q->index);
}

static void preset_interrupt(struct irq_handler *h)
{
    struct virtq *q = CONTAINER_OF(h, struct virtq, irq);
    if (q->fn != NULL)
        q->fn(q);
}

static void level_interrupt(struct irq_handler *h)
{
    struct virtio_device *d = CONTAINER_OF(h, struct virtio_device, irq);
    uint32_t status = mmio_read(d, VIRTIO_MMIO_REG_INTERRUPT_STATUS);
    if (status == 0)
        return; /* the line is shared */
    mmio_write(d, VIRTIO_MMIO_REG_INTERRUPT_ACK, status);
    for (uint32_t i = 0; i < d->queue_count; i++) {
        struct virtq *q = &d->queues[i];
        if (q->fn != NULL && virtq_has_used(q))
            q->fn(q);
    }
}

/* --- preset devices --- */

static int preset_start(struct virtio_device *d, uint32_t count)
{
    uint32_t size, irq_size;
    const void *cells = fdt_prop(&d->node, "limpet,queues", &size);
    const void *irqs = fdt_prop(&d->node, "interrupts", &irq_size);
    if (cells == NULL || size < count * QUEUE_CELLS * 4 || irqs == NULL ||
        irq_size < (count + 1) * ARCH_IRQ_CELLS * 4)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        struct virtq *q = &d->queues[i];
        unsigned at = i * QUEUE_CELLS;
        uint32_t n = fdt_cell(cells, at + 6);
        if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
            return -EINVAL;
        virtq_init(q, d, (uint16_t)i, (uint16_t)n);
        q->desc = page_virt(fdt_cell2(cells, at));
        q->avail = page_virt(fdt_cell2(cells, at + 2));
        q->used = page_virt(fdt_cell2(cells, at + 4));
        q->irq.fn = preset_interrupt;
        int r = irq_attach(arch_irq_line(irqs, i + 1), &q->irq);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- 4.2.3.1: everything else --- */

static uint64_t offered_features(const struct virtio_device *d)
{
    mmio_write(d, VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL, 1);
    uint64_t high = mmio_read(d, VIRTIO_MMIO_REG_DEVICE_FEATURES);
    mmio_write(d, VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL, 0);
    return high << 32 | mmio_read(d, VIRTIO_MMIO_REG_DEVICE_FEATURES);
}

static void write_address(const struct virtio_device *d, uint32_t reg,
                          const void *at)
{
    paddr_t pa = page_phys(at);
    mmio_write(d, reg, (uint32_t)pa);
    mmio_write(d, reg + 4, (uint32_t)(pa >> 32));
}

static int queue_alloc(struct virtq *q, struct virtio_device *d, uint16_t index,
                       uint16_t size)
{
    uint64_t used =
        ROUND_UP(VIRTQ_DESC_SIZE(size) + VIRTQ_AVAIL_SIZE(size), UINT64_C(4));
    unsigned order = 0;
    while (used + VIRTQ_USED_SIZE(size) > PAGE_SIZE << order)
        order++;
    paddr_t ring = page_alloc(order, PAGE_ZERO);
    if (ring == 0)
        return -ENOMEM;
    virtq_init(q, d, index, size);
    q->desc = page_virt(ring);
    q->avail = (char *)q->desc + VIRTQ_DESC_SIZE(size);
    q->used = (char *)q->desc + used;
    return 0;
}

/* 4.2.3.2, one queue; one that has rings keeps them. */
static int queue_start(struct virtio_device *d, uint32_t index, uint16_t max)
{
    struct virtq *q = &d->queues[index];
    int r = 0;
    mmio_write(d, VIRTIO_MMIO_REG_QUEUE_SEL, index);
    uint32_t most = mmio_read(d, VIRTIO_MMIO_REG_QUEUE_NUM_MAX);
    uint32_t size = q->desc != NULL ? q->size : MIN(most, max);
    if (size == 0 || size > most)
        return -ENODEV;
    while ((size & (size - 1)) != 0)
        size &= size - 1;
    if (q->desc != NULL)
        virtq_reset(q);
    else
        r = queue_alloc(q, d, (uint16_t)index, (uint16_t)size);
    if (r < 0)
        return r;
    mmio_write(d, VIRTIO_MMIO_REG_QUEUE_NUM, size);
    write_address(d, VIRTIO_MMIO_REG_QUEUE_DESC_LOW, q->desc);
    write_address(d, VIRTIO_MMIO_REG_QUEUE_DRIVER_LOW, q->avail);
    write_address(d, VIRTIO_MMIO_REG_QUEUE_DEVICE_LOW, q->used);
    mmio_write(d, VIRTIO_MMIO_REG_QUEUE_READY, 1);
    return 0;
}

static int attach_lines(struct virtio_device *d)
{
    uint32_t size;
    const uint32_t lines = d->lines ? d->queue_count + 1 : 1;
    const void *irqs = fdt_prop(&d->node, "interrupts", &size);
    int r = 0;
    if (irqs == NULL || size < lines * ARCH_IRQ_CELLS * 4)
        return -EINVAL;
    if (d->attached)
        return 0;
    d->irq.fn = level_interrupt;
    if (!d->lines)
        r = irq_attach(arch_irq_line(irqs, 0), &d->irq);
    for (uint32_t i = 1; i < lines && r == 0; i++) {
        struct virtq *q = &d->queues[i - 1];
        q->irq.fn = preset_interrupt;
        r = irq_attach(arch_irq_line(irqs, i), &q->irq);
    }
    d->attached = r == 0;
    return r;
}

static int standard_start(struct virtio_device *d, uint64_t want,
                          uint32_t count, uint16_t max)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    mmio_write(d, VIRTIO_MMIO_REG_STATUS, 0);
    mmio_write(d, VIRTIO_MMIO_REG_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    mmio_write(d, VIRTIO_MMIO_REG_STATUS, status);
    uint64_t f = offered_features(d) & (want | VIRTIO_F_VERSION_1);
    if ((f & VIRTIO_F_VERSION_1) == 0)
        return -ENODEV;
    d->features = f;
    mmio_write(d, VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 1);
    mmio_write(d, VIRTIO_MMIO_REG_DRIVER_FEATURES, (uint32_t)(f >> 32));
    mmio_write(d, VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 0);
    mmio_write(d, VIRTIO_MMIO_REG_DRIVER_FEATURES, (uint32_t)f);
    status |= VIRTIO_STATUS_FEATURES_OK;
    mmio_write(d, VIRTIO_MMIO_REG_STATUS, status);
    if ((mmio_read(d, VIRTIO_MMIO_REG_STATUS) & VIRTIO_STATUS_FEATURES_OK) == 0)
        return -ENODEV;
    for (uint32_t i = 0; i < count; i++) {
        int r = queue_start(d, i, max);
        if (r < 0)
            return r;
    }
    int r = attach_lines(d);
    if (r == 0)
        mmio_write(d, VIRTIO_MMIO_REG_STATUS, status | VIRTIO_STATUS_DRIVER_OK);
    return r;
}

uint64_t virtio_features(struct virtio_device *d)
{
    return d->preset ? d->features : offered_features(d);
}

int virtio_start(struct virtio_device *d, uint64_t want, uint32_t count,
                 uint16_t max)
{
    if (d->queues == NULL) /* else it was stopped */
        d->queues = kzalloc(count * sizeof(*d->queues));
    if (d->queues == NULL)
        return -ENOMEM;
    d->queue_count = count;
    int r = d->preset ? preset_start(d, count)
                      : standard_start(d, want, count, max);
    if (r == 0)
        return 0;
    if (!d->preset)
        mmio_write(d, VIRTIO_MMIO_REG_STATUS, VIRTIO_STATUS_FAILED);
    klog(KLOG_ERROR, "virtio: device %u at %lx does not start: error %d", d->id,
         (unsigned long)d->regs, -r);
    return r;
}

void virtio_stop(struct virtio_device *d)
{
    /* Our device has stopped when the write is done: 2.4.1, 4.2.2. */
    mmio_write(d, VIRTIO_MMIO_REG_STATUS, 0);
    d->attached = d->attached || d->preset;
    d->lines = d->lines || d->preset;
    d->preset = false;
}

int virtio_find_spare(struct virtio_device *d, paddr_t regs)
{
    struct fdt_node n = {0};
    uint32_t size;
    while (fdt_next_compatible(&n, "limpet,spare")) {
        const void *p = fdt_prop(&n, "reg", &size);
        if (p == NULL || size < 16 || fdt_cell2(p, 0) != regs)
            continue;
        *d = (struct virtio_device){.regs = regs, .node = n, .lines = true};
        return 0;
    }
    return -ENODEV;
}

int virtio_look(struct virtio_device *d, uint32_t id)
{
    if (mmio_read(d, VIRTIO_MMIO_REG_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC ||
        mmio_read(d, VIRTIO_MMIO_REG_VERSION) != VIRTIO_MMIO_VERSION ||
        mmio_read(d, VIRTIO_MMIO_REG_DEVICE_ID) != id)
        return -ENODEV;
    d->id = id;
    return 0;
}

void virtio_config_read(struct virtio_device *d, uint32_t off, void *to,
                        uint32_t size)
{
    if (!d->preset) {
        virtio_config_now(d, off, to, size);
        return;
    }
    memset(to, 0, size);
    if (d->config != NULL && off < d->config_size)
        memcpy(to, d->config + off, MIN(size, d->config_size - off));
}

void virtio_config_now(const struct virtio_device *d, uint32_t off, void *to,
                       uint32_t size)
{
    uint8_t *out = to;
    const char *at = page_virt(d->regs + VIRTIO_MMIO_REG_CONFIG + off);
    uint32_t before;
    do { /* 4.2.2.2: until nothing changed while we read */
        before = mmio_read(d, VIRTIO_MMIO_REG_CONFIG_GENERATION);
        for (uint32_t i = 0; i < size; i++)
            out[i] = arch_mmio_read8(at + i);
    } while (mmio_read(d, VIRTIO_MMIO_REG_CONFIG_GENERATION) != before);
}

int virtio_config_irq(struct virtio_device *d, struct irq_handler *h)
{
    uint32_t size;
    const void *irqs = fdt_prop(&d->node, "interrupts", &size);
    const bool own = d->preset || d->lines;
    if (!own || irqs == NULL || size < ARCH_IRQ_CELLS * 4)
        return own ? -EINVAL : 0;
    return irq_attach(arch_irq_line(irqs, 0), h);
}

/* --- discovery --- */

static bool device_probe(struct virtio_device *d)
{
    uint32_t size;
    const void *p = fdt_prop(&d->node, "reg", &size);
    if (p == NULL || size < 16)
        return false;
    d->regs = fdt_cell2(p, 0);
    p = fdt_prop(&d->node, "limpet,device", &size);
    if (p != NULL && size >= 4) {
        d->preset = true;
        d->id = fdt_cell(p, 0);
        p = fdt_prop(&d->node, "limpet,features", &size);
        d->features = p != NULL && size >= 8 ? fdt_cell2(p, 0) : 0;
        d->config = fdt_prop(&d->node, "limpet,config", &d->config_size);
        return true;
    }
    if (mmio_read(d, VIRTIO_MMIO_REG_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC ||
        mmio_read(d, VIRTIO_MMIO_REG_VERSION) != VIRTIO_MMIO_VERSION)
        return false;
    d->id = mmio_read(d, VIRTIO_MMIO_REG_DEVICE_ID);
    return d->id != VIRTIO_ID_NONE;
}

static void device_init(struct virtio_device *d)
{
    switch (d->id) {
    case VIRTIO_ID_CONSOLE: virtio_console_init(d); break;
    case VIRTIO_ID_BLK: virtio_blk_init(d); break;
    case VIRTIO_ID_NET: virtio_net_init(d); break;
    case VIRTIO_ID_RNG: virtio_rng_init(d); break;
    default: klog(KLOG_DEBUG, "virtio: no driver for device %u", d->id); break;
    }
}

void virtio_init(void)
{
    struct fdt_node n = {0};
    while (fdt_next_compatible(&n, "virtio,mmio")) {
        struct virtio_device probe = {.node = n};
        if (!device_probe(&probe))
            continue;
        struct virtio_device *d = kmalloc(sizeof(*d));
        if (d == NULL)
            panic("no memory for virtio devices");
        *d = probe;
        device_init(d);
    }
}
