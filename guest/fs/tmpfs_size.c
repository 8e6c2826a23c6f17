// SPDX-License-Identifier: Apache-2.0
/* Length of files, holes: truncate(2), fallocate(2), SEEK_DATA. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/fs/tmpfs.h"

void tmpfs_clear_tail(struct tmpfs_node *n)
{
    struct tmpfs_span s;
    uint64_t in_page = n->i.size & PAGE_MASK;
    if (in_page == 0)
        return;
    tmpfs_find(n, n->i.size / PAGE_SIZE, &s);
    if (s.kind != KIND_OWN)
        return;
    uint8_t *at = page_virt(s.pa);
    memset(at + in_page, 0, (size_t)(PAGE_SIZE - in_page));
    page_put(s.pa);
}

/* --- length --- */

/* Bytes [from, to) of one page become zero. i.lock held. */
static int tmpfs_zero_part(struct tmpfs_node *n, uint64_t from, uint64_t to)
{
    struct tmpfs_span s;
    uint64_t index = from / PAGE_SIZE;
    bool fresh = false;
    tmpfs_find(n, index, &s);
    if (s.kind == KIND_HOLE)
        return 0;
    if (s.kind == KIND_LOWER) {
        int r = tmpfs_own_page(n, index, false, &s.pa, &fresh);
        if (r < 0)
            return r;
    }
    uint8_t *at = page_virt(s.pa);
    memset(at + (from & PAGE_MASK), 0, (size_t)(to - from));
    page_put(s.pa);
    if (fresh)
        aspace_drop_inode(&n->i, index, 1);
    return 0;
}

/* Forget our pages [first, end). */
static void tmpfs_cut(struct tmpfs_node *n, uint64_t first, uint64_t end)
{
    for (;;) {
        uint64_t entry = 0;
        spin_lock(&n->page_lock);
        uint64_t at = pagetree_next(&n->pages, first, &entry);
        if (at < end)
            (void)tmpfs_set_entry(n, at, 0); /* cannot fail: it exists */
        spin_unlock(&n->page_lock);
        if (at >= end)
            return;
        tmpfs_release_page(n, entry);
        first = at + 1;
        sched_point();
    }
}

int tmpfs_resize(struct inode *i, uint64_t size)
{
    struct tmpfs_node *n = tmpfs_node(i);
    if (size > TMPFS_SIZE_MAX)
        return -EFBIG;
    uint64_t old = i->size;
    if ((size < old && (n->seals & LX_F_SEAL_SHRINK) != 0) ||
        (size > old && (n->seals & LX_F_SEAL_GROW) != 0))
        return -EPERM;
    uint64_t keep = (size + PAGE_MASK) / PAGE_SIZE;
    if (size < old && (size & PAGE_MASK) != 0) {
        int r = tmpfs_zero_part(n, size, keep * PAGE_SIZE);
        if (r < 0)
            return r;
    }
    if (size > old)
        tmpfs_clear_tail(n);
    spin_lock(&n->page_lock);
    i->size = size;
    spin_unlock(&n->page_lock);
    if (size >= old)
        return 0;
    /* Pages first, so that lower_hidden counts what is hidden. */
    tmpfs_cut(n, keep, UINT64_MAX);
    spin_lock(&n->page_lock);
    n->lower_pages = MIN(n->lower_pages, keep);
    if (size == 0)
        pagetree_fini(&n->pages);
    tmpfs_set_blocks(n);
    spin_unlock(&n->page_lock);
    aspace_cut_inode(i, keep);
    return 0;
}

/* --- fallocate(2), SEEK_DATA --- */

/* Whole pages [first, end) become holes. */
static int tmpfs_punch_pages(struct tmpfs_node *n, uint64_t first, uint64_t end)
{
    tmpfs_cut(n, first, end);
    int r = 0;
    uint64_t lower_end = MIN(end, n->lower_pages);
    for (uint64_t at = first; at < lower_end && r == 0; at++) {
        spin_lock(&n->page_lock);
        if (pagetree_get(&n->pages, at) == 0)
            r = tmpfs_set_entry(n, at, TMPFS_HOLE);
        spin_unlock(&n->page_lock);
        sched_point();
    }
    aspace_drop_inode(&n->i, first, end - first);
    return r;
}

static int tmpfs_punch(struct tmpfs_node *n, uint64_t off, uint64_t end)
{
    end = MIN(end, ROUND_UP(n->i.size, PAGE_SIZE));
    if (off >= end)
        return 0;
    uint64_t first = ROUND_UP(off, PAGE_SIZE);
    uint64_t last = ROUND_DOWN(end, PAGE_SIZE);
    if (first > last) /* inside one page */
        return tmpfs_zero_part(n, off, end);
    int r = off < first ? tmpfs_zero_part(n, off, first) : 0;
    if (r == 0 && last < end)
        r = tmpfs_zero_part(n, last, end);
    if (r == 0 && first < last)
        r = tmpfs_punch_pages(n, first / PAGE_SIZE, last / PAGE_SIZE);
    return r;
}

static int tmpfs_reserve(struct tmpfs_node *n, uint64_t off, uint64_t end)
{
    uint64_t last = (end + PAGE_MASK) / PAGE_SIZE;
    const struct tmpfs_sb *sb = tmpfs_sb(&n->i);
    if (last - off / PAGE_SIZE > sb->limit)
        return -ENOSPC; /* before filling the memory in vain */
    for (uint64_t at = off / PAGE_SIZE; at < last;) {
        struct tmpfs_span s;
        tmpfs_find(n, at, &s);
        if (s.kind == KIND_HOLE) {
            bool fresh;
            int r = tmpfs_own_page(n, at, false, &s.pa, &fresh);
            if (r < 0)
                return r;
            s.run = 1;
        }
        if (s.kind != KIND_LOWER)
            page_put(s.pa);
        if (signal_fatal_pending(current()))
            return -EINTR;
        at += s.run;
        sched_point();
    }
    return 0;
}

int tmpfs_fallocate(struct inode *i, uint32_t mode, uint64_t off, uint64_t len)
{
    struct tmpfs_node *n = tmpfs_node(i);
    const uint32_t known =
        LX_FALLOC_KEEP_SIZE | LX_FALLOC_PUNCH_HOLE | LX_FALLOC_ZERO_RANGE;
    bool punch = (mode & LX_FALLOC_PUNCH_HOLE) != 0;
    bool keep = (mode & LX_FALLOC_KEEP_SIZE) != 0;
    if ((mode & ~known) != 0 || (punch && !keep) ||
        (punch && (mode & LX_FALLOC_ZERO_RANGE) != 0))
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    int r = (n->seals & LX_F_SEAL_WRITE) != 0 ? -EPERM : 0;
    if (r == 0 && mode != 0 && mode != LX_FALLOC_KEEP_SIZE)
        r = tmpfs_punch(n, off, off + len);
    if (r == 0 && !punch)
        r = tmpfs_reserve(n, off, off + len);
    if (r == 0 && !keep && off + len > i->size)
        r = tmpfs_resize(i, off + len);
    inode_touch(i, true);
    tmpfs_changed(i);
    mutex_unlock(&i->lock);
    return r;
}

int64_t inode_seek_data(struct inode *i, uint64_t pos, bool hole)
{
    if (pos >= i->size)
        return -ENXIO;
    if (!tmpfs_owns(i) || (i->mode & LX_S_IFMT) != LX_S_IFREG)
        return (int64_t)(hole ? i->size : pos);
    struct tmpfs_node *n = tmpfs_node(i);
    for (uint64_t at = pos / PAGE_SIZE; at * PAGE_SIZE < i->size;) {
        struct tmpfs_span s;
        tmpfs_find(n, at, &s);
        if (s.kind == KIND_OWN)
            page_put(s.pa);
        if ((s.kind == KIND_HOLE) == hole)
            return (int64_t)MAX(pos, at * PAGE_SIZE);
        if (s.run > i->size / PAGE_SIZE)
            break;
        at += s.run;
        sched_point();
    }
    return hole ? (int64_t)i->size : -ENXIO;
}
