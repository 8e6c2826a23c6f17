// SPDX-License-Identifier: Apache-2.0
/*
 * File contents. A page of a file is one of: ours (in n->pages), a hole, or
 * the image's. Writers hold the inode's mutex; page faults only page_lock, so
 * whoever allocates looks again before it puts a page in. Memory is copied to
 * and from programs with a page reference, never under page_lock.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/mman.h"
#include "abi/linux/signal.h"

#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/generic.h"
#include "guest/fs/namei.h"
#include "guest/fs/tmpfs.h"

/* --- accounting --- */

void tmpfs_set_blocks(struct tmpfs_node *n)
{
    uint64_t pages = n->own_pages + n->lower_pages - n->lower_hidden;
    n->i.blocks = pages * (PAGE_SIZE / 512);
}

static bool tmpfs_charge(struct tmpfs_sb *sb)
{
    if (__atomic_add_fetch(&sb->used, 1, __ATOMIC_RELAXED) <= sb->limit) {
        page_count_cached(1);
        return true;
    }
    __atomic_sub_fetch(&sb->used, 1, __ATOMIC_RELAXED);
    return false;
}

static void tmpfs_uncharge(struct tmpfs_sb *sb)
{
    __atomic_sub_fetch(&sb->used, 1, __ATOMIC_RELAXED);
    page_count_cached(-1);
}

int tmpfs_set_entry(struct tmpfs_node *n, uint64_t index, uint64_t value)
{
    uint64_t old = pagetree_get(&n->pages, index);
    int r = pagetree_set(&n->pages, index, value);
    if (r < 0)
        return r;
    n->own_pages += (value > TMPFS_HOLE ? 1u : 0u);
    n->own_pages -= (old > TMPFS_HOLE ? 1u : 0u);
    if (index < n->lower_pages) {
        n->lower_hidden += (value != 0 ? 1u : 0u);
        n->lower_hidden -= (old != 0 ? 1u : 0u);
    }
    tmpfs_set_blocks(n);
    return 0;
}

void tmpfs_release_page(struct tmpfs_node *n, uint64_t entry)
{
    if (entry <= TMPFS_HOLE)
        return;
    page_put(entry);
    tmpfs_uncharge(tmpfs_sb(&n->i));
}

void tmpfs_free_pages(struct tmpfs_node *n)
{
    uint64_t entry;
    uint64_t at = pagetree_next(&n->pages, 0, &entry);
    while (at != UINT64_MAX) {
        tmpfs_release_page(n, entry);
        at = pagetree_next(&n->pages, at + 1, &entry);
        if (at % 1024 == 0)
            sched_point();
    }
    pagetree_fini(&n->pages);
}

/* --- finding and making pages --- */

/* What is at `index`; page_lock held. */
static void tmpfs_span_at(const struct tmpfs_node *n, uint64_t index,
                          struct tmpfs_span *s)
{
    uint64_t next_entry;
    uint64_t entry = pagetree_get(&n->pages, index);
    s->run = 1;
    s->pa = 0;
    s->kind = KIND_HOLE;
    if (entry > TMPFS_HOLE) {
        s->kind = KIND_OWN;
        s->pa = entry;
        page_get(entry);
        return;
    }
    if (entry == TMPFS_HOLE)
        return;
    s->run = pagetree_next(&n->pages, index, &next_entry) - index;
    if (index < n->lower_pages) {
        s->kind = KIND_LOWER;
        s->run = MIN(s->run, n->lower_pages - index);
    }
}

void tmpfs_find(struct tmpfs_node *n, uint64_t index, struct tmpfs_span *s)
{
    spin_lock(&n->page_lock);
    tmpfs_span_at(n, index, s);
    spin_unlock(&n->page_lock);
}

/* A page with the contents of `index`, not yet in the file. 0: -errno in *r. */
static paddr_t tmpfs_copy_page(struct tmpfs_node *n, uint64_t index,
                               enum tmpfs_kind kind, int *r)
{
    struct tmpfs_sb *sb = tmpfs_sb(&n->i);
    if (!tmpfs_charge(sb)) {
        *r = -ENOSPC;
        return 0;
    }
    paddr_t pa = page_alloc(0, PAGE_ZERO);
    *r = pa != 0 ? 0 : -ENOMEM;
    if (pa != 0 && kind == KIND_LOWER) {
        int64_t got = erofs_pread(&sb->lower, &n->lower, page_virt(pa),
                                  PAGE_SIZE, index * PAGE_SIZE);
        *r = got < 0 ? (int)got : 0;
    }
    if (*r == 0)
        return pa;
    if (pa != 0)
        page_put(pa);
    tmpfs_uncharge(sb);
    return 0;
}

/* Put the fresh page in if nobody was faster; page_lock held. -EAGAIN: look
 * again, -EFAULT: behind the end. */
static int tmpfs_insert(struct tmpfs_node *n, uint64_t index, paddr_t pa,
                        enum tmpfs_kind kind, bool fault)
{
    struct tmpfs_span s;
    if (fault && index * PAGE_SIZE >= n->i.size)
        return -EFAULT;
    tmpfs_span_at(n, index, &s);
    if (s.kind == KIND_OWN)
        page_put(s.pa);
    if (s.kind != kind)
        return -EAGAIN;
    return tmpfs_set_entry(n, index, pa);
}

int tmpfs_own_page(struct tmpfs_node *n, uint64_t index, bool fault,
                   paddr_t *out, bool *fresh)
{
    for (;;) {
        struct tmpfs_span s;
        tmpfs_find(n, index, &s);
        if (s.kind == KIND_OWN) {
            *out = s.pa;
            return 0;
        }
        int r;
        paddr_t pa = tmpfs_copy_page(n, index, s.kind, &r);
        if (pa == 0)
            return r;
        page_get(pa); /* the caller's */
        spin_lock(&n->page_lock);
        r = tmpfs_insert(n, index, pa, s.kind, fault);
        spin_unlock(&n->page_lock);
        if (r == 0) {
            *out = pa;
            *fresh = true;
            return 0;
        }
        page_put(pa);
        page_put(pa);
        tmpfs_uncharge(tmpfs_sb(&n->i));
        if (r != -EAGAIN)
            return r;
    }
}

/* /dev/zero: every fault has its own zeros. */
static int tmpfs_zero_page(const struct inode *i, struct inode_page *out)
{
    if (i->rdev != ((1u << 8) | 5))
        return -EFAULT;
    out->pa = page_alloc(0, PAGE_ZERO);
    out->run = 1;
    out->writable = true;
    return out->pa != 0 ? 0 : -ENOMEM;
}

int tmpfs_get_page(struct inode *i, uint64_t index, bool write,
                   struct inode_page *out)
{
    struct tmpfs_node *n = tmpfs_node(i);
    struct tmpfs_span s;
    if ((i->mode & LX_S_IFMT) == LX_S_IFCHR)
        return tmpfs_zero_page(i, out);
    spin_lock(&n->page_lock);
    bool behind = index >= (i->size + PAGE_MASK) / PAGE_SIZE;
    if (!behind)
        tmpfs_span_at(n, index, &s);
    spin_unlock(&n->page_lock);
    if (behind)
        return -EFAULT;
    out->run = 1;
    out->writable = true;
    if (s.kind == KIND_OWN) {
        out->pa = s.pa;
        return 0;
    }
    if (s.kind == KIND_LOWER && !write && !n->shared) {
        int r = erofs_page(&tmpfs_sb(i)->lower, &n->lower, index, &out->pa,
                           &out->run);
        if (r == 0) {
            out->run = MIN(out->run, s.run);
            out->writable = false;
            page_get(out->pa);
        }
        if (r != -ENODATA)
            return r;
    }
    bool fresh;
    return tmpfs_own_page(n, index, true, &out->pa, &fresh);
}

/* --- read(2) --- */

static int64_t tmpfs_read_lower(struct tmpfs_node *n, struct uio *u,
                                uint64_t pos, uint64_t size, uint64_t run)
{
    const struct tmpfs_sb *sb = tmpfs_sb(&n->i);
    paddr_t pa;
    uint64_t whole;
    uint64_t index = pos / PAGE_SIZE;
    int r = erofs_page(&sb->lower, &n->lower, index, &pa, &whole);
    if (r == 0) {
        uint64_t bytes = MIN(run, whole) * PAGE_SIZE - (pos & PAGE_MASK);
        const uint8_t *from = page_virt(pa);
        page_get(pa); /* a page fault may sleep */
        int64_t done = uio_put(u, from + (pos & PAGE_MASK), MIN(size, bytes));
        page_put(pa);
        return done;
    }
    if (r != -ENODATA)
        return r;
    char small[128]; /* an inline tail; behind it the file may have grown */
    uint64_t part = MIN(size, PAGE_SIZE - (pos & PAGE_MASK));
    int64_t got = erofs_pread(&sb->lower, &n->lower, small,
                              (size_t)MIN(part, (uint64_t)sizeof(small)), pos);
    if (got == 0)
        return uio_zero(u, part);
    return got < 0 ? got : uio_put(u, small, (uint64_t)got);
}

static int64_t tmpfs_read_some(struct tmpfs_node *n, struct uio *u,
                               uint64_t pos, uint64_t size)
{
    struct tmpfs_span s;
    uint64_t in_page = pos & PAGE_MASK;
    tmpfs_find(n, pos / PAGE_SIZE, &s);
    if (s.kind == KIND_LOWER)
        return tmpfs_read_lower(n, u, pos, size, s.run);
    uint64_t part = MIN(size, PAGE_SIZE - in_page);
    if (s.kind == KIND_HOLE)
        return uio_zero(u, part);
    const uint8_t *from = page_virt(s.pa);
    int64_t r = uio_put(u, from + in_page, part);
    page_put(s.pa);
    return r;
}

static int64_t tmpfs_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct inode *i = f->inode;
    struct tmpfs_node *n = tmpfs_node(i);
    int64_t done = 0;
    while (u->left > 0) {
        uint64_t size = __atomic_load_n(&i->size, __ATOMIC_RELAXED);
        if (*pos >= size)
            break;
        int64_t r = tmpfs_read_some(n, u, *pos, MIN(u->left, size - *pos));
        if (r <= 0)
            return done > 0 ? done : r;
        *pos += (uint64_t)r;
        done += r;
        if (signal_fatal_pending(current()))
            break;
        sched_point();
    }
    return done;
}

/* --- write(2) --- */

/* How many of `n` bytes may be written at `pos`. 0 is an error. */
static int64_t write_limit(uint64_t pos, uint64_t n)
{
    const struct process *p = current()->proc;
    uint64_t max = TMPFS_SIZE_MAX;
    uint64_t soft = p != NULL ? p->rlimits[LX_RLIMIT_FSIZE].cur : UINT64_MAX;
    if (pos >= soft) {
        struct lx_siginfo si;
        signal_info(&si, LX_SIGXFSZ, LX_SI_KERNEL);
        (void)signal_send_task(current(), &si);
        return -EFBIG;
    }
    max = MIN(max, soft);
    if (pos >= max)
        return -EFBIG;
    return (int64_t)MIN(n, max - pos);
}

struct write_pos {
    uint64_t first, last; /* pages that changed identity */
    bool fresh;
};

static int64_t tmpfs_write_page(struct tmpfs_node *n, struct uio *u,
                                uint64_t pos, uint64_t part,
                                struct write_pos *w)
{
    paddr_t pa;
    bool fresh = false;
    uint64_t index = pos / PAGE_SIZE;
    int r = tmpfs_own_page(n, index, false, &pa, &fresh);
    if (r < 0)
        return r;
    if (fresh) {
        w->first = w->fresh ? w->first : index;
        w->last = index;
        w->fresh = true;
    }
    uint8_t *to = page_virt(pa);
    int64_t got = uio_get(u, to + (pos & PAGE_MASK), part);
    page_put(pa);
    return got;
}

static int64_t tmpfs_write_locked(struct tmpfs_node *n, struct uio *u,
                                  uint64_t *pos)
{
    struct inode *i = &n->i;
    int64_t room = write_limit(*pos, u->left);
    if (room < 0)
        return room;
    uint64_t left = (uint64_t)room;
    struct write_pos w = {.fresh = false};
    int64_t done = 0;
    int64_t r = 0;
    while (left > 0) {
        uint64_t part = MIN(left, PAGE_SIZE - (*pos & PAGE_MASK));
        r = tmpfs_write_page(n, u, *pos, part, &w);
        if (r <= 0)
            break;
        *pos += (uint64_t)r;
        left -= (uint64_t)r;
        done += r;
        if (*pos > i->size) {
            spin_lock(&n->page_lock);
            i->size = *pos;
            spin_unlock(&n->page_lock);
        }
        if (signal_fatal_pending(current()))
            break;
        sched_point();
    }
    if (w.fresh)
        aspace_drop_inode(i, w.first, w.last - w.first + 1);
    if (done == 0)
        return r;
    inode_touch(i, true);
    tmpfs_changed(i);
    return done;
}

static int64_t tmpfs_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct inode *i = f->inode;
    if (u->left == 0)
        return 0;
    struct tmpfs_node *n = tmpfs_node(i);
    int64_t r = -EPERM;
    mutex_lock(&i->lock);
    if ((f->flags & LX_O_APPEND) != 0 || u->append)
        *pos = i->size;
    bool grows = *pos > i->size || u->left > i->size - *pos;
    uint32_t seals = LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE;
    if (grows)
        seals |= LX_F_SEAL_GROW;
    if ((n->seals & seals) == 0) {
        if (*pos > i->size)
            tmpfs_clear_tail(n);
        i->mode &= ~inode_suid_after_write(i);
        r = tmpfs_write_locked(n, u, pos);
    }
    mutex_unlock(&i->lock);
    return r;
}

/* --- mmap(2) --- */

/* From now on nobody may map the image's pages of this file: a shared writable
 * mapping must see the same pages as all others. */
static int tmpfs_mmap(struct file *f, uint32_t prot, uint32_t flags)
{
    struct tmpfs_node *n = tmpfs_node(f->inode);
    bool shared = (flags & LX_MAP_TYPE) != 2; /* MAP_SHARED(_VALIDATE) */
    if (!shared || (f->mode & FILE_WRITE) == 0)
        return 0;
    if ((prot & LX_PROT_WRITE) != 0 &&
        (n->seals & (LX_F_SEAL_WRITE | LX_F_SEAL_FUTURE_WRITE)) != 0)
        return -EPERM;
    /* Even without PROT_WRITE: mprotect may add it later. */
    if (n->shared || !n->has_lower)
        return 0;
    mutex_lock(&f->inode->lock);
    n->shared = true;
    inode_touch(f->inode, true);
    tmpfs_changed(f->inode);
    mutex_unlock(&f->inode->lock);
    aspace_drop_inode(f->inode, 0, UINT64_MAX);
    return 0;
}

const struct file_ops tmpfs_file_ops = {
    .read = tmpfs_read,
    .write = tmpfs_write,
    .poll = file_always_ready,
    .ioctl = file_no_ioctl,
    .mmap = tmpfs_mmap,
    .release = file_no_release,
};
