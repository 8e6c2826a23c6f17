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
        if (as->vmas[mid]->end <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct vma *vma_at(const struct aspace *as, uint64_t addr)
{
    unsigned i = vma_index(as, addr);
    if (i == as->vma_count || as->vmas[i]->start > addr)
        return NULL;
    return as->vmas[i];
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
    if (as->vma_count != 0)
        memcpy(to, as->vmas, as->vma_count * sizeof(struct vma *));
    kfree(as->vmas);
    as->vmas = to;
    as->vma_room = room;
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

void vma_resize(struct vma *v, uint64_t start, uint64_t end)
{
    vma_count(v, false);
    if (start > v->start)
        v->offset += start - v->start;
    else
        v->offset -= MIN(v->offset, v->start - start);
    v->start = start;
    v->end = end;
    vma_count(v, true);
}

/* --- the array --- */

static void vma_array_insert(struct aspace *as, struct vma *v)
{
    KASSERT(as->vma_count < as->vma_room);
    unsigned i = vma_index(as, v->start);
    memmove(&as->vmas[i + 1], &as->vmas[i],
            (as->vma_count - i) * sizeof(struct vma *));
    as->vmas[i] = v;
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
    struct vma *v = as->vmas[i];
    vma_count(v, false);
    as->vma_count--;
    memmove(&as->vmas[i], &as->vmas[i + 1],
            (as->vma_count - i) * sizeof(struct vma *));
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
    struct vma *v = as->vmas[i];
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
    while (i + 1 < as->vma_count && as->vmas[i]->end <= end) {
        struct vma *a = as->vmas[i];
        if (!vma_fits(a, as->vmas[i + 1])) {
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

uint64_t vma_find_gap(const struct aspace *as, uint64_t size, uint64_t align,
                      uint64_t phase)
{
    uint64_t top = as->mmap_top;
    unsigned i = vma_index(as, top);
    /* vmas[i] ends above top: it may reach below it. */
    if (i < as->vma_count && as->vmas[i]->start < top)
        top = as->vmas[i]->start;
    for (;; i--) {
        uint64_t floor = i > 0 ? as->vmas[i - 1]->end : MMAP_MIN;
        uint64_t roof = top;
        if (i < as->vma_count && (as->vmas[i]->flags & VMA_GROWSDOWN) != 0 &&
            roof + STACK_GAP > as->vmas[i]->start)
            roof = as->vmas[i]->start - MIN(STACK_GAP, as->vmas[i]->start);
        if (roof >= size && floor < roof) {
            uint64_t at = roof - size;
            at -= (at - phase) & (align - 1);
            if (at >= floor && at >= MMAP_MIN && at <= roof - size)
                return at;
        }
        if (i == 0)
            return 0;
        top = MIN(top, as->vmas[i - 1]->start);
    }
}
