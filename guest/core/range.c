// SPDX-License-Identifier: Apache-2.0
/* mprotect(2), mremap(2), madvise(2), and files whose pages change. */
#include "guest/core/range.h"

#include "abi/linux/errno.h"

#include "guest/core/frame.h"
#include "guest/core/page.h"
#include "guest/core/pgtable.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"

/* Linux UAPI linux/mman.h, asm-generic/mman-common.h. */
#define MREMAP_MAYMOVE   1u
#define MREMAP_FIXED     2u
#define MREMAP_DONTUNMAP 4u

enum madvise_advice {
    MADV_NORMAL = 0,
    MADV_RANDOM = 1,
    MADV_SEQUENTIAL = 2,
    MADV_WILLNEED = 3,
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_DONTFORK = 10,
    MADV_DOFORK = 11,
    MADV_MERGEABLE = 12,
    MADV_UNMERGEABLE = 13,
    MADV_HUGEPAGE = 14,
    MADV_NOHUGEPAGE = 15,
    MADV_DONTDUMP = 16,
    MADV_DODUMP = 17,
    MADV_WIPEONFORK = 18,
    MADV_KEEPONFORK = 19,
    MADV_COLD = 20,
    MADV_PAGEOUT = 21,
    MADV_POPULATE_READ = 22,
    MADV_POPULATE_WRITE = 23,
    MADV_DONTNEED_LOCKED = 24,
};

/* --- mprotect --- */

static int protect_one(struct aspace *as, struct vma *v, uint32_t prot,
                       struct pt_batch *batch)
{
    if ((v->flags & VMA_SHARED) != 0 && (prot & LX_PROT_WRITE) != 0 &&
        (v->flags & VMA_MAYWRITE) == 0)
        return -EACCES;
    vma_set(v, prot, v->flags);
    pt_protect(as, v, v->start, v->end, batch);
    return 0;
}

static int protect_locked(struct aspace *as, uint64_t addr, uint64_t end,
                          uint32_t prot, struct vma **dead)
{
    int r = aspace_cut(as, addr, end);
    if (r < 0)
        return r;
    struct pt_batch batch;
    pt_batch_init(&batch, as, true);
    uint64_t at = addr;
    for (unsigned i = vma_index(as, addr); r == 0 && at < end; i++) {
        if (i == as->vma_count || vma_get(as, i)->start > at) {
            r = -ENOMEM; /* what lies before the hole has changed: as Linux */
            break;
        }
        at = vma_get(as, i)->end;
        r = protect_one(as, vma_get(as, i), prot, &batch);
    }
    pt_batch_done(&batch);
    vma_merge(as, addr, end, dead);
    return r;
}

int aspace_protect(struct aspace *as, uint64_t addr, uint64_t size,
                   uint32_t prot)
{
    const uint32_t known = LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC;
    if ((addr & PAGE_MASK) != 0 || (prot & ~known) != 0)
        return -EINVAL;
    if (size == 0)
        return 0;
    if (size > USER_END)
        return -ENOMEM;
    size = ROUND_UP(size, PAGE_SIZE);
    if (!aspace_range_ok(addr, size))
        return -ENOMEM;
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int r = protect_locked(as, addr, addr + size, prot, &dead);
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- mremap --- */

struct remap {
    uint64_t old, old_size, new_size;
    uint64_t to; /* MREMAP_FIXED */
    uint32_t flags;
};

/* A copy of `v`'s part [m->old, ...) at `to` with the pages moved there. */
static int64_t remap_move(struct aspace *as, struct vma *v,
                          const struct remap *m, uint64_t to, struct vma **dead)
{
    int r = vma_reserve(as, 1);
    struct vma *n = r == 0 ? vma_copy(v, as) : NULL;
    if (n == NULL)
        return -ENOMEM;
    n->offset += m->old - v->start;
    n->start = to;
    n->end = to + m->new_size;
    vma_insert(as, n);
    struct pt_batch batch;
    if (m->old_size == 0) /* a second view of the same shared memory */
        return (int64_t)to;
    pt_batch_init(&batch, as, true);
    r = pt_move(as, v, m->old, to, MIN(m->old_size, m->new_size), &batch);
    pt_batch_done(&batch);
    if (r < 0) { /* back to where tables are: cannot fail */
        pt_batch_init(&batch, as, true);
        (void)pt_move(as, n, to, m->old, m->new_size, &batch);
        pt_batch_done(&batch);
        (void)aspace_unmap_locked(as, to, to + m->new_size, dead);
        return r;
    }
    if ((m->flags & MREMAP_DONTUNMAP) != 0)
        return (int64_t)to; /* the old range is there, and empty */
    r = aspace_unmap_locked(as, m->old, m->old + m->old_size, dead);
    return r < 0 ? r : (int64_t)to;
}

static bool remap_grow_in_place(struct aspace *as, struct vma *v,
                                const struct remap *m)
{
    uint64_t end = m->old + m->new_size;
    if (v->end != m->old + m->old_size || end > USER_END)
        return false;
    unsigned i = vma_index(as, v->end);
    if (i < as->vma_count && vma_get(as, i)->start < end)
        return false;
    vma_resize(v, v->start, end);
    return true;
}

static int64_t remap_locked(struct aspace *as, const struct remap *m,
                            struct vma **dead)
{
    struct vma *v = vma_at(as, m->old);
    if (v == NULL)
        return -EFAULT;
    bool fixed = (m->flags & MREMAP_FIXED) != 0;
    bool keep = (m->flags & MREMAP_DONTUNMAP) != 0;
    if (m->old_size == 0 && (v->flags & VMA_SHARED) == 0)
        return -EINVAL;
    if (!fixed && !keep && m->new_size <= m->old_size) {
        int r = m->new_size == m->old_size
                    ? 0
                    : aspace_unmap_locked(as, m->old + m->new_size,
                                          m->old + m->old_size, dead);
        return r < 0 ? r : (int64_t)m->old;
    }
    /* What only shrinks may be several regions; what moves is one. */
    if (v->end - m->old < MIN(m->old_size, m->new_size))
        return -EFAULT;
    uint64_t more = keep ? m->new_size : m->new_size - m->old_size;
    if ((keep || m->new_size > m->old_size) &&
        !aspace_limit(as, more, vma_is_anon(v)))
        return -ENOMEM;
    if (!fixed && !keep && m->old_size != 0 && remap_grow_in_place(as, v, m))
        return (int64_t)m->old;
    if ((m->flags & MREMAP_MAYMOVE) == 0)
        return -ENOMEM;
    uint64_t to = m->to;
    if (fixed) {
        int r = aspace_unmap_locked(as, to, to + m->new_size, dead);
        if (r < 0)
            return r;
        v = vma_at(as, m->old); /* it may have been cut */
        if (v == NULL)
            return -EFAULT;
    } else {
        uint64_t align = m->new_size >= HUGE_SIZE ? HUGE_SIZE : PAGE_SIZE;
        to = vma_find_gap(as, m->new_size, align, m->old & (align - 1));
        if (to == 0)
            return -ENOMEM;
    }
    return remap_move(as, v, m, to, dead);
}

int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_size,
                     uint64_t new_size, uint32_t flags, uint64_t to)
{
    bool fixed = (flags & MREMAP_FIXED) != 0;
    bool keep = (flags & MREMAP_DONTUNMAP) != 0;
    if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 ||
        (keep && ((flags & MREMAP_MAYMOVE) == 0 || old_size != new_size)) ||
        (old & PAGE_MASK) != 0 || new_size == 0 || new_size > USER_END ||
        old_size > USER_END || (fixed && (flags & MREMAP_MAYMOVE) == 0))
        return -EINVAL;
    struct remap m = {old, ROUND_UP(old_size, PAGE_SIZE),
                      ROUND_UP(new_size, PAGE_SIZE), to, flags};
    if (m.old_size == 0 && (flags & MREMAP_MAYMOVE) == 0)
        return -EINVAL;
    if (!aspace_range_ok(old, MAX(m.old_size, PAGE_SIZE)))
        return -EFAULT;
    bool overlap = to < old + m.old_size && old < to + m.new_size;
    if (fixed && (!aspace_range_ok(to, m.new_size) || overlap))
        return -EINVAL;
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int64_t r = remap_locked(as, &m, &dead);
    if (r >= 0)
        vma_merge(as, (uint64_t)r, (uint64_t)r + m.new_size, &dead);
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- madvise --- */

static uint32_t advise_flags(uint32_t flags, int advice)
{
    switch (advice) {
    case MADV_DONTFORK: return flags | VMA_DONTFORK;
    case MADV_DOFORK: return flags & ~VMA_DONTFORK;
    case MADV_HUGEPAGE: return (flags | VMA_HUGE) & ~VMA_NOHUGE;
    case MADV_NOHUGEPAGE: return (flags | VMA_NOHUGE) & ~VMA_HUGE;
    case MADV_WIPEONFORK: return flags | VMA_WIPEONFORK;
    case MADV_KEEPONFORK: return flags & ~VMA_WIPEONFORK;
    default: return flags;
    }
}

static bool advise_drops(int advice)
{
    /* Free pages may be given back at once: Linux says "later". */
    return advice == MADV_DONTNEED || advice == MADV_FREE ||
           advice == MADV_DONTNEED_LOCKED;
}

static int advise_check(const struct vma *v, int advice)
{
    bool anon = vma_is_anon(v) && (v->flags & VMA_SHARED) == 0;
    if ((advice == MADV_FREE || advice == MADV_WIPEONFORK) && !anon)
        return -EINVAL;
    if ((advice == MADV_DONTNEED || advice == MADV_FREE) &&
        (v->flags & VMA_LOCKED) != 0)
        return -EINVAL;
    return 0;
}

static int advise_locked(struct aspace *as, uint64_t addr, uint64_t end,
                         int advice, struct vma **dead)
{
    int r = aspace_cut(as, addr, end);
    if (r < 0)
        return r;
    int result = 0;
    uint64_t at = addr;
    struct pt_batch batch;
    pt_batch_init(&batch, as, true);
    for (unsigned i = vma_index(as, addr);
         r == 0 && i < as->vma_count && vma_get(as, i)->start < end; i++) {
        struct vma *v = vma_get(as, i);
        if (v->start > at)
            result = -ENOMEM; /* holes are skipped, and told */
        at = v->end;
        r = advise_check(v, advice);
        if (r == 0 && advise_drops(advice))
            pt_zap(as, v->start, v->end, &batch);
        else if (r == 0)
            vma_set(v, v->prot, advise_flags(v->flags, advice));
    }
    pt_batch_done(&batch);
    vma_merge(as, addr, end, dead);
    if (r == 0 && at < end)
        result = -ENOMEM;
    return r < 0 ? r : result;
}

/* Pages whose protection forbids it are -EINVAL, not -EFAULT. */
static int advise_populate(struct aspace *as, uint64_t addr, uint64_t size,
                           bool write)
{
    uint32_t need = write ? LX_PROT_WRITE : LX_PROT_READ;
    uint64_t end = addr + size;
    int r = 0;
    while (r == 0 && addr < end) {
        mutex_lock(&as->lock);
        const struct vma *v = vma_at(as, addr);
        uint64_t part = v != NULL ? MIN(v->end, end) - addr : 0;
        if (v == NULL)
            r = -ENOMEM;
        else if ((v->prot & need) == 0)
            r = -EINVAL;
        mutex_unlock(&as->lock);
        if (r == 0)
            r = aspace_populate(as, addr, part, write);
        addr += part;
    }
    return r;
}

int aspace_advise(struct aspace *as, uint64_t addr, uint64_t size, int advice)
{
    bool known = (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
                 (advice >= MADV_FREE && advice <= MADV_DONTNEED_LOCKED);
    if (!known || advice == MADV_REMOVE || (addr & PAGE_MASK) != 0 ||
        size > USER_END)
        return -EINVAL;
    size = ROUND_UP(size, PAGE_SIZE);
    if (size == 0)
        return 0;
    if (!aspace_range_ok(addr, size))
        return -ENOMEM;
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
        return advise_populate(as, addr, size, advice == MADV_POPULATE_WRITE);
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int r = advise_locked(as, addr, addr + size, advice, &dead);
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- mlock --- */

int aspace_lock(struct aspace *as, uint64_t addr, uint64_t size, bool on)
{
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int r = aspace_cut(as, addr, addr + size);
    for (unsigned i = vma_index(as, addr);
         r == 0 && i < as->vma_count && vma_get(as, i)->start < addr + size;
         i++) {
        struct vma *v = vma_get(as, i);
        vma_set(v, v->prot,
                on ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED);
    }
    vma_merge(as, addr, addr + size, &dead);
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- files --- */

uint64_t aspace_drops;

static void drop_from(struct vma *v, uint64_t first, uint64_t count,
                      bool copies)
{
    uint64_t from = v->offset >> PAGE_SHIFT;
    uint64_t pages = (v->end - v->start) >> PAGE_SHIFT;
    uint64_t last = count > UINT64_MAX - first ? UINT64_MAX : first + count;
    if (last <= from || first >= from + pages)
        return;
    uint64_t start =
        v->start + (first > from ? (first - from) << PAGE_SHIFT : 0);
    uint64_t end =
        last < from + pages ? v->start + ((last - from) << PAGE_SHIFT) : v->end;
    struct pt_span s;
    struct pt_batch batch;
    pt_batch_init(&batch, v->as, true);
    batch.alone = false;
    for (uint64_t at = start; pt_next(v->as, &at, end, &s);) {
        if (s.level == 1) { /* part of a huge leaf goes: all of it may */
            pt_zap(v->as, s.va, s.va + HUGE_SIZE, &batch);
            continue;
        }
        for (unsigned i = 0; i < s.count; i++) {
            uint64_t e = s.entry[i];
            if (pte_none(e) || (!copies && page_is_anon(arch_pte_pa(e))))
                continue;
            uint64_t va = s.va + i * PAGE_SIZE;
            pt_zap(v->as, va, va + PAGE_SIZE, &batch);
        }
    }
    pt_batch_done(&batch);
}

/*
 * mappings_lock is taken inside aspace locks elsewhere, so here an aspace lock
 * is only tried, and everything let go when it is busy.
 */
static void drop_all(struct inode *inode, uint64_t first, uint64_t count,
                     bool copies)
{
    uint64_t id = 0;
    bool again = true;
    while (again) {
        again = false;
        mutex_lock(&inode->mappings_lock);
        if (id == 0 && !list_empty(&inode->mappings))
            id = __atomic_add_fetch(&aspace_drops, 1, __ATOMIC_ACQ_REL);
        LIST_FOR(it, &inode->mappings)
        {
            struct vma *v = LIST_ENTRY(it, struct vma, map_node);
            if (v->drop_id == id)
                continue;
            if (!mutex_trylock(&v->as->lock)) {
                again = true;
                continue;
            }
            v->drop_id = id;
            drop_from(v, first, count, copies);
            mutex_unlock(&v->as->lock);
        }
        mutex_unlock(&inode->mappings_lock);
        if (again)
            sched_yield();
    }
}

void aspace_drop_inode(struct inode *inode, uint64_t first, uint64_t count)
{
    drop_all(inode, first, count, false);
}

void aspace_cut_inode(struct inode *inode, uint64_t first)
{
    drop_all(inode, first, UINT64_MAX, true);
}
