// SPDX-License-Identifier: Apache-2.0
/*
 * The ring of a pipe: pages are allocated when first used and, except for the
 * first one, freed when the pipe is empty; an empty pipe starts again at its
 * first byte, so small traffic touches one page.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/uio.h"
#include "guest/fs/pipe_impl.h"

static uint32_t slots(const struct pipe *p)
{
    return p->size / (uint32_t)PAGE_SIZE;
}

struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    p->pages = kzalloc(PIPE_SIZE / PAGE_SIZE * sizeof(paddr_t));
    if (p->pages == NULL) {
        kfree(p);
        return NULL;
    }
    p->size = PIPE_SIZE;
    mutex_init(&p->lock);
    waitq_init(&p->read_wait);
    waitq_init(&p->write_wait);
    waitq_init(&p->open_wait);
    return p;
}

static void free_pages(struct pipe *p, uint32_t from)
{
    for (uint32_t i = from; i < slots(p); i++) {
        if (p->pages[i] != 0)
            page_put(p->pages[i]);
        p->pages[i] = 0;
    }
}

void pipe_destroy(struct pipe *p)
{
    free_pages(p, 0);
    kfree(p->pages);
    kfree(p->packets);
    kfree(p);
}

/* --- packets --- */

static struct pipe_packet *packet_at(const struct pipe *p, uint32_t n)
{
    return &p->packets[(p->packet_first + n) % slots(p)];
}

/* Does the ring end with bytes of no packet, `size` more of which would lie on
 * the same page? Then they are no packet either: pipe(7) merges them. */
static bool packet_merges(const struct pipe *p, uint64_t size)
{
    uint64_t end = p->passed + p->used;
    uint32_t at = (p->start + p->used) & (uint32_t)PAGE_MASK;
    if (p->used == 0 ||
        (p->packet_count > 0 && packet_at(p, p->packet_count - 1)->end == end))
        return false;
    return at != 0 && at + size <= PAGE_SIZE;
}

static int packet_add(struct pipe *p, uint64_t size)
{
    if (p->packets == NULL) {
        p->packets = kzalloc(slots(p) * sizeof(p->packets[0]));
        if (p->packets == NULL)
            return -ENOMEM;
    }
    uint64_t end = p->passed + p->used;
    *packet_at(p, p->packet_count++) = (struct pipe_packet){end - size, end};
    return 0;
}

static void packet_drop(struct pipe *p)
{
    p->packet_first = (p->packet_first + 1) % slots(p);
    p->packet_count--;
}

/* --- bytes --- */

uint32_t pipe_room(const struct pipe *p)
{
    if (__atomic_load_n(&p->packet_count, __ATOMIC_RELAXED) >= slots(p))
        return 0;
    /* A page begun by readers is not written again before it is empty. */
    uint32_t used =
        __atomic_load_n(&p->used, __ATOMIC_RELAXED) +
        (__atomic_load_n(&p->start, __ATOMIC_RELAXED) & (uint32_t)PAGE_MASK);
    return p->size - MIN(used, p->size);
}

uint32_t pipe_front(const struct pipe *p, uint64_t max, uint8_t **at)
{
    uint32_t in_page = p->start & (uint32_t)PAGE_MASK;
    uint32_t n = MIN(p->used, (uint32_t)PAGE_SIZE - in_page);
    if (p->used == 0)
        return 0;
    *at = (uint8_t *)page_virt(p->pages[p->start / PAGE_SIZE]) + in_page;
    return (uint32_t)MIN((uint64_t)n, max);
}

void pipe_consume(struct pipe *p, uint32_t n)
{
    p->start = (p->start + n) & (p->size - 1);
    p->used -= n;
    p->passed += n;
    while (p->packet_count > 0 && packet_at(p, 0)->end <= p->passed)
        packet_drop(p);
    if (p->used == 0) {
        p->start = 0;
        free_pages(p, 1);
    }
}

int64_t pipe_take(struct pipe *p, struct uio *u)
{
    int64_t done = 0;
    bool packet = p->packet_count > 0;
    struct pipe_packet first = {0};
    if (packet)
        first = *packet_at(p, 0);
    while (u->left > 0 && p->used > 0) {
        uint8_t *from;
        uint64_t max = packet ? first.end - p->passed : p->used;
        uint32_t n = pipe_front(p, max, &from);
        int64_t r = n > 0 ? uio_put(u, from, n) : 0;
        if (r <= 0)
            return done > 0 ? done : r;
        pipe_consume(p, (uint32_t)r);
        done += r;
    }
    /* A packet once begun is over. */
    if (packet && p->passed > first.start)
        while (p->passed < first.end) {
            uint8_t *rest;
            pipe_consume(p, pipe_front(p, first.end - p->passed, &rest));
        }
    return done;
}

uint32_t pipe_back(struct pipe *p, uint64_t max, uint8_t **at, int *error)
{
    uint32_t end = (p->start + p->used) & (p->size - 1);
    uint32_t in_page = end & (uint32_t)PAGE_MASK;
    uint32_t n = MIN(pipe_room(p), (uint32_t)PAGE_SIZE - in_page);
    paddr_t *page = &p->pages[end / PAGE_SIZE];
    if (n == 0 || max == 0)
        return 0;
    if (*page == 0)
        *page = page_alloc(0, 0);
    if (*page == 0) {
        *error = -ENOMEM;
        return 0;
    }
    *at = (uint8_t *)page_virt(*page) + in_page;
    return (uint32_t)MIN((uint64_t)n, max);
}

int64_t pipe_give(struct pipe *p, struct uio *u, uint64_t max, bool packet)
{
    int64_t done = 0;
    max = MIN(max, u->left);
    packet = packet && !packet_merges(p, max);
    while ((uint64_t)done < max) {
        uint8_t *to;
        int error = 0;
        uint32_t n = pipe_back(p, max - (uint64_t)done, &to, &error);
        int64_t r = n > 0 ? uio_get(u, to, n) : error;
        if (r <= 0) {
            done = done > 0 ? done : r;
            break;
        }
        p->used += (uint32_t)r;
        done += r;
    }
    if (packet && done > 0 && packet_add(p, (uint64_t)done) < 0) {
        p->used -= (uint32_t)done;
        return -ENOMEM;
    }
    return done;
}

int64_t pipe_copy(struct pipe *from, struct pipe *to, uint32_t skip, uint64_t n)
{
    int64_t done = 0;
    n = MIN(n, (uint64_t)(from->used - skip));
    while ((uint64_t)done < n) {
        uint8_t *in = NULL, *out = NULL;
        int error = 0;
        struct pipe at = *from; /* a look further on */
        at.start = (from->start + skip + (uint32_t)done) & (from->size - 1);
        at.used = from->used - skip - (uint32_t)done;
        uint32_t part = pipe_front(&at, n - (uint64_t)done, &in);
        part = pipe_back(to, part, &out, &error);
        if (part == 0)
            return done > 0 ? done : error;
        memcpy(out, in, part);
        to->used += part;
        done += part;
    }
    return done;
}

int pipe_resize(struct pipe *p, uint32_t size)
{
    uint32_t count = size / (uint32_t)PAGE_SIZE;
    struct pipe n = {.size = size, .passed = p->passed};
    if (size - MIN(p->start & (uint32_t)PAGE_MASK, size) < p->used ||
        count < p->packet_count)
        return -EBUSY;
    n.pages = kzalloc(count * sizeof(paddr_t));
    if (p->packets != NULL)
        n.packets = kzalloc(count * sizeof(n.packets[0]));
    bool ok = n.pages != NULL && (p->packets == NULL || n.packets != NULL) &&
              pipe_copy(p, &n, 0, p->used) == (int64_t)p->used;
    if (!ok) {
        if (n.pages != NULL)
            free_pages(&n, 0);
        kfree(n.pages);
        kfree(n.packets);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < p->packet_count; i++)
        n.packets[i] = *packet_at(p, i);
    free_pages(p, 0);
    kfree(p->pages);
    kfree(p->packets);
    p->pages = n.pages;
    p->packets = n.packets;
    p->packet_first = 0;
    p->size = size;
    p->start = 0;
    return 0;
}
