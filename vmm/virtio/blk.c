// SPDX-License-Identifier: Apache-2.0
/* The block device. Virtio 1.2, section 5.2. */
#include "vmm/virtio/blk.h"

#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "abi/virtio_mmio.h"

#include "base/err.h"

#define BLK_BUDGET 64 /* requests before other sources get a turn */
/* Data of one request: more would only keep the device thread busy. */
#define BLK_DATA_MAX (UINT64_C(64) << 20)
/* Bytes before other sources get a turn; one request may pass over it. */
#define BLK_TURN (INT64_C(4) << 20)

/* The file with byte *at of the disk; *at becomes its offset in there. */
static const struct virtio_blk_part *part_of(const struct virtio_blk *b,
                                             uint64_t *at)
{
    const struct virtio_blk_part *p = b->part;
    while (p < b->part + b->part_count - 1 && *at >= p->size) {
        *at -= p->size;
        p++;
    }
    return p;
}

/* Move iov to or from the disk at `at`; false on any error. */
static bool transfer(const struct virtio_blk *b, bool write,
                     const struct iovec *iov, unsigned count, uint64_t at)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += iov[i].iov_len;
    struct iovec part[VIRTQ_IOV_MAX];
    for (uint64_t done = 0; done < size;) {
        uint64_t off = at + done;
        const struct virtio_blk_part *f = part_of(b, &off);
        if (off >= f->size)
            return false;
        uint64_t len =
            size - done < f->size - off ? size - done : f->size - off;
        unsigned n = virtq_slice(iov, count, done, len, part, VIRTQ_IOV_MAX);
        ssize_t moved = write ? pwritev(f->fd, part, (int)n, (off_t)off)
                              : preadv(f->fd, part, (int)n, (off_t)off);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return false;
        done += (uint64_t)moved;
    }
    return true;
}

/* `size` bytes at `sector` lie inside the disk and are whole sectors. */
static bool in_range(const struct virtio_blk *b, uint64_t sector, uint64_t size)
{
    uint64_t count = b->size / VIRTIO_BLK_SECTOR;
    return size <= BLK_DATA_MAX && size % VIRTIO_BLK_SECTOR == 0 &&
           sector <= count && size / VIRTIO_BLK_SECTOR <= count - sector;
}

/* Data of a read: all writable bytes but the last, which is the status. */
static uint8_t do_read(const struct virtio_blk *b, const struct virtq_chain *c,
                       uint64_t sector)
{
    struct iovec part[VIRTQ_IOV_MAX];
    uint64_t size = c->in_size - 1;
    unsigned n =
        virtq_slice(c->iov + c->out, c->in, 0, size, part, VIRTQ_IOV_MAX);
    if (!in_range(b, sector, size) ||
        !transfer(b, false, part, n, sector * VIRTIO_BLK_SECTOR))
        return VIRTIO_BLK_S_IOERR;
    return VIRTIO_BLK_S_OK;
}

static uint8_t do_write(const struct virtio_blk *b, const struct virtq_chain *c,
                        uint64_t sector)
{
    struct iovec part[VIRTQ_IOV_MAX];
    uint64_t head = sizeof(struct virtio_blk_req);
    uint64_t size = c->out_size - head;
    unsigned n = virtq_slice(c->iov, c->out, head, size, part, VIRTQ_IOV_MAX);
    if (b->readonly || !in_range(b, sector, size) ||
        !transfer(b, true, part, n, sector * VIRTIO_BLK_SECTOR))
        return VIRTIO_BLK_S_IOERR;
    return VIRTIO_BLK_S_OK;
}

static uint8_t do_request(const struct virtio_blk *b,
                          const struct virtq_chain *c,
                          const struct virtio_blk_req *r)
{
    switch (r->type) {
    case VIRTIO_BLK_T_IN: return do_read(b, c, r->sector);
    case VIRTIO_BLK_T_OUT: return do_write(b, c, r->sector);
    case VIRTIO_BLK_T_FLUSH:
        return b->readonly || fdatasync(b->one.fd) == 0 ? VIRTIO_BLK_S_OK
                                                        : VIRTIO_BLK_S_IOERR;
    case VIRTIO_BLK_T_GET_ID:
        (void)virtq_copy_in(c, 0, b->id, sizeof(b->id));
        return VIRTIO_BLK_S_OK;
    default: return VIRTIO_BLK_S_UNSUPP;
    }
}

static void blk_notify(struct virtio_dev *vd, uint16_t qi)
{
    struct virtio_blk *b = (struct virtio_blk *)vd;
    struct virtq *q = &vd->queue[qi];
    struct virtq_chain c;
    int64_t bytes = BLK_TURN;
    int budget = BLK_BUDGET;
    while (bytes > 0 && budget-- > 0) {
        int got = virtq_pop(q, &c);
        struct virtio_blk_req r;
        if (got == 0 && !virtq_arm(q))
            break;
        if (got == 0)
            continue;
        if (got < 0 || c.in_size == 0 ||
            virtq_copy_out(&c, 0, &r, sizeof(r)) != sizeof(r)) {
            virtio_fail(vd, qi);
            break;
        }
        uint8_t status = do_request(b, &c, &r);
        (void)virtq_copy_in(&c, c.in_size - 1, &status, 1);
        bool data = r.type == VIRTIO_BLK_T_IN;
        virtq_push(q, &c, data ? (uint32_t)c.in_size : 1);
        bytes -= (int64_t)(c.out_size + c.in_size);
    }
    if (bytes <= 0 || budget < 0)
        virtio_kick(vd, qi);
    virtio_signal(vd, qi);
}

static void blk_start(struct virtio_dev *vd)
{
    (void)virtq_arm(&vd->queue[0]);
}

static void blk_stop(struct virtio_dev *vd)
{
    (void)vd; /* every request ends before notify() returns */
}

static int disk_size(int fd, uint64_t *size)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, size) < 0)
        return -errno;
    return 0;
}

static void init_device(struct virtio_blk *b)
{
    static const struct virtio_ops ops = {
        .name = "blk",
        .type = VIRTIO_ID_BLK,
        .queue_count = 1,
        .queue_size = 128,
        .start = blk_start,
        .notify = blk_notify,
        .stop = blk_stop,
    };
    const struct virtio_blk_config config = {
        .capacity = b->size / VIRTIO_BLK_SECTOR,
        .seg_max = 126, /* with head and status a queue of 128 */
    };
    b->vd.ops = &ops;
    b->vd.features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
                     VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_FLUSH |
                     (b->readonly ? VIRTIO_BLK_F_RO : 0);
    b->vd.config_size = sizeof(config);
    memcpy(b->vd.config, &config, sizeof(config));
}

int virtio_blk_init(struct virtio_blk *b, int fd, bool readonly, unsigned index,
                    struct err *e)
{
    memset(b, 0, sizeof(*b));
    b->readonly = readonly;
    int rc = disk_size(fd, &b->size);
    if (rc < 0)
        return err_set(e, rc, "disk %u: %s", index, strerror(-rc));
    if (b->size % VIRTIO_BLK_SECTOR != 0)
        return err_set(e, -EINVAL,
                       "disk %u: its size is not a multiple of %d bytes", index,
                       VIRTIO_BLK_SECTOR);
    b->one = (struct virtio_blk_part){fd, b->size};
    b->part = &b->one;
    b->part_count = 1;
    (void)snprintf(b->id, sizeof(b->id), "limpet-disk-%u", index);
    init_device(b);
    return 0;
}

void virtio_blk_init_image(struct virtio_blk *b,
                           const struct virtio_blk_part *part, unsigned count)
{
    memset(b, 0, sizeof(*b));
    b->readonly = true;
    b->part = part;
    b->part_count = count;
    for (unsigned i = 0; i < count; i++)
        b->size += part[i].size;
    (void)snprintf(b->id, sizeof(b->id), "limpet-image");
    init_device(b);
}
