// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/inode.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/timer.h"
#include "guest/fs/flock.h"
#include "guest/fs/pipe.h"

static struct lx_timespec inode_now(void)
{
    uint64_t ns = clock_wall();
    return (struct lx_timespec){(int64_t)(ns / NSEC_PER_SEC),
                                (int64_t)(ns % NSEC_PER_SEC)};
}

uint32_t sb_new_dev(void)
{
    static uint32_t next = 1;
    return __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
}

void inode_init(struct inode *i, struct superblock *sb, uint32_t mode)
{
    i->sb = sb;
    i->ino = __atomic_add_fetch(&sb->next_ino, 1, __ATOMIC_RELAXED);
    i->refs = 1;
    i->mode = mode;
    i->nlink = 1;
    i->mtime = inode_now();
    i->atime = i->mtime;
    i->ctime = i->mtime;
    i->btime = i->mtime;
    mutex_init(&i->lock);
    mutex_init(&i->mappings_lock);
    list_init(&i->mappings);
}

struct inode *inode_new(struct superblock *sb, uint32_t mode)
{
    struct inode *i = kzalloc(sizeof(*i));
    if (i != NULL)
        inode_init(i, sb, mode);
    return i;
}

void inode_get(struct inode *i)
{
    __atomic_fetch_add(&i->refs, 1, __ATOMIC_RELAXED);
}

void inode_put(struct inode *i)
{
    uint32_t before = __atomic_fetch_sub(&i->refs, 1, __ATOMIC_ACQ_REL);
    KASSERT(before != 0);
    if (before != 1)
        return;
    KASSERT(list_empty(&i->mappings));
    i->sb->ops->evict(i);
    flock_free(i);
    pipe_free(i);
    kfree(i);
}

void inode_touch(struct inode *i, bool data)
{
    i->ctime = inode_now();
    if (data)
        i->mtime = i->ctime;
}
