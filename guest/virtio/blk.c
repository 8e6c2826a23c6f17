// SPDX-License-Identifier: Apache-2.0
/* virtio-blk, reading only. Virtio 1.2, 5.2. */
#include "abi/linux/errno.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_mmio.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/wait.h"
#include "guest/virtio/queue.h"

#define BLK_DISKS   8
#define BLK_QUEUE   64
#define BLK_REQ_MAX UINT64_C(0x100000) /* bytes of one request */

struct disk {
    struct virtio_device *dev;
    uint64_t size; /* bytes */
    struct waitq waitq;
};

struct blk_request { /* lives until the device is done with it */
    struct virtio_blk_req head;
    uint8_t status;
    bool done; /* atomic: release after status and data */
};

static struct disk disks[BLK_DISKS];
static unsigned disk_count;

static void blk_interrupt(struct virtq *q)
{
    struct disk *d = q->owner;
    unsigned long flags = spin_lock_irq(&q->lock);
    do {
        struct blk_request *r;
        while ((r = virtq_pop(q, NULL)) != NULL)
            __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
    } while (!virtq_enable_irq(q));
    spin_unlock_irq(&q->lock, flags);
    waitq_wake(&d->waitq, 0, WAKE_ALL);
}

/* The device writes into the buffer until it is done, so no signal may end
 * the wait: a dying task polls. */
static void blk_wait(struct disk *d, struct blk_request *r)
{
    int e;
    WAIT_FOR(e, &d->waitq, __atomic_load_n(&r->done, __ATOMIC_ACQUIRE),
             WAIT_DEADLY, NSEC_NEVER);
    while (e < 0 && !__atomic_load_n(&r->done, __ATOMIC_ACQUIRE))
        sched_yield();
}

static int blk_submit(struct disk *d, struct blk_request *r, void *to,
                      uint32_t size)
{
    struct virtq *q = &d->dev->queues[0];
    struct virtq_buf bufs[] = {
        {page_phys(&r->head), sizeof(r->head)},
        {page_phys(to), size},
        {page_phys(&r->status), 1},
    };
    for (;;) {
        unsigned long flags = spin_lock_irq(&q->lock);
        int e = virtq_add(q, bufs, 1, 2, r);
        virtq_unlock_kick(q, flags);
        if (e != -EAGAIN)
            return e;
        sched_yield(); /* 21 requests under way: some will end */
    }
}

static int blk_read_part(struct disk *d, uint64_t off, void *to, uint32_t size)
{
    struct blk_request *r = kzalloc(sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->head.type = VIRTIO_BLK_T_IN;
    r->head.sector = off / VIRTIO_BLK_SECTOR;
    r->status = VIRTIO_BLK_S_IOERR;
    int e = blk_submit(d, r, to, size);
    if (e == 0) {
        blk_wait(d, r);
        e = r->status == VIRTIO_BLK_S_OK ? 0 : -EIO;
    }
    kfree(r);
    return e;
}

int virtio_blk_read(unsigned disk, uint64_t off, void *to, size_t size)
{
    if (disk >= disk_count)
        return -ENODEV;
    struct disk *d = &disks[disk];
    if (off % VIRTIO_BLK_SECTOR != 0 || size % VIRTIO_BLK_SECTOR != 0 ||
        off > d->size || size > d->size - off)
        return -EINVAL;
    char *at = to;
    while (size > 0) {
        uint32_t part = (uint32_t)MIN(size, BLK_REQ_MAX);
        int e = blk_read_part(d, off, at, part);
        if (e < 0)
            return e;
        at += part;
        off += part;
        size -= part;
    }
    return 0;
}

uint64_t virtio_blk_size(unsigned disk)
{
    return disk < disk_count ? disks[disk].size : 0;
}

void virtio_blk_init(struct virtio_device *d)
{
    if (disk_count == BLK_DISKS) {
        klog(KLOG_WARN, "virtio: disk %u is one too many", disk_count);
        return;
    }
    if (virtio_start(d, VIRTIO_F_EVENT_IDX | VIRTIO_BLK_F_RO, 1, BLK_QUEUE) < 0)
        return;
    struct virtio_blk_config config;
    virtio_config_read(d, 0, &config, sizeof(config));
    struct disk *disk = &disks[disk_count++];
    disk->dev = d;
    disk->size = config.capacity * VIRTIO_BLK_SECTOR;
    waitq_init(&disk->waitq);
    d->queues[0].owner = disk;
    d->queues[0].fn = blk_interrupt;
}
