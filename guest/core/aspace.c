// SPDX-License-Identifier: Apache-2.0
/* Address spaces: life cycle and mmap(2), munmap(2), brk(2). */
#include "guest/core/aspace.h"

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/frame.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/pgtable.h"
#include "guest/core/range.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/vdso.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"

/* Room below the top for the main stack, and how far mmap_top may be moved
 * by chance: 28 bits of pages, as Linux on x86-64. */
#define STACK_ROOM (UINT64_C(1) << 30)
#define ASLR_PAGES (UINT64_C(1) << 28)

/*
 * Address spaces that ended, their page tables in place and empty. Where the
 * host shadows page tables, one that serves again as what it was costs nothing
 * and one built anew some 10 us. A child of fork and a program after exec have
 * different shapes, so each takes what was of its kind.
 */
#define KEEP_MAX    4
#define KEEP_TABLES 24 /* pages of one that is kept */

static struct {
    struct spinlock lock;
    struct aspace *kept[2][KEEP_MAX]; /* by aspace.child */
    unsigned count[2];
} keep;

void aspace_init(void)
{
    memset(&keep, 0, sizeof(keep));
}

static bool aspace_keep(struct aspace *as)
{
    bool kept = false;
    if (as->tables > KEEP_TABLES)
        return false;
    spin_lock(&keep.lock);
    if (keep.count[as->child] < KEEP_MAX) {
        keep.kept[as->child][keep.count[as->child]++] = as;
        kept = true;
    }
    spin_unlock(&keep.lock);
    return kept;
}

static struct aspace *aspace_take(bool child)
{
    struct aspace *as = NULL;
    spin_lock(&keep.lock);
    if (keep.count[child] > 0)
        as = keep.kept[child][--keep.count[child]];
    spin_unlock(&keep.lock);
    if (as == NULL)
        return NULL;
    /* What CPUs still have of its old pages goes now. */
    arch_flush(&as->arch, 0, USER_END);
    return as;
}

static struct aspace *aspace_make(bool child)
{
    struct aspace *as = aspace_take(child);
    if (as == NULL) {
        as = kzalloc(sizeof(*as));
        if (as == NULL)
            return NULL;
        if (arch_aspace_init(&as->arch) < 0) {
            kfree(as);
            return NULL;
        }
    }
    as->refs = 1;
    as->child = child;
    mutex_init(&as->lock);
    as->stack_top =
        USER_END - (VDSO_PAGES_MAX + krandom_u64() % 0x4000) * PAGE_SIZE;
    as->gap_top = UINT64_MAX;
    as->mmap_top =
        as->stack_top - STACK_ROOM - (krandom_u64() % ASLR_PAGES) * PAGE_SIZE;
    return as;
}

struct aspace *aspace_new(void)
{
    return aspace_make(false);
}

struct aspace *aspace_new_child(void)
{
    return aspace_make(true);
}

void aspace_get(struct aspace *as)
{
    (void)__atomic_fetch_add(&as->refs, 1, __ATOMIC_RELAXED);
}

void aspace_put(struct aspace *as)
{
    if (__atomic_sub_fetch(&as->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    struct pt_batch batch;
    struct vma *dead = NULL;
    pt_batch_init(&batch, as, false);
    while (as->vma_count > 0) {
        struct vma *v = vma_remove(as, as->vma_count - 1);
        pt_zap(as, v->start, v->end, &batch);
        v->dead = dead;
        dead = v;
    }
    pt_batch_done(&batch);
    vma_free_list(dead);
    kfree(as->vmas);
    /* Back to zeros but for the tables. */
    *as = (struct aspace){
        .arch = as->arch, .tables = as->tables, .child = as->child};
    if (aspace_keep(as))
        return;
    pt_free(as);
    kfree(as);
}

/* --- fork --- */

static int aspace_fork_vma(struct aspace *child, struct aspace *parent,
                           const struct vma *v, struct pt_batch *batch)
{
    if ((v->flags & VMA_DONTFORK) != 0)
        return 0;
    int r = vma_reserve(child, 1);
    struct vma *copy = r == 0 ? vma_copy(v, child) : NULL;
    if (copy == NULL)
        return -ENOMEM;
    copy->flags &= ~VMA_LOCKED;
    vma_insert(child, copy);
    bool pages = (v->flags & (VMA_SHARED | VMA_WIPEONFORK)) == 0 &&
                 (vma_is_anon(v) || (v->flags & VMA_PRIVATE) != 0);
    return pages ? pt_share(child, parent, v, batch) : 0;
}

int aspace_fork(struct aspace *child, struct aspace *parent)
{
    struct pt_batch batch;
    int r = 0;

    mutex_lock(&parent->lock);
    child->brk_start = parent->brk_start;
    child->membarrier = parent->membarrier;
    child->brk = parent->brk;
    child->stack_top = parent->stack_top;
    child->vdso = parent->vdso;
    child->mmap_top = parent->mmap_top;
    child->arg_start = parent->arg_start;
    child->arg_end = parent->arg_end;
    child->env_start = parent->env_start;
    child->env_end = parent->env_end;
    memcpy(child->auxv, parent->auxv, sizeof(child->auxv));
    pt_batch_init(&batch, parent, true);
    for (unsigned i = 0; r == 0 && i < parent->vma_count; i++)
        r = aspace_fork_vma(child, parent, vma_get(parent, i), &batch);
    pt_batch_done(&batch);
    child->rss_max = child->rss_anon;
    mutex_unlock(&parent->lock);
    return r;
}

/* --- munmap; lock held --- */

/* Cut regions (and huge leaves) so that [start, end) has edges of its own. */
int aspace_cut(struct aspace *as, uint64_t start, uint64_t end)
{
    const uint64_t edges[2] = {start, end};
    for (unsigned e = 0; e < 2; e++) {
        unsigned i = vma_index(as, edges[e]);
        if (i == as->vma_count || vma_get(as, i)->start >= edges[e])
            continue;
        int r = pt_split_at(as, vma_get(as, i), edges[e]);
        if (r == 0)
            r = vma_split(as, i, edges[e]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Regions taken out are added to *dead: freed by the caller, unlocked. */
int aspace_unmap_locked(struct aspace *as, uint64_t start, uint64_t end,
                        struct vma **dead)
{
    unsigned i = vma_index(as, start);
    if (i == as->vma_count || vma_get(as, i)->start >= end)
        return 0;
    int r = aspace_cut(as, start, end);
    if (r < 0)
        return r;
    struct pt_batch batch;
    pt_batch_init(&batch, as, true);
    i = vma_index(as, start);
    while (i < as->vma_count && vma_get(as, i)->start < end) {
        struct vma *v = vma_remove(as, i);
        pt_zap(as, v->start, v->end, &batch);
        v->dead = *dead;
        *dead = v;
    }
    pt_batch_done(&batch);
    return 0;
}

bool aspace_range_ok(uint64_t addr, uint64_t size)
{
    return (addr & PAGE_MASK) == 0 && size != 0 && addr <= USER_END &&
           size <= USER_END - addr;
}

int aspace_unmap(struct aspace *as, uint64_t addr, uint64_t size)
{
    if (size > USER_END)
        return -EINVAL;
    size = ROUND_UP(size, PAGE_SIZE);
    if (!aspace_range_ok(addr, size))
        return -EINVAL;
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int r = aspace_unmap_locked(as, addr, addr + size, &dead);
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- mmap --- */

bool aspace_limit(const struct aspace *as, uint64_t more, bool data)
{
    const struct process *p = current()->proc;
    if (p == NULL)
        return true;
    if (more != 0 && as->mapped + more > p->rlimits[LX_RLIMIT_AS].cur)
        return false;
    return !data || as->data + more <= p->rlimits[LX_RLIMIT_DATA].cur;
}

/* Overcommit as Linux by default: only what can never fit is refused. */
static bool aspace_commit_ok(uint64_t size, uint32_t prot, uint32_t flags,
                             const struct file *file)
{
    if (file != NULL || (prot & LX_PROT_WRITE) == 0 ||
        (flags & LX_MAP_NORESERVE) != 0)
        return true;
    return size >> PAGE_SHIFT <= page_total_count();
}

/* Address for a new region, or 0. Text and big data are placed so that huge
 * leaves can be used. */
static uint64_t aspace_place(struct aspace *as, uint64_t hint, uint64_t size,
                             uint32_t flags, const struct file *file,
                             uint64_t offset)
{
    bool low = (flags & ARCH_MAP_32BIT) != 0;
    uint64_t roof = low ? VMA_LOW_END : USER_END;
    if (hint >= MMAP_MIN && size <= roof && hint <= roof - size) {
        unsigned i = vma_index(as, hint);
        if (i == as->vma_count || vma_get(as, i)->start >= hint + size)
            return hint;
    }
    if (low)
        return vma_find_low_gap(as, size);
    if (size < HUGE_SIZE)
        return vma_find_gap(as, size, PAGE_SIZE, 0);
    uint64_t phase = 0;
    struct inode_page page;
    if (file != NULL &&
        file->inode->ops->get_page(file->inode, offset >> PAGE_SHIFT, false,
                                   &page) == 0) {
        phase = page.run > 1 ? page.pa & (HUGE_SIZE - 1) : 0;
        page_put(page.pa);
    }
    uint64_t at = vma_find_gap(as, size, HUGE_SIZE, phase);
    return at != 0 ? at : vma_find_gap(as, size, PAGE_SIZE, 0);
}

static uint32_t aspace_vma_flags(uint32_t flags, const struct file *file)
{
    uint32_t f = 0;
    bool shared = (flags & LX_MAP_TYPE) == LX_MAP_SHARED ||
                  (flags & LX_MAP_TYPE) == LX_MAP_SHARED_VALIDATE;
    if (shared)
        f |= VMA_SHARED;
    if (shared && (file == NULL || (file->mode & FILE_WRITE) != 0))
        f |= VMA_MAYWRITE;
    if ((flags & LX_MAP_GROWSDOWN) != 0)
        f |= VMA_GROWSDOWN;
    if ((flags & LX_MAP_NORESERVE) != 0)
        f |= VMA_NORESERVE;
    if ((flags & LX_MAP_LOCKED) != 0)
        f |= VMA_LOCKED;
    return f;
}

/* Bytes of [start, end) that belong to regions. */
static uint64_t aspace_mapped_in(const struct aspace *as, uint64_t start,
                                 uint64_t end)
{
    uint64_t n = 0;
    for (unsigned i = vma_index(as, start);
         i < as->vma_count && vma_get(as, i)->start < end; i++)
        n += MIN(vma_get(as, i)->end, end) - MAX(vma_get(as, i)->start, start);
    return n;
}

static int64_t aspace_map_locked(struct aspace *as, struct vma *v,
                                 uint64_t hint, uint32_t flags,
                                 struct vma **dead)
{
    uint64_t size = v->end;
    uint64_t at = hint;
    bool fixed = (flags & (LX_MAP_FIXED | LX_MAP_FIXED_NOREPLACE)) != 0;
    bool data = (v->prot & LX_PROT_WRITE) != 0 && v->file == NULL;
    uint64_t replaced = fixed ? aspace_mapped_in(as, at, at + size) : 0;
    if (replaced != 0 && (flags & LX_MAP_FIXED_NOREPLACE) != 0)
        return -EEXIST;
    if (!aspace_limit(as, size - replaced, data))
        return -ENOMEM;
    /* Two cuts and the new region: nothing fails once pages are gone. */
    int r = vma_reserve(as, 3);
    if (r == 0 && replaced != 0)
        r = aspace_unmap_locked(as, at, at + size, dead);
    if (r < 0)
        return r;
    if (!fixed)
        at = aspace_place(as, hint, size, flags, v->file, v->offset);
    if (at == 0)
        return -ENOMEM;
    v->start = at;
    v->end = at + size;
    vma_insert(as, v);
    vma_merge(as, v->start, v->end, dead);
    return (int64_t)at;
}

int64_t aspace_map(struct aspace *as, uint64_t hint, uint64_t size,
                   uint32_t prot, uint32_t flags, struct file *file,
                   uint64_t offset)
{
    bool fixed = (flags & (LX_MAP_FIXED | LX_MAP_FIXED_NOREPLACE)) != 0;
    if (size == 0 || (offset & PAGE_MASK) != 0)
        return -EINVAL;
    if (size > USER_END)
        return -ENOMEM;
    size = ROUND_UP(size, PAGE_SIZE);
    if (fixed && (hint & PAGE_MASK) != 0)
        return -EINVAL;
    if (fixed && !aspace_range_ok(hint, size))
        return -ENOMEM;
    if (fixed && hint < MMAP_MIN)
        return -EPERM;
    if (offset + size < offset)
        return -EOVERFLOW;
    if (!aspace_commit_ok(size, prot, flags, file))
        return -ENOMEM;

    struct vma *v = vma_new(as);
    if (v == NULL)
        return -ENOMEM;
    v->prot = prot & (LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC);
    v->flags = aspace_vma_flags(flags, file);
    v->offset = file != NULL ? offset : 0;
    v->file = file;
    v->end = size;
    if (file != NULL)
        file_get(file);
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int64_t r =
        aspace_map_locked(as, v, ROUND_DOWN(hint, PAGE_SIZE), flags, &dead);
    mutex_unlock(&as->lock);
    if (r < 0) {
        v->dead = dead;
        dead = v;
    }
    vma_free_list(dead);
    return r;
}

/* --- brk --- */

static int aspace_brk_grow(struct aspace *as, uint64_t from, uint64_t to)
{
    unsigned i = vma_index(as, from);
    if (i < as->vma_count && vma_get(as, i)->start < to + PAGE_SIZE)
        return -ENOMEM;
    struct vma *last = i > 0 ? vma_get(as, i - 1) : NULL;
    if (last != NULL && last->end == from && (last->flags & VMA_HEAP) != 0) {
        vma_resize(last, last->start, to);
        return 0;
    }
    int r = vma_reserve(as, 1);
    struct vma *v = r == 0 ? vma_new(as) : NULL;
    if (v == NULL)
        return -ENOMEM;
    v->start = from;
    v->end = to;
    v->prot = LX_PROT_READ | LX_PROT_WRITE;
    v->flags = VMA_HEAP;
    vma_insert(as, v);
    return 0;
}

int64_t aspace_brk(struct aspace *as, uint64_t to)
{
    struct vma *dead = NULL;
    mutex_lock(&as->lock);
    int64_t r = (int64_t)as->brk;
    if (to >= as->brk_start && to < USER_END) {
        uint64_t old = ROUND_UP(as->brk, PAGE_SIZE);
        uint64_t end = ROUND_UP(to, PAGE_SIZE);
        int e = 0;
        if (end > old && (!aspace_limit(as, end - old, true) ||
                          !aspace_commit_ok(end - old, LX_PROT_WRITE, 0, NULL)))
            e = -ENOMEM;
        else if (end > old)
            e = aspace_brk_grow(as, old, end);
        else if (end < old)
            e = aspace_unmap_locked(as, end, old, &dead);
        if (e == 0) {
            as->brk = to;
            r = (int64_t)to;
        }
    }
    mutex_unlock(&as->lock);
    vma_free_list(dead);
    return r;
}

/* --- looking in from outside --- */

static const char *vma_name(const struct vma *v)
{
    if ((v->flags & VMA_HEAP) != 0)
        return "[heap]";
    if ((v->flags & VMA_STACK) != 0)
        return "[stack]";
    if (vdso_owns(v->file))
        return v->offset == 0 ? "[vvar]" : "[vdso]";
    return NULL;
}

static bool aspace_info(struct aspace *as, uint64_t from, bool count,
                        struct vma_info *m)
{
    mutex_lock(&as->lock);
    unsigned i = vma_index(as, from);
    bool found = i < as->vma_count;
    if (found) {
        const struct vma *v = vma_get(as, i);
        *m = (struct vma_info){
            .start = v->start,
            .end = v->end,
            .offset = v->offset,
            .prot = v->prot,
            .flags =
                (v->flags & VMA_SHARED) != 0 ? LX_MAP_SHARED : LX_MAP_PRIVATE,
            .file = v->file,
            .name = vma_name(v),
            .rss = count ? pt_count(as, v->start, v->end) << PAGE_SHIFT : 0,
            .locked = (v->flags & VMA_LOCKED) != 0,
        };
        if (v->file != NULL)
            file_get(v->file);
    }
    mutex_unlock(&as->lock);
    return found;
}

bool aspace_next_vma(struct aspace *as, uint64_t from, struct vma_info *m)
{
    return aspace_info(as, from, true, m);
}

bool aspace_find_vma(struct aspace *as, uint64_t from, struct vma_info *m)
{
    return aspace_info(as, from, false, m);
}

/* The page at `at` with the rights of `access`, faulted in; NULL: none. */
static char *aspace_peek(struct aspace *as, uint64_t at,
                         enum fault_access access)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        /* Looked up each time: a fault may let go of the lock. */
        struct vma *v = vma_at(as, at);
        unsigned level;
        if (v == NULL || v->prot == 0)
            return NULL;
        uint64_t *e = pt_find(as, at, &level);
        if (e != NULL && arch_pte_present(*e) &&
            (access == FAULT_READ || arch_pte_writable(*e)))
            return (char *)page_virt(arch_pte_pa(*e)) +
                   (at & ((PAGE_SIZE << (9 * level)) - 1));
        if (aspace_fault_page(as, v, ROUND_DOWN(at, PAGE_SIZE), access) < 0)
            break;
    }
    return NULL;
}

static size_t aspace_copy(struct aspace *as, uint64_t at, char *mem, size_t n,
                          bool in)
{
    size_t done = 0;
    mutex_lock(&as->lock);
    while (done < n) {
        size_t part = MIN(n - done, PAGE_SIZE - ((at + done) & PAGE_MASK));
        char *page = aspace_peek(as, at + done, in ? FAULT_WRITE : FAULT_READ);
        if (page == NULL)
            break;
        if (in)
            memcpy(page, mem + done, part);
        else
            memcpy(mem + done, page, part);
        done += part;
    }
    mutex_unlock(&as->lock);
    return done;
}

size_t aspace_copy_in(struct aspace *as, uint64_t to, const void *from,
                      size_t n)
{
    return aspace_copy(as, to, (char *)(uintptr_t)from, n, true);
}

size_t aspace_copy_out(struct aspace *as, void *to, uint64_t from, size_t n)
{
    return aspace_copy(as, from, to, n, false);
}
