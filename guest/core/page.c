// SPDX-License-Identifier: Apache-2.0
/*
 * Physical pages: a buddy allocator over blocks of 2 MiB that are opened one
 * after another. Blocks never used keep the mark FRAME_ZERO and do not merge
 * with used ones, so that a fresh page is handed out without being touched.
 */
#include "guest/core/page.h"

#include "abi/boot.h"

#include "guest/arch/arch.h"
#include "guest/core/frame.h"
#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/log.h"

#define ORDER_MAX   9
#define REGION_MAX  (BOOT_RAM_MAX + 2)
#define RESERVE_MAX 512 /* pages only PAGE_KERNEL may use */
#define ROOM_SHARE  64  /* one block for page tables: at most this part */

/* RAM in the frame table; fixed after page_init. */
struct range {
    paddr_t base, end; /* base: multiple of 2 MiB */
    uint32_t first;    /* frame index of base, multiple of 512 */
};

/* RAM not opened yet: [next, end). */
struct region {
    paddr_t next, end;
};

static struct {
    struct spinlock lock; /* irq-safe; guards what follows up to `ranges` */
    uint32_t lists[ORDER_MAX + 1]; /* frame index, 0: empty */
    struct region regions[REGION_MAX];
    unsigned region_count, region_open;
    uint64_t total, free, high, cached, reserve; /* pages */
    paddr_t tables, pairs; /* free page tables, linked by their first word */
    struct region room;    /* zeros, for page tables only */
    unsigned room_order;   /* of the blocks that follow the first room */
    uint64_t room_used;    /* pages of the first room */
    paddr_t zero;          /* atomic; 0 while nobody needed it */
    struct range ranges[BOOT_RAM_MAX];
    unsigned range_count;
    struct frame *frames;
} pool;

/* --- the frame table --- */

struct frame *frame_by_index(uint32_t index)
{
    return &pool.frames[index];
}

uint32_t frame_index(const struct frame *f)
{
    return (uint32_t)(f - pool.frames);
}

struct frame *frame_at(paddr_t pa)
{
    for (unsigned i = 0; i < pool.range_count; i++) {
        const struct range *r = &pool.ranges[i];
        if (pa >= r->base && pa < r->end)
            return &pool.frames[r->first + ((pa - r->base) >> PAGE_SHIFT)];
    }
    return NULL;
}

paddr_t frame_paddr(const struct frame *f)
{
    uint32_t index = frame_index(f);
    unsigned i = pool.range_count - 1;
    while (i > 0 && index < pool.ranges[i].first)
        i--;
    const struct range *r = &pool.ranges[i];
    return r->base + ((uint64_t)(index - r->first) << PAGE_SHIFT);
}

void *page_virt(paddr_t pa)
{
    return (void *)(uintptr_t)(ARCH_PHYSMAP + pa); /* NOLINT */
}

paddr_t page_phys(const void *va)
{
    return (uintptr_t)va - ARCH_PHYSMAP;
}

/* --- start --- */

static void page_add_region(paddr_t start, paddr_t end)
{
    start = ROUND_UP(start, PAGE_SIZE);
    end = ROUND_DOWN(end, PAGE_SIZE);
    if (start >= end || pool.region_count == REGION_MAX)
        return;
    pool.regions[pool.region_count++] = (struct region){start, end};
    pool.total += (end - start) >> PAGE_SHIFT;
}

/* Returns how many frames the table has. */
static uint64_t page_add_ranges(const struct boot_info *bi)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < BOOT_RAM_MAX && bi->ram[i].size != 0; i++) {
        paddr_t base = ROUND_DOWN(bi->ram[i].base, HUGE_SIZE);
        paddr_t end = bi->ram[i].base + bi->ram[i].size;
        pool.ranges[pool.range_count++] =
            (struct range){base, end, (uint32_t)first};
        first += ROUND_UP(end - base, HUGE_SIZE) >> PAGE_SHIFT;
    }
    return first;
}

void page_init(const struct boot_info *bi)
{
    memset(&pool, 0, sizeof(pool));
    kmem_init();
    uint64_t count = page_add_ranges(bi);
    uint64_t size = ROUND_UP(count * sizeof(struct frame), PAGE_SIZE);
    paddr_t kernel_end = ARCH_KERNEL_END;
    paddr_t end = bi->ram[0].base + bi->ram[0].size;
    /* At the end of the part with small host pages, or of RAM without one. */
    paddr_t small = bi->small_end;
    if (small > end || small < kernel_end + size)
        small = end;
    if (small < kernel_end + size)
        panic("%u KiB of RAM are too few for this kernel",
              (unsigned)(end >> 10));
    paddr_t table = small - size;
    pool.frames = page_virt(table);
    page_add_region(kernel_end, table);
    pool.room.next = ROUND_UP(MAX(bi->low_end, PAGE_SIZE), PAGE_SIZE);
    pool.room.end = BOOT_KERNEL_GPA;
    page_add_region(small, end);
    for (unsigned i = 1; i < pool.range_count; i++)
        page_add_region(bi->ram[i].base, pool.ranges[i].end);
    pool.free = pool.total;
    pool.reserve = MIN(pool.total / 64, RESERVE_MAX);
    while (pool.room_order < ORDER_MAX &&
           pool.total / ROOM_SHARE >> (pool.room_order + 1) != 0)
        pool.room_order++;
}

/* --- free lists; pool.lock held --- */

static void list_push(struct frame *f, unsigned order, unsigned flags)
{
    uint32_t index = frame_index(f);
    f->order = (uint8_t)order;
    f->flags = (uint8_t)(FRAME_FREE | flags);
    f->prev = 0;
    f->next = pool.lists[order];
    if (f->next != 0)
        pool.frames[f->next].prev = index;
    pool.lists[order] = index;
}

static void list_take(struct frame *f)
{
    if (f->prev != 0)
        pool.frames[f->prev].next = f->next;
    else
        pool.lists[f->order] = f->next;
    if (f->next != 0)
        pool.frames[f->next].prev = f->prev;
    f->flags &= (uint8_t)~FRAME_FREE;
}

/* Put the next 2 MiB of untouched RAM on the lists. */
static bool page_open(void)
{
    while (pool.region_open < pool.region_count) {
        struct region *r = &pool.regions[pool.region_open];
        paddr_t end = MIN(r->end, ROUND_DOWN(r->next, HUGE_SIZE) + HUGE_SIZE);
        if (r->next == r->end) {
            pool.region_open++;
            continue;
        }
        while (r->next < end) {
            unsigned order = 0;
            while (order < ORDER_MAX &&
                   (r->next & ((PAGE_SIZE << (order + 1)) - 1)) == 0 &&
                   end - r->next >= PAGE_SIZE << (order + 1))
                order++;
            list_push(frame_at(r->next), order, FRAME_ZERO);
            r->next += PAGE_SIZE << order;
        }
        return true;
    }
    return false;
}

static struct frame *page_take(unsigned order)
{
    unsigned have;
    for (;;) {
        for (have = order; have <= ORDER_MAX; have++)
            if (pool.lists[have] != 0)
                break;
        if (have <= ORDER_MAX)
            break;
        if (!page_open())
            return NULL;
    }
    struct frame *f = &pool.frames[pool.lists[have]];
    list_take(f);
    while (have > order) {
        have--;
        list_push(f + (UINT32_C(1) << have), have, f->flags & FRAME_ZERO);
    }
    f->order = (uint8_t)order;
    return f;
}

static void page_give(struct frame *f, unsigned order)
{
    uint32_t index = frame_index(f);
    pool.free += UINT64_C(1) << order;
    while (order < ORDER_MAX) {
        uint32_t other = index ^ (UINT32_C(1) << order);
        struct frame *b = &pool.frames[other];
        if ((b->flags & (FRAME_FREE | FRAME_ZERO)) != FRAME_FREE ||
            b->order != order)
            break;
        list_take(b);
        index &= ~(UINT32_C(1) << order);
        order++;
    }
    list_push(&pool.frames[index], order, 0);
}

/* --- pages --- */

paddr_t page_alloc(unsigned order, unsigned flags)
{
    KASSERT(order <= ORDER_MAX);
    uint64_t keep = (flags & PAGE_KERNEL) != 0 ? 0 : pool.reserve;
    unsigned long irq = spin_lock_irq(&pool.lock);
    struct frame *f = NULL;
    bool zero = false;
    if (pool.free >= keep + (UINT64_C(1) << order))
        f = page_take(order);
    if (f != NULL) {
        zero = (f->flags & FRAME_ZERO) != 0;
        f->flags = 0;
        __atomic_store_n(&f->refs, 1, __ATOMIC_RELAXED);
        pool.free -= UINT64_C(1) << order;
        pool.high = MAX(pool.high, pool.total - pool.free);
    }
    spin_unlock_irq(&pool.lock, irq);
    if (f == NULL)
        return 0;
    paddr_t pa = frame_paddr(f);
    if ((flags & PAGE_ZERO) != 0 && !zero)
        memset(page_virt(pa), 0, PAGE_SIZE << order);
    return pa;
}

void page_get(paddr_t pa)
{
    struct frame *f = frame_at(pa);
    if (f != NULL)
        __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

void page_put(paddr_t pa)
{
    struct frame *f = frame_at(pa);
    if (f == NULL)
        return;
    uint32_t before = __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL);
    KASSERT(before != 0);
    if (before != 1)
        return;
    unsigned long irq = spin_lock_irq(&pool.lock);
    page_give(f, f->order);
    spin_unlock_irq(&pool.lock, irq);
}

uint32_t page_refs(paddr_t pa)
{
    const struct frame *f = frame_at(pa);
    return f != NULL ? __atomic_load_n(&f->refs, __ATOMIC_ACQUIRE) : 1;
}

void page_set_anon(paddr_t pa)
{
    frame_at(pa)->flags |= FRAME_ANON;
}

paddr_t page_zero(void)
{
    paddr_t pa = __atomic_load_n(&pool.zero, __ATOMIC_ACQUIRE);
    if (pa != 0)
        return pa;
    paddr_t fresh = page_alloc(0, PAGE_ZERO | PAGE_KERNEL);
    if (fresh == 0 ||
        __atomic_compare_exchange_n(&pool.zero, &pa, fresh, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    page_put(fresh); /* another CPU was first */
    return pa;
}

bool page_is_zero(paddr_t pa)
{
    return pa == __atomic_load_n(&pool.zero, __ATOMIC_RELAXED);
}

/* --- huge blocks --- */

void page_split(paddr_t pa)
{
    struct frame *f = frame_at(pa);
    if (f == NULL)
        return;
    unsigned long irq = spin_lock_irq(&pool.lock);
    if (f->order == ORDER_MAX) {
        f->order = 0;
        for (unsigned i = 1; i < HUGE_PAGES; i++)
            f[i] = (struct frame){.refs = f->refs, .flags = f->flags};
    }
    spin_unlock_irq(&pool.lock, irq);
}

void page_get_huge(paddr_t pa)
{
    struct frame *f = frame_at(pa);
    if (f == NULL)
        return;
    unsigned long irq = spin_lock_irq(&pool.lock);
    unsigned n = f->order == ORDER_MAX ? 1 : HUGE_PAGES;
    for (unsigned i = 0; i < n; i++)
        __atomic_fetch_add(&f[i].refs, 1, __ATOMIC_RELAXED);
    spin_unlock_irq(&pool.lock, irq);
}

void page_put_huge(paddr_t pa)
{
    struct frame *f = frame_at(pa);
    if (f == NULL)
        return;
    unsigned long irq = spin_lock_irq(&pool.lock);
    unsigned order = f->order;
    unsigned n = order == ORDER_MAX ? 1 : HUGE_PAGES;
    for (unsigned i = 0; i < n; i++)
        if (__atomic_fetch_sub(&f[i].refs, 1, __ATOMIC_ACQ_REL) == 1)
            page_give(&f[i], order);
    spin_unlock_irq(&pool.lock, irq);
}

bool page_huge_shared(paddr_t pa)
{
    const struct frame *f = frame_at(pa);
    if (f == NULL)
        return true;
    unsigned long irq = spin_lock_irq(&pool.lock);
    bool shared = f->order != ORDER_MAX || f->refs != 1;
    spin_unlock_irq(&pool.lock, irq);
    return shared;
}

/*
 * --- page tables ---
 * They lie together: a host with shadow paging maps no 2 MiB with a page table
 * in it by one entry. First in what is left below the kernel, which is such a
 * place already, then in blocks of their own.
 */

static paddr_t room_take(unsigned order)
{
    paddr_t at = ROUND_UP(pool.room.next, PAGE_SIZE << order);

    if (at + (PAGE_SIZE << order) > pool.room.end)
        return 0;
    pool.room.next = at + (PAGE_SIZE << order);
    if (at < BOOT_KERNEL_GPA)
        pool.room_used += UINT64_C(1) << order;
    return at;
}

/* A page or two of what was left in the old room are lost. */
static void room_grow(void)
{
    paddr_t block = page_alloc(pool.room_order, PAGE_ZERO);

    if (block == 0)
        return;
    unsigned long irq = spin_lock_irq(&pool.lock);
    bool late = pool.room.end - pool.room.next >= 2 * PAGE_SIZE;
    if (!late)
        pool.room =
            (struct region){block, block + (PAGE_SIZE << pool.room_order)};
    spin_unlock_irq(&pool.lock, irq);
    if (late) /* another CPU was first */
        page_put(block);
}

static paddr_t table_take(paddr_t *list, unsigned order)
{
    unsigned long irq = spin_lock_irq(&pool.lock);
    paddr_t pa = *list;
    if (pa != 0) {
        uint64_t *table = page_virt(pa);
        *list = table[0];
        table[0] = 0;
    } else {
        pa = room_take(order);
    }
    spin_unlock_irq(&pool.lock, irq);
    return pa;
}

static paddr_t table_alloc(paddr_t *list, unsigned order)
{
    paddr_t pa = table_take(list, order);

    if (pa == 0) {
        room_grow();
        pa = table_take(list, order);
    }
    return pa != 0 ? pa : page_alloc(order, PAGE_ZERO);
}

static void table_free(paddr_t *list, paddr_t pa)
{
    uint64_t *table = page_virt(pa);
    unsigned long irq = spin_lock_irq(&pool.lock);
    table[0] = *list;
    *list = pa;
    spin_unlock_irq(&pool.lock, irq);
}

paddr_t page_table_alloc(void)
{
    return table_alloc(&pool.tables, 0);
}

paddr_t page_table_alloc_pair(void)
{
    return table_alloc(&pool.pairs, 1);
}

void page_table_free(paddr_t pa)
{
    table_free(&pool.tables, pa);
}

void page_table_free_pair(paddr_t pa)
{
    table_free(&pool.pairs, pa);
}

/* --- numbers --- */

void page_stats(struct page_stats *out)
{
    unsigned long irq = spin_lock_irq(&pool.lock);
    *out = (struct page_stats){
        .total = pool.total,
        .free = pool.free,
        .cached = __atomic_load_n(&pool.cached, __ATOMIC_RELAXED),
        .high = pool.high + pool.room_used,
    };
    spin_unlock_irq(&pool.lock, irq);
}

uint64_t page_free_count(void)
{
    return __atomic_load_n(&pool.free, __ATOMIC_RELAXED);
}

uint64_t page_total_count(void)
{
    return pool.total;
}

void page_count_cached(int64_t delta)
{
    __atomic_fetch_add(&pool.cached, (uint64_t)delta, __ATOMIC_RELAXED);
}
