// SPDX-License-Identifier: Apache-2.0
/*
 * Regions of an address space: an array of pointers sorted by address, no two
 * overlapping, neighbours that can be one region are one. What room the array
 * has is a hole where the last change was, as the next is mostly near. Searches
 * for free addresses go on where the last one ended. aspace.lock guards
 * everything here; inode.mappings_lock also guards map_node.
 */
#pragma once

#include "guest/core/aspace.h"
#include "guest/core/list.h"

#define VMA_MAX 65530 /* vm.max_map_count */

/* Where MAP_32BIT puts regions: above what a program and its heap take. */
#define VMA_LOW_START UINT64_C(0x40000000)
#define VMA_LOW_END   UINT64_C(0x80000000)

#define VMA_SHARED     (1u << 0) /* = MAP_SHARED: vma_info.flags */
#define VMA_GROWSDOWN  (1u << 1)
#define VMA_STACK      (1u << 2) /* "[stack]" */
#define VMA_HEAP       (1u << 3) /* "[heap]" */
#define VMA_LOCKED     (1u << 4)
#define VMA_DONTFORK   (1u << 5)
#define VMA_WIPEONFORK (1u << 6)
#define VMA_NOHUGE     (1u << 7)
#define VMA_HUGE       (1u << 8)
#define VMA_NORESERVE  (1u << 9)
#define VMA_MAYWRITE   (1u << 10) /* shared: the file is open for writing */
#define VMA_PRIVATE    (1u << 11) /* file: private copies of pages exist */

struct vma {
    uint64_t start, end; /* page-aligned */
    uint64_t offset;     /* of start in the file, bytes */
    uint32_t prot;       /* LX_PROT_* */
    uint32_t flags;      /* VMA_* */
    struct file *file;   /* reference held; NULL: anonymous */
    struct aspace *as;
    struct list map_node; /* file: inode.mappings */
    uint64_t drop_id;     /* last aspace_drop_inode that saw it */
    struct vma *dead;     /* next in a list of removed regions */
    uint64_t seq_next;    /* anonymous: address that continues a run */
    uint32_t seq_pages;   /* pages the last fault of the run mapped */
    uint32_t touched;     /* pages mapped by faults, for huge pages */
};

/* Region i < vma_count. */
static inline struct vma *vma_get(const struct aspace *as, unsigned i)
{
    return as->vmas[i < as->vma_hole ? i : i + as->vma_room - as->vma_count];
}
/* Index of the first region that ends above `addr`, or vma_count. */
unsigned vma_index(const struct aspace *as, uint64_t addr);
/* The region that contains `addr`, or NULL. */
struct vma *vma_at(const struct aspace *as, uint64_t addr);
/* Make room so that `n` vma_insert() cannot fail. 0 or -ENOMEM. */
int vma_reserve(struct aspace *as, unsigned n);
struct vma *vma_new(struct aspace *as); /* zeroed, in no list */
struct vma *vma_copy(const struct vma *v, struct aspace *as); /* not linked */
/* Adds `v` (room reserved) and what it counts for. */
void vma_insert(struct aspace *as, struct vma *v);
/* Takes out vma_get(as, i); the caller gives it to vma_free_list() unlocked. */
struct vma *vma_remove(struct aspace *as, unsigned i);
void vma_free_list(struct vma *v); /* linked by `dead` */
/* Cut vma_get(as, i) at `addr` inside it. 0 or -ENOMEM. Page tables first:
 * pt_split_at(). */
int vma_split(struct aspace *as, unsigned i, uint64_t addr);
/* Join regions around [start, end) that fit together; removed ones are added
 * to *dead. */
void vma_merge(struct aspace *as, uint64_t start, uint64_t end,
               struct vma **dead);
/* Change of prot or flags, with the accounting. */
void vma_set(struct vma *v, uint32_t prot, uint32_t flags);
/* Move the start (stack growth) or end, with the accounting. */
void vma_resize(struct vma *v, uint64_t start, uint64_t end);
/* Highest free range of `size` bytes below as->mmap_top whose address is
 * `phase` modulo `align`. 0: none. */
uint64_t vma_find_gap(struct aspace *as, uint64_t size, uint64_t align,
                      uint64_t phase);
/* The same from VMA_LOW_START on and below VMA_LOW_END (MAP_32BIT). */
uint64_t vma_find_low_gap(struct aspace *as, uint64_t size);

static inline bool vma_is_anon(const struct vma *v)
{
    return v->file == NULL;
}

/* Page index in the file. */
static inline uint64_t vma_file_page(const struct vma *v, uint64_t addr)
{
    return (v->offset + (addr - v->start)) >> PAGE_SHIFT;
}
