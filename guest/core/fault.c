// SPDX-License-Identifier: Apache-2.0
/*
 * Page faults: demand paging, copy on write, mapping around. A fault costs 8
 * to 10 us on PVM and a further page in the same table about 4, so that
 * sequential touching and file runs bring in several pages at once.
 */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/frame.h"
#include "guest/core/klib.h"
#include "guest/core/oom.h"
#include "guest/core/page.h"
#include "guest/core/pgtable.h"
#include "guest/core/range.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"

#define AROUND_PAGES 16u
#define OOM_PAUSE_NS UINT64_C(5000000)

static bool memory_plenty(void)
{
    return page_free_count() > page_total_count() / 4;
}

static bool vma_shared(const struct vma *v)
{
    return (v->flags & VMA_SHARED) != 0;
}

static void fault_rss(struct aspace *as)
{
    as->rss_max = MAX(as->rss_max, as->rss_anon + as->rss_file);
}

/* --- a page is there --- */

/* A private copy of `from` takes its place in *entry. */
static int fault_copy(struct aspace *as, struct vma *v, uint64_t addr,
                      uint64_t *entry)
{
    paddr_t from = arch_pte_pa(*entry);
    bool was_zero = page_is_zero(from);
    paddr_t to = page_alloc(0, was_zero ? PAGE_ZERO : 0);
    if (to == 0)
        return -ENOMEM;
    if (!was_zero)
        memcpy(page_virt(to), page_virt(from), PAGE_SIZE);
    page_set_anon(to);
    if (!page_is_anon(from)) {
        as->rss_anon++;
        if (!was_zero)
            as->rss_file--;
    }
    v->flags |= v->file != NULL ? VMA_PRIVATE : 0;
    pte_replace(as, addr, entry, pte_leaf(to, v->prot, true, 0));
    page_put(from);
    fault_rss(as);
    return 0;
}

static bool fault_exclusive(paddr_t pa, unsigned level)
{
    if (!page_is_anon(pa))
        return false;
    return level == 0 ? page_refs(pa) == 1 : !page_huge_shared(pa);
}

static int fault_present(struct aspace *as, struct vma *v, uint64_t addr,
                         uint64_t *entry, unsigned level, bool write)
{
    uint64_t e = *entry;
    paddr_t pa = arch_pte_pa(e);
    uint64_t size = PAGE_SIZE << (9 * level);
    uint64_t start = ROUND_DOWN(addr, size);
    bool own = fault_exclusive(pa, level) ||
               (vma_shared(v) && arch_pte_present(e) && arch_pte_writable(e));
    if (write && !own && level != 0) {
        int r = pt_split(as, v, addr);
        if (r < 0)
            return r;
        entry = pt_find(as, addr, &level);
        return entry != NULL ? fault_copy(as, v, addr, entry) : -EAGAIN;
    }
    if (write && !own)
        return fault_copy(as, v, addr, entry);
    /* Parked, or rights were added since, or another CPU was first. */
    uint64_t n = pte_leaf(pa, v->prot, own, level);
    pte_set(entry, n);
    /* More rights need no flush: who still has the old entry comes here once
     * more and finds nothing to change. */
    if (n == e)
        arch_flush(&as->arch, start, start + size);
    return 0;
}

/* --- anonymous memory --- */

/* A whole free huge page where the region covers it and memory is plenty. */
static bool fault_huge_anon(struct aspace *as, struct vma *v, uint64_t addr)
{
    uint64_t start = ROUND_DOWN(addr, HUGE_SIZE);
    if ((v->flags & VMA_NOHUGE) != 0 || start < v->start ||
        v->end - start < HUGE_SIZE || !memory_plenty() ||
        (v->touched < AROUND_PAGES && (v->flags & VMA_HUGE) == 0))
        return false;
    uint64_t *entry = pt_make(as, start, 1);
    if (entry == NULL || !pte_none(*entry))
        return false;
    paddr_t pa = page_alloc(9, PAGE_ZERO);
    if (pa == 0)
        return false;
    page_set_anon(pa);
    pte_set(entry, pte_leaf(pa, v->prot, true, 1));
    as->rss_anon += HUGE_PAGES;
    fault_rss(as);
    return true;
}

/* How many pages to bring in at `addr`: more each time a run goes on. */
static unsigned fault_batch(struct vma *v, uint64_t addr)
{
    unsigned n = 1;
    if (v->seq_next == addr)
        n = MIN(v->seq_pages * 2, AROUND_PAGES);
    uint64_t table_end = ROUND_DOWN(addr, HUGE_SIZE) + HUGE_SIZE;
    uint64_t room = (MIN(v->end, table_end) - addr) >> PAGE_SHIFT;
    n = (unsigned)MIN((uint64_t)n, room);
    v->seq_pages = n;
    v->seq_next = addr + n * PAGE_SIZE;
    return n;
}

static int fault_anon(struct aspace *as, struct vma *v, uint64_t addr,
                      bool write)
{
    if (write && fault_huge_anon(as, v, addr))
        return 0;
    uint64_t *entry = pt_make(as, addr, 0);
    if (entry == NULL)
        return -ENOMEM;
    /* A read is mostly followed by a write: one fault instead of two. */
    if (!write && (!memory_plenty() || (v->prot & LX_PROT_WRITE) == 0)) {
        paddr_t zero = page_zero();
        if (zero == 0)
            return -ENOMEM;
        page_get(zero);
        pte_set(entry, pte_leaf(zero, v->prot, false, 0));
        return 0;
    }
    unsigned n = fault_batch(v, addr);
    for (unsigned i = 0; i < n && pte_none(entry[i]); i++) {
        paddr_t pa = page_alloc(0, PAGE_ZERO);
        if (pa == 0)
            return i > 0 ? 0 : -ENOMEM;
        page_set_anon(pa);
        pte_set(&entry[i], pte_leaf(pa, v->prot, true, 0));
        as->rss_anon++;
        v->touched++;
    }
    fault_rss(as);
    return 0;
}

/* --- files --- */

static int fault_get(const struct vma *v, uint64_t addr, bool write,
                     struct inode_page *page)
{
    struct inode *i = v->file->inode;
    return i->ops->get_page(i, vma_file_page(v, addr), write, page);
}

/* Text of programs: a huge leaf when the image window allows one. */
static bool fault_huge_file(struct aspace *as, struct vma *v, uint64_t addr)
{
    struct inode_page page;
    uint64_t start = ROUND_DOWN(addr, HUGE_SIZE);
    if (start < v->start || v->end - start < HUGE_SIZE ||
        (v->prot & LX_PROT_WRITE) != 0 || vma_shared(v) ||
        fault_get(v, start, false, &page) < 0)
        return false;
    bool fits = page.run >= HUGE_PAGES && (page.pa & (HUGE_SIZE - 1)) == 0;
    uint64_t *entry = fits ? pt_make(as, start, 1) : NULL;
    if (entry == NULL || !pte_none(*entry)) {
        page_put(page.pa);
        return false;
    }
    pte_set(entry, pte_leaf(page.pa, v->prot, false, 1));
    as->rss_file += HUGE_PAGES;
    return true;
}

/* Map page.run pages from `at` on that are not mapped yet, up to `end`. They
 * are of the image window: contiguous and without references. */
static void fault_map_run(struct aspace *as, const struct vma *v, uint64_t at,
                          uint64_t end, const struct inode_page *page)
{
    uint64_t *entry = pt_make(as, at, 0);
    paddr_t pa = page->pa;
    if (entry == NULL)
        return;
    end = MIN(end, at + page->run * PAGE_SIZE);
    for (; at < end; at += PAGE_SIZE, pa += PAGE_SIZE, entry++) {
        if (!pte_none(*entry))
            continue;
        pte_set(entry, pte_leaf(pa, v->prot, false, 0));
        as->rss_file++;
    }
}

/*
 * Pages of the image window cost nothing to map: all of them that one page
 * table can hold. True if `addr` is among them.
 */
static bool fault_around(struct aspace *as, struct vma *v, uint64_t addr)
{
    struct inode_page page;
    uint64_t table = ROUND_DOWN(addr, HUGE_SIZE);
    uint64_t start = MAX(table, v->start);
    uint64_t end = MIN(table + HUGE_SIZE, v->end);
    /* From the start of the table, or from here if a page of the file's own
     * lies between. */
    for (unsigned tries = 0; tries < 2; tries++, start = addr) {
        if (fault_get(v, start, false, &page) < 0)
            continue;
        page_put(page.pa);
        if (page.run * PAGE_SIZE <= addr - start || frame_at(page.pa) != NULL)
            continue;
        fault_map_run(as, v, start, end, &page);
        return true;
    }
    return false;
}

/* A private writable page of a file: copied at once. */
static int fault_file_copy(struct aspace *as, struct vma *v, uint64_t addr,
                           uint64_t *entry)
{
    struct inode_page page;
    int r = fault_get(v, addr, false, &page);
    if (r < 0)
        return r;
    paddr_t pa = page_alloc(0, 0);
    if (pa != 0) {
        memcpy(page_virt(pa), page_virt(page.pa), PAGE_SIZE);
        page_set_anon(pa);
        v->flags |= VMA_PRIVATE;
        pte_set(entry, pte_leaf(pa, v->prot, true, 0));
        as->rss_anon++;
        fault_rss(as);
    }
    page_put(page.pa);
    return pa != 0 ? 0 : -ENOMEM;
}

/*
 * First write to a shared page: the inode may have to make a page of its own
 * and drop the old one from every mapping, which takes aspace locks. So ours
 * is let go meanwhile and everything looked at again.
 */
static int fault_shared_write(struct aspace *as, const struct vma *v,
                              uint64_t addr)
{
    struct inode_page page;
    struct file *file = v->file;
    uint64_t index = vma_file_page(v, addr);
    file_get(file);
    uint64_t drops = __atomic_load_n(&aspace_drops, __ATOMIC_ACQUIRE);
    mutex_unlock(&as->lock);
    int r = file->inode->ops->get_page(file->inode, index, true, &page);
    mutex_lock(&as->lock);
    struct vma *now = vma_at(as, addr);
    bool same = now != NULL && now->file == file && vma_shared(now) &&
                vma_file_page(now, addr) == index &&
                (now->prot & LX_PROT_WRITE) != 0 &&
                drops == __atomic_load_n(&aspace_drops, __ATOMIC_ACQUIRE);
    if (r == 0 && same) {
        uint64_t *entry = pt_make(as, addr, 0);
        paddr_t old =
            entry != NULL && !pte_none(*entry) ? arch_pte_pa(*entry) : 0;
        if (entry == NULL) {
            page_put(page.pa);
            r = -ENOMEM;
        } else {
            as->rss_file += old == 0;
            pte_replace(as, addr, entry, pte_leaf(page.pa, now->prot, true, 0));
            if (old != 0)
                page_put(old);
        }
    } else if (r == 0) {
        page_put(page.pa); /* changed meanwhile: the program faults again */
    }
    mutex_unlock(&as->lock);
    file_put(file);
    mutex_lock(&as->lock);
    return r;
}

static int fault_file(struct aspace *as, struct vma *v, uint64_t addr,
                      bool write)
{
    struct inode_page page;
    if (!write && fault_huge_file(as, v, addr))
        return 0;
    uint64_t *entry = pt_make(as, addr, 0);
    if (entry == NULL)
        return -ENOMEM;
    if (write)
        return fault_file_copy(as, v, addr, entry);
    if ((!vma_shared(v) || (v->prot & LX_PROT_WRITE) == 0) &&
        fault_around(as, v, addr)) {
        fault_rss(as);
        return 0;
    }
    int r = fault_get(v, addr, false, &page);
    if (r < 0)
        return r;
    pte_set(entry,
            pte_leaf(page.pa, v->prot, vma_shared(v) && page.writable, 0));
    as->rss_file++;
    fault_rss(as);
    return 0;
}

int aspace_fault_page(struct aspace *as, struct vma *v, uint64_t addr,
                      enum fault_access access)
{
    unsigned level;
    bool write = access == FAULT_WRITE;
    uint64_t *entry = pt_find(as, addr, &level);
    bool there = entry != NULL && !pte_none(*entry);
    if (write && vma_shared(v) &&
        !(there && arch_pte_present(*entry) && arch_pte_writable(*entry)))
        return fault_shared_write(as, v, addr);
    if (there)
        return fault_present(as, v, addr, entry, level, write);
    return vma_is_anon(v) ? fault_anon(as, v, addr, write)
                          : fault_file(as, v, addr, write);
}

/* --- the entry --- */

/* A stack grows down to `addr` if its limit and its neighbour allow it. */
static struct vma *fault_grow(struct aspace *as, uint64_t addr)
{
    unsigned i = vma_index(as, addr);
    struct vma *v = i < as->vma_count ? vma_get(as, i) : NULL;
    if (v == NULL || v->start <= addr)
        return v;
    uint64_t limit = current()->proc->rlimits[LX_RLIMIT_STACK].cur;
    if ((v->flags & VMA_GROWSDOWN) == 0)
        return NULL;
    uint64_t start = ROUND_DOWN(addr, PAGE_SIZE);
    if (v->end - start > limit || !aspace_limit(as, v->start - start, false))
        return NULL;
    const struct vma *below = i > 0 ? vma_get(as, i - 1) : NULL;
    if (below != NULL &&
        below->prot != 0 && /* what faults anyway may be near */
        below->end + 256 * PAGE_SIZE > start)
        return NULL;
    if (below != NULL && below->end > start)
        return NULL;
    vma_resize(v, start, v->end);
    return v;
}

static bool fault_allowed(const struct vma *v, enum fault_access access)
{
    switch (access) {
    case FAULT_WRITE: return (v->prot & LX_PROT_WRITE) != 0;
    case FAULT_EXEC: return (v->prot & LX_PROT_EXEC) != 0;
    case FAULT_READ: return v->prot != 0;
    }
    return false;
}

/* Memory is out: make somebody give some back. 0: try again. */
static int fault_no_memory(int *signo)
{
    struct waitq nobody;
    int r;
    *signo = LX_SIGKILL;
    if (signal_fatal_pending(current()))
        return -EFAULT;
    /* Its exit gives more back than what it wants to write for. */
    if (current()->exiting && current()->proc->group_exit)
        return oom_reclaim() ? 0 : -EFAULT;
    if (oom_reclaim())
        return 0;
    if (!oom_kill())
        return -EFAULT;
    waitq_init(&nobody);
    WAIT_FOR(r, &nobody, false, WAIT_DEADLY, clock_now() + OOM_PAUSE_NS);
    (void)r;
    return signal_fatal_pending(current()) ? -EFAULT : 0;
}

int aspace_fault(uint64_t addr, enum fault_access access, int *signo, int *code)
{
    struct process *p = current()->proc;
    struct aspace *as = p != NULL ? p->aspace : NULL;
    *signo = LX_SIGSEGV;
    *code = LX_SEGV_MAPERR;
    if (as == NULL || addr >= USER_END)
        return -EFAULT;

    mutex_lock(&as->lock);
    p->min_faults++;
    struct vma *v = fault_grow(as, addr);
    int r = -EFAULT;
    if (v != NULL && !fault_allowed(v, access)) {
        *code = LX_SEGV_ACCERR;
    } else if (v != NULL) {
        r = aspace_fault_page(as, v, ROUND_DOWN(addr, PAGE_SIZE), access);
        if (r < 0 && r != -ENOMEM && r != -EAGAIN) {
            *signo = LX_SIGBUS;
            *code = LX_BUS_ADRERR;
        }
    }
    mutex_unlock(&as->lock);
    if (r == -ENOMEM)
        return fault_no_memory(signo);
    return r < 0 && r != -EAGAIN ? -EFAULT : 0;
}

static int populate_page(struct aspace *as, uint64_t addr, bool write)
{
    struct vma *v = vma_at(as, addr);
    unsigned level;
    if (v == NULL)
        return -ENOMEM;
    /* Private pages are copied now rather than at the first write. */
    if ((v->prot & LX_PROT_WRITE) != 0 && !vma_shared(v))
        write = true;
    if (!fault_allowed(v, write ? FAULT_WRITE : FAULT_READ))
        return -EFAULT;
    const uint64_t *e = pt_find(as, addr, &level);
    if (e != NULL && arch_pte_present(*e) && (!write || arch_pte_writable(*e)))
        return 0;
    return aspace_fault_page(as, v, addr, write ? FAULT_WRITE : FAULT_READ);
}

int aspace_populate(struct aspace *as, uint64_t addr, uint64_t size, bool write)
{
    int r = 0;
    mutex_lock(&as->lock);
    for (uint64_t at = 0; r == 0 && at < size; at += PAGE_SIZE) {
        if (signal_fatal_pending(current()))
            r = -EINTR;
        else
            r = populate_page(as, addr + at, write);
        sched_point();
    }
    mutex_unlock(&as->lock);
    return r;
}
