// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel heap. A page holds objects of one class. A free object's first two
 * bytes say how far from its own end the next free one starts, so a page of
 * zeros is a ready list of all its objects and nothing is touched early.
 */
#include "guest/core/kmem.h"

#include "guest/core/frame.h"
#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/log.h"
#include "guest/core/page.h"

#if defined(__SANITIZE_ADDRESS__) /* unit tests: find use after free */
void __asan_poison_memory_region(const volatile void *p, size_t n);
void __asan_unpoison_memory_region(const volatile void *p, size_t n);
#define POISON(p, n)   __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define SMALL_MAX 2048

static const uint16_t class_size[] = {32,  64,  96,  128,  192,      256,
                                      384, 512, 768, 1024, SMALL_MAX};
#define CLASS_COUNT ARRAY_COUNT(class_size)

static struct {
    struct spinlock lock; /* irq-safe */
    uint32_t partial;     /* frame index of pages with free objects, 0: none */
} classes[CLASS_COUNT];

void kmem_init(void)
{
    memset(classes, 0, sizeof(classes));
}

static unsigned class_of(size_t size)
{
    unsigned c = 0;
    while (class_size[c] < size)
        c++;
    return c;
}

static void partial_push(unsigned c, struct frame *f)
{
    f->prev = 0;
    f->next = classes[c].partial;
    if (f->next != 0)
        frame_by_index(f->next)->prev = frame_index(f);
    classes[c].partial = frame_index(f);
}

static void partial_take(unsigned c, struct frame *f)
{
    if (f->prev != 0)
        frame_by_index(f->prev)->next = f->next;
    else
        classes[c].partial = f->next;
    if (f->next != 0)
        frame_by_index(f->next)->prev = f->prev;
}

static bool slab_full(unsigned c, const struct frame *f)
{
    return f->slab + class_size[c] > (unsigned)PAGE_SIZE;
}

/* First free object of the page; the page leaves the list with its last. */
static void *slab_take(unsigned c, struct frame *f)
{
    char *page = page_virt(frame_paddr(f));
    uint16_t *at = (void *)(page + f->slab);
    UNPOISON(at, class_size[c]);
    f->slab = (uint16_t)(f->slab + class_size[c] + *at);
    f->refs++;
    if (slab_full(c, f))
        partial_take(c, f);
    return at;
}

static struct frame *slab_new(unsigned c)
{
    paddr_t pa = page_alloc(0, PAGE_ZERO | PAGE_KERNEL);
    if (pa == 0)
        return NULL;
    struct frame *f = frame_at(pa);
    f->flags = FRAME_HEAP;
    f->order = (uint8_t)c;
    f->slab = 0;
    POISON(page_virt(pa), PAGE_SIZE);
    return f;
}

static void *small_alloc(unsigned c)
{
    unsigned long irq = spin_lock_irq(&classes[c].lock);
    if (classes[c].partial == 0) {
        struct frame *f = slab_new(c);
        if (f != NULL)
            partial_push(c, f);
    }
    void *p = NULL;
    if (classes[c].partial != 0)
        p = slab_take(c, frame_by_index(classes[c].partial));
    spin_unlock_irq(&classes[c].lock, irq);
    return p;
}

static void small_free(struct frame *f, char *p)
{
    unsigned c = f->order;
    char *page = page_virt(frame_paddr(f));
    uint16_t off = (uint16_t)(p - page);
    KASSERT(off % class_size[c] == 0);
    unsigned long irq = spin_lock_irq(&classes[c].lock);
    bool was_full = slab_full(c, f);
    uint16_t *at = (void *)p;
    UNPOISON(p, class_size[c]);
    *at = (uint16_t)(f->slab - off - class_size[c]);
    POISON(p, class_size[c]);
    f->slab = off;
    f->refs--;
    bool last = f->refs == 1;
    /* One empty page stays with its class: the next kmalloc wants it. */
    bool drop = last && !was_full &&
                (f->next != 0 || classes[c].partial != frame_index(f));
    if (was_full)
        partial_push(c, f);
    else if (drop)
        partial_take(c, f);
    spin_unlock_irq(&classes[c].lock, irq);
    if (!drop)
        return;
    UNPOISON(page, PAGE_SIZE);
    f->flags = 0;
    f->order = 0;
    page_put(frame_paddr(f));
}

void *kmalloc(size_t size)
{
    if (size <= SMALL_MAX) {
        unsigned c = class_of(size);
        void *p = small_alloc(c);
        if (p != NULL) {
            POISON(p, class_size[c]);
            UNPOISON(p, size);
        }
        return p;
    }
    if (size > HUGE_SIZE)
        return NULL;
    unsigned order = 0;
    while (PAGE_SIZE << order < size)
        order++;
    paddr_t pa = page_alloc(order, PAGE_KERNEL);
    return pa != 0 ? page_virt(pa) : NULL;
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void kfree(void *p)
{
    if (p == NULL)
        return;
    paddr_t pa = page_phys(p);
    struct frame *f = frame_at(ROUND_DOWN(pa, PAGE_SIZE));
    KASSERT(f != NULL && f->refs != 0);
    if ((f->flags & FRAME_HEAP) != 0) {
        small_free(f, p);
        return;
    }
    KASSERT((pa & PAGE_MASK) == 0);
    page_put(pa);
}

char *kstrndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *p = kmalloc(n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *kstrdup(const char *s)
{
    return kstrndup(s, strlen(s));
}
