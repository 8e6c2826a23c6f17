// SPDX-License-Identifier: Apache-2.0
/* The sorted array of an address space's regions. */
#include "guest/core/vma.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"

#define STACK_GAP (UINT64_C(256) * PAGE_SIZE)

unsigned vma_index(const struct aspace *as, uint64_t addr)
{
    unsigned low = 0, high = as->vma_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (vma_get(as, mid)->end <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct vma *vma_at(const struct aspace *as, uint64_t addr)
{
    unsigned i = vma_index(as, addr);
    if (i == as->vma_count || vma_get(as, i)->start > addr)
        return NULL;
    return vma_get(as, i);
}

int vma_reserve(struct aspace *as, unsigned n)
{
    if (as->vma_count + n > VMA_MAX)
        return -ENOMEM;
    if (as->vma_count + n <= as->vma_room)
        return 0;
    unsigned room = as->vma_room == 0 ? 16 : as->vma_room * 2;
    struct vma **to = kmalloc(room * sizeof(struct vma *));
    if (to == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < as->vma_count; i++)
        to[i] = vma_get(as, i);
    kfree(as->vmas);
    as->vmas = to;
    as->vma_room = room;
    as->vma_hole = as->vma_count;
    return 0;
}

struct vma *vma_new(struct aspace *as)
{
    struct vma *v = kzalloc(sizeof(*v));
    if (v == NULL)
        return NULL;
    v->as = as;
    list_init(&v->map_node);
    return v;
}

struct vma *vma_copy(const struct vma *v, struct aspace *as)
{
    struct vma *n = kmalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    *n = *v;
    n->as = as;
    n->dead = NULL;
    n->drop_id = 0;
    list_init(&n->map_node);
    if (n->file != NULL)
        file_get(n->file);
    return n;
}

/* --- accounting --- */

static bool vma_is_data(const struct vma *v)
{
    return (v->prot & LX_PROT_WRITE) != 0 &&
           (v->flags & (VMA_SHARED | VMA_GROWSDOWN)) == 0;
}

static void vma_count(const struct vma *v, bool add)
{
    struct aspace *as = v->as;
    uint64_t size = add ? v->end - v->start : v->start - v->end;
    as->mapped += size;
    as->mapped_max = MAX(as->mapped_max, as->mapped);
    if (vma_is_data(v))
        as->data += size;
    if ((v->flags & VMA_LOCKED) != 0)
        as->locked += size;
}

void vma_set(struct vma *v, uint32_t prot, uint32_t flags)
{
    vma_count(v, false);
    v->prot = prot;
    v->flags = flags;
    vma_count(v, true);
}

/* Addresses below `end` are free now: the next search looks there, too. */
static void vma_freed(struct aspace *as, uint64_t end)
{
    unsigned i = vma_index(as, end);
    uint64_t roof = i < as->vma_count ? vma_get(as, i)->start : UINT64_MAX;
    as->gap_top = MAX(as->gap_top, roof);
}

void vma_resize(struct vma *v, uint64_t start, uint64_t end)
{
    uint64_t old_start = v->start;
    uint64_t old_end = v->end;
    vma_count(v, false);
    if (start > v->start)
        v->offset += start - v->start;
    else
        v->offset -= MIN(v->offset, v->start - start);
    v->start = start;
    v->end = end;
    vma_count(v, true);
    if (end < old_end)
        vma_freed(v->as, old_end);
    else if (start > old_start)
        vma_freed(v->as, old_start);
}

/* --- the array --- */

/* The hole comes to be at `i`. */
static void vma_move_hole(struct aspace *as, unsigned i)
{
    unsigned size = as->vma_room - as->vma_count;
    unsigned at = as->vma_hole;
    if (i < at)
        memmove(&as->vmas[i + size], &as->vmas[i],
                (at - i) * sizeof(struct vma *));
    else if (i > at)
        memmove(&as->vmas[at], &as->vmas[at + size],
                (i - at) * sizeof(struct vma *));
    as->vma_hole = i;
}

static void vma_array_insert(struct aspace *as, struct vma *v)
{
    KASSERT(as->vma_count < as->vma_room);
    vma_move_hole(as, vma_index(as, v->start));
    as->vmas[as->vma_hole++] = v;
    as->vma_count++;
}

void vma_insert(struct aspace *as, struct vma *v)
{
    vma_array_insert(as, v);
    vma_count(v, true);
    if (v->file == NULL)
        return;
    struct inode *inode = v->file->inode;
    mutex_lock(&inode->mappings_lock);
    list_add_tail(&inode->mappings, &v->map_node);
    mutex_unlock(&inode->mappings_lock);
}

struct vma *vma_remove(struct aspace *as, unsigned i)
{
    struct vma *v = vma_get(as, i);
    vma_count(v, false);
    vma_move_hole(as, i); /* it is the first one behind the hole */
    as->vma_count--;
    vma_freed(as, v->end);
    if (v->file != NULL) {
        struct inode *inode = v->file->inode;
        mutex_lock(&inode->mappings_lock);
        list_remove(&v->map_node);
        mutex_unlock(&inode->mappings_lock);
    }
    return v;
}

void vma_free_list(struct vma *v)
{
    while (v != NULL) {
        struct vma *next = v->dead;
        if (v->file != NULL)
            file_put(v->file);
        kfree(v);
        v = next;
    }
}

int vma_split(struct aspace *as, unsigned i, uint64_t addr)
{
    int r = vma_reserve(as, 1);
    if (r < 0)
        return r;
    struct vma *v = vma_get(as, i);
    struct vma *n = vma_copy(v, as);
    if (n == NULL)
        return -ENOMEM;
    vma_resize(v, v->start, addr);
    n->start = addr;
    n->offset += addr - v->start;
    vma_insert(as, n);
    return 0;
}

static bool vma_fits(const struct vma *a, const struct vma *b)
{
    if (a->end != b->start || a->prot != b->prot || a->file != b->file)
        return false;
    if (((a->flags ^ b->flags) & ~VMA_PRIVATE) != 0)
        return false;
    return a->file == NULL || a->offset + (a->end - a->start) == b->offset;
}

void vma_merge(struct aspace *as, uint64_t start, uint64_t end,
               struct vma **dead)
{
    unsigned i = vma_index(as, start == 0 ? 0 : start - 1);
    while (i + 1 < as->vma_count && vma_get(as, i)->end <= end) {
        struct vma *a = vma_get(as, i);
        if (!vma_fits(a, vma_get(as, i + 1))) {
            i++;
            continue;
        }
        struct vma *b = vma_remove(as, i + 1);
        a->flags |= b->flags & VMA_PRIVATE;
        a->touched += b->touched;
        vma_resize(a, a->start, b->end);
        b->dead = *dead;
        *dead = b;
    }
}

/* The first gap that fits below `top`, from above; gaps passed count in
 * gap_max. 0: none. */
static uint64_t vma_search(struct aspace *as, uint64_t top, uint64_t size,
                           uint64_t align, uint64_t phase)
{
    unsigned i = vma_index(as, top);
    /* Region i ends above top: it may reach below it. */
    if (i < as->vma_count)
        top = MIN(top, vma_get(as, i)->start);
    for (;; i--) {
        const struct vma *above = i < as->vma_count ? vma_get(as, i) : NULL;
        uint64_t floor = i > 0 ? vma_get(as, i - 1)->end : MMAP_MIN;
        uint64_t roof = top;
        if (above != NULL && (above->flags & VMA_GROWSDOWN) != 0 &&
            roof + STACK_GAP > above->start)
            roof = above->start - MIN(STACK_GAP, above->start);
        if (roof >= size && floor < roof) {
            uint64_t at = roof - size;
            at -= (at - phase) & (align - 1);
            if (at >= floor && at >= MMAP_MIN && at <= roof - size) {
                as->gap_max = MAX(as->gap_max, top - (at + size));
                as->gap_top = at;
                return at;
            }
        }
        if (i == 0)
            return 0;
        if (top > floor)
            as->gap_max = MAX(as->gap_max, top - floor);
        top = MIN(top, vma_get(as, i - 1)->start);
    }
}

uint64_t vma_find_gap(struct aspace *as, uint64_t size, uint64_t align,
                      uint64_t phase)
{
    uint64_t at = 0;
    if (size > as->gap_max && as->gap_top < as->mmap_top)
        at = vma_search(as, as->gap_top, size, align, phase);
    if (at != 0)
        return at;
    as->gap_max = 0;
    return vma_search(as, as->mmap_top, size, align, phase);
}

uint64_t vma_find_low_gap(struct aspace *as, uint64_t size)
{
    uint64_t gap_top = as->gap_top;
    uint64_t gap_max = as->gap_max;
    uint64_t at = vma_search(as, VMA_LOW_END, size, PAGE_SIZE, 0);
    /* What is known of the gaps above holds as before. */
    as->gap_top = gap_top;
    as->gap_max = gap_max;
    return at >= VMA_LOW_START ? at : 0;
}
