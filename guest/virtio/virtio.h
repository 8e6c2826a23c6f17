// SPDX-License-Identifier: Apache-2.0
/*
 * Driver side of virtio-mmio v2 with split rings (virtio 1.2, 2.7 and 4.2).
 * A preset device (docs/boot.md) is used as found; any other is initialised by
 * 4.2.3.1. Rings: EVENT_IDX when negotiated.
 */
#pragma once

#include "guest/core/fdt.h"
#include "guest/core/irq.h"
#include "guest/core/lock.h"
#include "guest/core/types.h"

struct boot_netif;

struct virtq_buf { /* one element of a request */
    paddr_t pa;
    uint32_t size;
};

struct virtq {
    struct virtio_device *dev;
    uint16_t index;
    uint16_t size;        /* descriptors, power of two */
    struct spinlock lock; /* irq-safe */
    /* the rest is private to queue.c */
    void *desc, *avail, *used;
    uint16_t fresh;      /* descriptors from here on were never used */
    uint16_t free_head;  /* of those given back, linked by desc.next */
    uint16_t free_count; /* both kinds */
    uint16_t avail_idx, used_seen, signalled;
    void **cookies; /* size of them; made at the first add */
    struct irq_handler irq;
    void (*fn)(struct virtq *q); /* interrupt: buffers were used */
    void *owner;
};

struct virtio_device {
    uint32_t id; /* virtio 1.2 section 5 */
    paddr_t regs;
    bool preset;
    uint64_t features;     /* negotiated */
    const uint8_t *config; /* preset: copy of the configuration space */
    uint32_t config_size;
    uint32_t queue_count;
    struct virtq *queues;
    struct fdt_node node;
    bool lines; /* a line for each queue, as preset ones have; else: */
    struct irq_handler irq; /* one level line for everything */
    bool attached;          /* to its lines: that stays */
};

/* Walk the FDT and start every driver; before fs_boot. */
void virtio_init(void);
void virtio_blk_init(struct virtio_device *d);
void virtio_console_init(struct virtio_device *d);
void virtio_net_init(struct virtio_device *d);
/* Net thread: the device at `regs` has come, and is to be called and set up
 * like this; or it is to be given back. 0 or -errno. */
int virtio_net_plug(paddr_t regs, const struct boot_netif *b);
int virtio_net_unplug(paddr_t regs);
void virtio_rng_init(struct virtio_device *d);

/* Preset: what the monitor chose; else what the device offers. */
uint64_t virtio_features(struct virtio_device *d);
/* Negotiate (`want` of what is offered), make `count` queues of up to `max`
 * descriptors, DRIVER_OK. For preset devices: adopt. 0 or -errno. */
int virtio_start(struct virtio_device *d, uint64_t want, uint32_t count,
                 uint16_t max);
/* Reset: it touches the rings no more. virtio_start() may start it again, with
 * the same rings and lines and not preset any more. */
void virtio_stop(struct virtio_device *d);
/* The "limpet,spare" node of these registers; -ENODEV. */
int virtio_find_spare(struct virtio_device *d, paddr_t regs);
/* A device of type `id` has appeared there; -ENODEV. */
int virtio_look(struct virtio_device *d, uint32_t id);
void virtio_config_read(struct virtio_device *d, uint32_t off, void *to,
                        uint32_t size);

/* The same as it is now: exits, for preset devices too. */
void virtio_config_now(const struct virtio_device *d, uint32_t off, void *to,
                       uint32_t size);
/* `h` runs when the configuration changed; devices that are not preset: never.
 * 0 or -errno. */
int virtio_config_irq(struct virtio_device *d, struct irq_handler *h);

/* Add a request: `out` device-readable elements, then `in` writable ones.
 * -EAGAIN when the ring is full. `cookie` (not NULL) comes back by
 * virtq_pop. The caller holds q->lock. */
int virtq_add(struct virtq *q, const struct virtq_buf *bufs, unsigned out,
              unsigned in, void *cookie);
/* Ring the doorbell if the device asked; without a lock (queue.h). */
void virtq_kick(struct virtq *q);
void *virtq_pop(struct virtq *q, uint32_t *written); /* NULL: nothing used */
/* Of a stopped device: what was never used. NULL: no more. */
void *virtq_take_back(struct virtq *q);
/* Interrupts for used buffers on; false: there are some already. */
bool virtq_enable_irq(struct virtq *q);
void virtq_disable_irq(struct virtq *q);

/* Users of drivers. */
void virtio_rng_reseed(void); /* rarely does anything; any context */
int virtio_blk_read(unsigned disk, uint64_t off, void *to, size_t size);
uint64_t virtio_blk_size(unsigned disk); /* bytes; 0: no such disk */
