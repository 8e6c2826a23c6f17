// SPDX-License-Identifier: Apache-2.0
/* Character devices by number; the memory devices. null(4), random(4). */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/mman.h"

#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/generic.h"

#define DEV_RANGES 16

struct dev_range {
    uint32_t major, first, count;
    int (*open)(struct file *f, uint64_t rdev);
};
static struct dev_range ranges[DEV_RANGES];
static unsigned range_count;

void dev_register(uint32_t major, uint32_t first, uint32_t count,
                  int (*open)(struct file *f, uint64_t rdev))
{
    KASSERT(range_count < DEV_RANGES);
    ranges[range_count++] = (struct dev_range){major, first, count, open};
}

static int64_t null_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return 0;
}

static int64_t null_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    int64_t n = (int64_t)u->left;
    u->left = 0;
    return n;
}

static int64_t zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    int64_t done = 0;
    while (u->left > 0 && !signal_fatal_pending(current())) {
        int64_t r = uio_zero(u, 65536);
        if (r <= 0)
            return done > 0 ? done : r;
        done += r;
        sched_point();
    }
    return done;
}

static int64_t full_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -ENOSPC;
}

static int64_t random_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    uint8_t bytes[256];
    int64_t done = 0;
    while (u->left > 0) {
        size_t n = (size_t)MIN(u->left, (uint64_t)sizeof(bytes));
        krandom(bytes, n);
        int64_t r = uio_put(u, bytes, n);
        if (r <= 0)
            return done > 0 ? done : r;
        done += r;
        if (signal_pending(current()))
            break;
        sched_point();
    }
    return done;
}

static int64_t random_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    uint8_t bytes[256];
    int64_t done = 0;
    while (u->left > 0) {
        int64_t r = uio_get(u, bytes, sizeof(bytes));
        if (r <= 0)
            return done > 0 ? done : r;
        krandom_seed(bytes, (size_t)r);
        done += r;
        if (signal_pending(current()))
            break;
        sched_point();
    }
    return done;
}

#define RNDGETENTCNT 0x80045200u

static int64_t random_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    (void)f;
    return cmd == RNDGETENTCNT ? put_user_u32(uptr(arg), 256) : -ENOTTY;
}

/* Shared: memory of its own for each mapping. The page of a private one comes
 * from tmpfs_get_page. */
static int zero_mmap(struct file *f, uint32_t prot, uint32_t flags)
{
    (void)f, (void)prot;
    return (flags & LX_MAP_TYPE) != LX_MAP_PRIVATE ? FILE_MMAP_ANON : 0;
}

#define MEM_OPS(name, rd, wr, ctl, map)                                        \
    static const struct file_ops name = {                                      \
        .read = (rd),                                                          \
        .write = (wr),                                                         \
        .poll = file_always_ready,                                             \
        .ioctl = (ctl),                                                        \
        .mmap = (map),                                                         \
        .release = file_no_release,                                            \
    }
MEM_OPS(null_ops, null_read, null_write, file_no_ioctl, file_no_mmap);
MEM_OPS(zero_ops, zero_read, null_write, file_no_ioctl, zero_mmap);
MEM_OPS(full_ops, zero_read, full_write, file_no_ioctl, file_no_mmap);
MEM_OPS(random_ops, random_read, random_write, random_ioctl, file_no_mmap);

static const struct file_ops *mem_ops(uint32_t minor)
{
    switch (minor) {
    case 3: return &null_ops;
    case 5: return &zero_ops;
    case 7: return &full_ops;
    case 8: return &random_ops;
    case 9: return &random_ops;
    default: return NULL;
    }
}

int dev_open(struct file *f, uint64_t rdev)
{
    uint32_t major = LX_MAJOR(rdev);
    uint32_t minor = LX_MINOR(rdev);
    if (major == 1) {
        const struct file_ops *ops = mem_ops(minor);
        if (ops == NULL)
            return -ENXIO;
        f->ops = ops;
        f->mode &= ~FILE_STREAM;
        return 0;
    }
    for (unsigned i = 0; i < range_count; i++) {
        const struct dev_range *r = &ranges[i];
        if (major == r->major && minor >= r->first &&
            minor - r->first < r->count)
            return r->open(f, rdev);
    }
    return -ENXIO;
}
