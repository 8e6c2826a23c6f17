// SPDX-License-Identifier: Apache-2.0
/* The virtio-mmio transport: registers -> device operations. */
#include "vmm/virtio/mmio.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/virtio_mmio.h"

#include "base/err.h"

static struct virtio_mmio *mmio_of(struct bus_window *w)
{
    return (struct virtio_mmio *)w;
}

static void config_interrupt(struct virtio_mmio *t)
{
    t->interrupt |= VIRTIO_MMIO_INT_CONFIG;
    irq_raise(t->irqs, t->line);
}

void virtio_signal(struct virtio_dev *vd, uint16_t qi)
{
    struct virtio_mmio *t = vd->transport;
    if (!virtq_should_signal(&vd->queue[qi]))
        return;
    t->interrupt |= VIRTIO_MMIO_INT_USED;
    irq_raise(t->irqs, t->irqs->shared ? t->line : t->line + 1 + qi);
}

void virtio_fail(struct virtio_dev *vd, uint16_t qi)
{
    vd->queue[qi].broken = true;
    vd->transport->status |= VIRTIO_STATUS_NEEDS_RESET;
    config_interrupt(vd->transport);
}

void virtio_config_changed(struct virtio_dev *vd)
{
    vd->transport->generation++;
    if ((vd->transport->status & VIRTIO_STATUS_DRIVER_OK) != 0)
        config_interrupt(vd->transport);
}

void virtio_kick(struct virtio_dev *vd, uint16_t qi)
{
    uint64_t one = 1;
    ssize_t n = write(vd->transport->bell[qi].source.fd, &one, sizeof(one));
    (void)n; /* a full counter is a doorbell too */
}

static void bell_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct virtio_bell *b = (struct virtio_bell *)s;
    uint64_t count;
    ssize_t n = read(s->fd, &count, sizeof(count));
    (void)n;
    struct virtio_dev *vd = b->owner->dev;
    if ((b->owner->status & VIRTIO_STATUS_DRIVER_OK) != 0)
        vd->ops->notify(vd, b->queue);
}

static void reset(struct virtio_mmio *t)
{
    struct virtio_dev *vd = t->dev;
    vd->ops->stop(vd);
    for (uint16_t i = 0; i < vd->ops->queue_count; i++) {
        virtq_stop(&vd->queue[i]);
        t->place[i] = (struct virtq_place){0};
        t->place_ready[i] = false;
    }
    vd->acked = 0;
    vd->preset = false;
    t->status = t->interrupt = t->queue_sel = 0;
    t->device_features_sel = t->driver_features_sel = 0;
}

static void driver_ok(struct virtio_mmio *t)
{
    struct virtio_dev *vd = t->dev;
    bool event_idx = (vd->acked & VIRTIO_F_EVENT_IDX) != 0;
    for (uint16_t i = 0; i < vd->ops->queue_count; i++) {
        if (!t->place_ready[i])
            continue; /* a driver may leave queues unused */
        vd->queue[i].place = t->place[i];
        if (virtq_start(&vd->queue[i], t->mem, event_idx) < 0) {
            virtio_fail(vd, i);
            return;
        }
    }
    vd->ops->start(vd);
}

/* 3.1.1: the sequence is checked; anything out of order is ignored. */
static void write_status(struct virtio_mmio *t, uint32_t v)
{
    if (v == 0) {
        reset(t);
        return;
    }
    uint32_t set = v & ~t->status & 0xff;
    if ((set & VIRTIO_STATUS_FEATURES_OK) != 0 &&
        ((t->dev->acked & VIRTIO_F_VERSION_1) == 0 ||
         (t->dev->acked & ~t->dev->features) != 0))
        v &= ~VIRTIO_STATUS_FEATURES_OK;
    bool start = (set & VIRTIO_STATUS_DRIVER_OK) != 0 &&
                 (v & VIRTIO_STATUS_FEATURES_OK) != 0;
    if (!start && (t->status & VIRTIO_STATUS_DRIVER_OK) == 0)
        v &= ~VIRTIO_STATUS_DRIVER_OK;
    t->status |= v & 0xff & ~VIRTIO_STATUS_NEEDS_RESET;
    if (start)
        driver_ok(t);
}

static void write_features(struct virtio_mmio *t, uint32_t v)
{
    if ((t->status & VIRTIO_STATUS_FEATURES_OK) != 0 ||
        t->driver_features_sel > 1)
        return;
    unsigned shift = 32 * t->driver_features_sel;
    t->dev->acked &= ~(UINT64_C(0xffffffff) << shift);
    t->dev->acked |= (uint64_t)v << shift;
}

static void set_half(uint64_t *out, uint32_t v, bool high)
{
    unsigned shift = high ? 32 : 0;
    *out &= ~(UINT64_C(0xffffffff) << shift);
    *out |= (uint64_t)v << shift;
}

/* Registers of the selected queue; locked once the device runs. */
static void write_queue(struct virtio_mmio *t, uint32_t reg, uint32_t v)
{
    if (t->queue_sel >= t->dev->ops->queue_count ||
        (t->status & VIRTIO_STATUS_DRIVER_OK) != 0)
        return;
    struct virtq_place *p = &t->place[t->queue_sel];
    bool high = (reg & 4) != 0;
    switch (reg) {
    case VIRTIO_MMIO_REG_QUEUE_NUM:
        p->size = v > 0xffff ? 0 : (uint16_t)v;
        break;
    case VIRTIO_MMIO_REG_QUEUE_READY:
        t->place_ready[t->queue_sel] = (v & 1) != 0;
        break;
    case VIRTIO_MMIO_REG_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_REG_QUEUE_DESC_HIGH: set_half(&p->desc, v, high); break;
    case VIRTIO_MMIO_REG_QUEUE_DRIVER_LOW:
    case VIRTIO_MMIO_REG_QUEUE_DRIVER_HIGH: set_half(&p->avail, v, high); break;
    case VIRTIO_MMIO_REG_QUEUE_DEVICE_LOW:
    case VIRTIO_MMIO_REG_QUEUE_DEVICE_HIGH: set_half(&p->used, v, high); break;
    default: break;
    }
}

static void write_register(struct virtio_mmio *t, uint32_t reg, uint32_t v)
{
    switch (reg) {
    case VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL: t->device_features_sel = v; break;
    case VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL: t->driver_features_sel = v; break;
    case VIRTIO_MMIO_REG_DRIVER_FEATURES: write_features(t, v); break;
    case VIRTIO_MMIO_REG_QUEUE_SEL: t->queue_sel = v; break;
    case VIRTIO_MMIO_REG_QUEUE_NOTIFY:
        if (v < t->dev->ops->queue_count)
            virtio_kick(t->dev, (uint16_t)v);
        break;
    case VIRTIO_MMIO_REG_INTERRUPT_ACK: t->interrupt &= ~v; break;
    case VIRTIO_MMIO_REG_STATUS: write_status(t, v); break;
    default: write_queue(t, reg, v); break;
    }
}

static uint32_t read_register(const struct virtio_mmio *t, uint32_t reg)
{
    const struct virtio_dev *vd = t->dev;
    bool queue = t->queue_sel < vd->ops->queue_count;
    switch (reg) {
    case VIRTIO_MMIO_REG_MAGIC_VALUE: return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_REG_VERSION: return VIRTIO_MMIO_VERSION;
    case VIRTIO_MMIO_REG_DEVICE_ID: return vd->ops->type;
    case VIRTIO_MMIO_REG_VENDOR_ID: return VIRTIO_VENDOR_ID;
    case VIRTIO_MMIO_REG_DEVICE_FEATURES:
        return t->device_features_sel > 1
                   ? 0
                   : (uint32_t)(vd->features >> 32 * t->device_features_sel);
    case VIRTIO_MMIO_REG_QUEUE_NUM_MAX: return queue ? vd->ops->queue_size : 0;
    case VIRTIO_MMIO_REG_QUEUE_READY:
        return queue && t->place_ready[t->queue_sel];
    case VIRTIO_MMIO_REG_INTERRUPT_STATUS: return t->interrupt;
    case VIRTIO_MMIO_REG_STATUS: return t->status;
    case VIRTIO_MMIO_REG_CONFIG_GENERATION: return t->generation;
    default: return 0;
    }
}

static void mmio_read(struct bus_window *w, uint32_t off, uint8_t *data,
                      uint32_t len)
{
    const struct virtio_mmio *t = mmio_of(w);
    memset(data, 0, len);
    if (off >= VIRTIO_MMIO_REG_CONFIG) {
        uint32_t at = off - VIRTIO_MMIO_REG_CONFIG;
        for (uint32_t i = 0; i < len; i++)
            data[i] = at + i < t->dev->config_size ? t->dev->config[at + i] : 0;
        return;
    }
    if (len != 4 || off % 4 != 0) /* 4.2.2.2 */
        return;
    uint32_t v = read_register(t, off);
    memcpy(data, &v, sizeof(v));
}

static void mmio_write(struct bus_window *w, uint32_t off, const uint8_t *data,
                       uint32_t len)
{
    /* No device of ours has a configuration field the driver may write. */
    if (off >= VIRTIO_MMIO_REG_CONFIG || len != 4 || off % 4 != 0)
        return;
    uint32_t v;
    memcpy(&v, data, sizeof(v));
    write_register(mmio_of(w), off, v);
}

static const struct bus_ops mmio_bus_ops = {.read = mmio_read,
                                            .write = mmio_write};

int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev,
                     const struct gmem *m, struct loop *l,
                     struct irq_lines *irqs, struct err *e)
{
    *t = (struct virtio_mmio){.window.ops = &mmio_bus_ops,
                              .dev = dev,
                              .mem = m,
                              .loop = l,
                              .irqs = irqs};
    dev->transport = t;
    for (int i = 0; i < VIRTIO_QUEUES_MAX; i++)
        t->bell[i].source.fd = -1;
    if (irq_alloc(irqs, &t->line, e) < 0)
        return e->code;
    for (uint16_t i = 0; i < dev->ops->queue_count; i++) {
        unsigned line;
        if (!irqs->shared && irq_alloc(irqs, &line, e) < 0)
            return e->code;
        struct virtio_bell *b = &t->bell[i];
        b->owner = t;
        b->queue = i;
        b->source.ready = bell_ready;
        b->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (b->source.fd < 0)
            return err_set(e, -errno, "eventfd: %s", strerror(errno));
        if (loop_add(l, &b->source, EPOLLIN, e) < 0)
            return e->code;
    }
    return 0;
}

void virtio_mmio_replace(struct virtio_mmio *t, struct virtio_dev *dev)
{
    t->dev = dev;
    dev->transport = t;
    reset(t);
}

void virtio_mmio_fini(struct virtio_mmio *t)
{
    if (t->dev == NULL)
        return;
    t->dev->ops->stop(t->dev);
    for (uint16_t i = 0; i < t->dev->ops->queue_count; i++) {
        if (t->bell[i].source.fd < 0)
            continue;
        loop_remove(t->loop, &t->bell[i].source);
        (void)close(t->bell[i].source.fd);
        t->bell[i].source.fd = -1;
    }
    t->dev = NULL;
}

int virtio_mmio_preset(struct virtio_mmio *t, const struct virtq_place *place,
                       struct err *e)
{
    struct virtio_dev *vd = t->dev;
    vd->acked = vd->features;
    vd->preset = true;
    for (uint16_t i = 0; i < vd->ops->queue_count; i++) {
        vd->queue[i].place = t->place[i] = place[i];
        t->place_ready[i] = true;
        if (virtq_start(&vd->queue[i], t->mem, true) < 0)
            return err_set(e, -EINVAL, "%s queue %u does not fit in memory",
                           vd->ops->name, i);
    }
    t->status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK;
    vd->ops->start(vd);
    return 0;
}

uint64_t virtio_mmio_bell(const struct virtio_mmio *t)
{
    return t->window.base + VIRTIO_MMIO_REG_QUEUE_NOTIFY;
}
