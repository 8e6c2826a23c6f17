// SPDX-License-Identifier: Apache-2.0
/* Page tables of programs: what munmap, mprotect, fork and mremap do to a
 * range of entries. */
#include "abi/linux/errno.h"

#include "guest/core/frame.h"
#include "guest/core/page.h"
#include "guest/core/pgtable.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/vma.h"

/* --- batches --- */

void pt_batch_init(struct pt_batch *b, struct aspace *as, bool flush)
{
    const struct process *p = current()->proc;
    b->as = flush ? as : NULL;
    b->start = UINT64_MAX;
    b->end = 0;
    b->count = 0;
    b->big = NULL;
    /* The one thread that could use stale entries is here, in the kernel. */
    b->alone = !flush || (p != NULL && p->aspace == as && as->refs == 1 &&
                          p->thread_count == 1);
}

static void pt_batch_put(struct pt_batch *b)
{
    const paddr_t *pages = b->big != NULL ? b->big : b->small;
    if (b->as != NULL && b->start < b->end)
        arch_flush(&b->as->arch, b->start, b->end);
    for (unsigned i = 0; i < b->count; i++) {
        if ((pages[i] & 1) != 0)
            page_put_huge(pages[i] - 1);
        else
            page_put(pages[i]);
    }
    b->count = 0;
    b->start = UINT64_MAX;
    b->end = 0;
}

void pt_batch_range(struct pt_batch *b, uint64_t va, uint64_t size)
{
    b->start = MIN(b->start, va);
    b->end = MAX(b->end, va + size);
}

/* The small array is full: go on in a page, if there is one. */
static void pt_batch_grow(struct pt_batch *b)
{
    paddr_t pa = page_alloc(0, PAGE_KERNEL);
    if (pa == 0) {
        pt_batch_put(b);
        return;
    }
    b->big = page_virt(pa);
    for (unsigned i = 0; i < b->count; i++)
        b->big[i] = b->small[i];
}

void pt_batch_add(struct pt_batch *b, uint64_t va, paddr_t pa, bool huge)
{
    pt_batch_range(b, va, huge ? HUGE_SIZE : PAGE_SIZE);
    if (b->alone) {
        if (huge)
            page_put_huge(pa);
        else
            page_put(pa);
        return;
    }
    if (b->big == NULL && b->count == PT_BATCH_SMALL)
        pt_batch_grow(b);
    else if (b->count == PT_BATCH_BIG)
        pt_batch_put(b);
    paddr_t *pages = b->big != NULL ? b->big : b->small;
    pages[b->count++] = pa | (huge ? 1 : 0);
}

void pt_batch_done(struct pt_batch *b)
{
    pt_batch_put(b);
    if (b->big != NULL)
        page_put(page_phys(b->big));
    b->big = NULL;
}

/* --- removal --- */

static void pt_uncount(struct aspace *as, paddr_t pa, uint64_t pages)
{
    if (page_is_anon(pa))
        as->rss_anon -= pages;
    else if (!page_is_zero(pa))
        as->rss_file -= pages;
}

void pt_zap(struct aspace *as, uint64_t start, uint64_t end, struct pt_batch *b)
{
    struct pt_span s;
    while (pt_next(as, &start, end, &s)) {
        uint64_t step = s.level == 0 ? PAGE_SIZE : HUGE_SIZE;
        for (unsigned i = 0; i < s.count; i++) {
            uint64_t e = s.entry[i];
            if (pte_none(e))
                continue;
            paddr_t pa = arch_pte_pa(e);
            pte_set(&s.entry[i], arch_pte_none());
            pt_uncount(as, pa, step >> PAGE_SHIFT);
            pt_batch_add(b, s.va + i * step, pa, s.level != 0);
        }
        sched_point();
    }
}

/* --- rights --- */

/* May this page be written in place by a private mapping of `v`? */
static bool pt_owned(const struct vma *v, uint64_t e, unsigned level)
{
    paddr_t pa = arch_pte_pa(e);
    if ((v->flags & VMA_SHARED) != 0)
        return arch_pte_present(e) && arch_pte_writable(e);
    if (!page_is_anon(pa))
        return false;
    return level == 0 ? page_refs(pa) == 1 : !page_huge_shared(pa);
}

void pt_protect(struct aspace *as, const struct vma *v, uint64_t start,
                uint64_t end, struct pt_batch *b)
{
    struct pt_span s;
    while (pt_next(as, &start, end, &s)) {
        uint64_t step = s.level == 0 ? PAGE_SIZE : HUGE_SIZE;
        for (unsigned i = 0; i < s.count; i++) {
            uint64_t e = s.entry[i];
            if (pte_none(e))
                continue;
            uint64_t n = pte_leaf(arch_pte_pa(e), v->prot,
                                  pt_owned(v, e, s.level), s.level);
            if (n == e)
                continue;
            pte_set(&s.entry[i], n);
            if (arch_pte_present(e))
                pt_batch_range(b, s.va + i * step, step);
        }
        sched_point();
    }
}

/* --- fork --- */

static int pt_share_huge(struct aspace *child, const struct vma *v,
                         struct pt_span *s, struct pt_batch *b)
{
    uint64_t e = *s->entry;
    paddr_t pa = arch_pte_pa(e);
    if (!page_is_anon(pa))
        return 0; /* the image window: it will fault again */
    uint64_t *to = pt_make(child, s->va, 1);
    if (to == NULL)
        return -ENOMEM;
    uint64_t n = pte_leaf(pa, v->prot, false, 1);
    page_get_huge(pa);
    pte_set(to, n);
    child->rss_anon += HUGE_PAGES;
    if (n != e) {
        pte_set(s->entry, n);
        pt_batch_range(b, s->va, HUGE_SIZE);
    }
    return 0;
}

static int pt_share_span(struct aspace *child, const struct vma *v,
                         struct pt_span *s, struct pt_batch *b)
{
    uint64_t *to = NULL;
    for (unsigned i = 0; i < s->count; i++) {
        uint64_t e = s->entry[i];
        if (pte_none(e) || !page_is_anon(arch_pte_pa(e)))
            continue;
        if (to == NULL) {
            to = pt_make(child, s->va, 0);
            if (to == NULL)
                return -ENOMEM;
        }
        paddr_t pa = arch_pte_pa(e);
        uint64_t n = pte_leaf(pa, v->prot, false, 0);
        page_get(pa);
        pte_set(&to[i], n);
        child->rss_anon++;
        if (n == e)
            continue;
        pte_set(&s->entry[i], n);
        pt_batch_range(b, s->va + i * PAGE_SIZE, PAGE_SIZE);
    }
    return 0;
}

int pt_share(struct aspace *child, struct aspace *parent, const struct vma *v,
             struct pt_batch *b)
{
    struct pt_span s;
    uint64_t at = v->start;
    int r = 0;
    while (r == 0 && pt_next(parent, &at, v->end, &s)) {
        r = s.level == 0 ? pt_share_span(child, v, &s, b)
                         : pt_share_huge(child, v, &s, b);
        sched_point();
    }
    return r;
}

/* --- mremap --- */

int pt_move(struct aspace *as, const struct vma *v, uint64_t from, uint64_t to,
            uint64_t size, struct pt_batch *b)
{
    struct pt_span s;
    for (uint64_t at = from, end = from + size; pt_next(as, &at, end, &s);) {
        if (s.level == 1 && ((from ^ to) & (HUGE_SIZE - 1)) != 0) {
            if (pt_split(as, v, s.va) < 0)
                return -ENOMEM;
            at = s.va;
            continue;
        }
        uint64_t step = s.level == 0 ? PAGE_SIZE : HUGE_SIZE;
        for (unsigned i = 0; i < s.count; i++) {
            uint64_t e = s.entry[i];
            uint64_t va = s.va + i * step;
            if (pte_none(e))
                continue;
            uint64_t *n = pt_make(as, va - from + to, s.level);
            if (n == NULL)
                return -ENOMEM;
            pte_set(&s.entry[i], arch_pte_none());
            pte_set(n, e);
            pt_batch_range(b, va, step);
        }
        sched_point();
    }
    return 0;
}

uint64_t pt_count(struct aspace *as, uint64_t start, uint64_t end)
{
    struct pt_span s;
    uint64_t n = 0;
    while (pt_next(as, &start, end, &s)) {
        if (s.level != 0) {
            n += (MIN(end, s.va + HUGE_SIZE) - s.va) >> PAGE_SHIFT;
            continue;
        }
        for (unsigned i = 0; i < s.count; i++)
            if (!pte_none(s.entry[i]))
                n++;
    }
    return n;
}
