// SPDX-License-Identifier: Apache-2.0
/* Bytes in queues of TCP, and how much memory they may take. */
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/net/tcp_parts.h"

#define BUFFER_SHARE 128 /* of all memory, the most for one direction */
#define TOTAL_SHARE  8   /* for all sockets */
#define SEND_MAX     (4u << 20)
#define RECV_MAX     (6u << 20)
#define BUFFER_MIN   (256u << 10)

static uint64_t memory_used; /* bytes; atomic */

static uint64_t memory_limit(void)
{
    static uint64_t limit; /* written once with the same value */
    uint64_t n = __atomic_load_n(&limit, __ATOMIC_RELAXED);
    if (n == 0) {
        struct page_stats st;
        page_stats(&st);
        n = MAX(st.total * PAGE_SIZE / TOTAL_SHARE, (uint64_t)BUFFER_MIN);
        __atomic_store_n(&limit, n, __ATOMIC_RELAXED);
    }
    return n;
}

static uint64_t memory_now(void)
{
    return __atomic_load_n(&memory_used, __ATOMIC_RELAXED);
}

bool tcp_memory_room(void)
{
    return memory_now() < memory_limit();
}

bool tcp_memory_pressure(void)
{
    return memory_now() > memory_limit() / 2;
}

uint32_t tcp_buffer_max(bool send)
{
    uint64_t share = memory_limit() * TOTAL_SHARE / BUFFER_SHARE;
    uint32_t max = send ? SEND_MAX : RECV_MAX;
    return (uint32_t)MIN(MAX(share, (uint64_t)BUFFER_MIN), (uint64_t)max);
}

static void charge(struct tcp_data *d, uint32_t n)
{
    d->charge = n;
    __atomic_fetch_add(&memory_used, n, __ATOMIC_RELAXED);
}

struct tcp_data *tcp_data_inline(uint32_t room)
{
    struct tcp_data *d = kmalloc(sizeof(*d) + room);
    if (d == NULL)
        return NULL;
    *d = (struct tcp_data){.size = room};
    charge(d, (uint32_t)sizeof(*d) + room);
    return d;
}

struct tcp_data *tcp_data_page(paddr_t page, uint32_t off, uint32_t size)
{
    struct tcp_data *d = kmalloc(sizeof(*d));
    if (d == NULL)
        return NULL;
    page_get(page);
    *d = (struct tcp_data){.page = page, .off = off, .size = size};
    charge(d, (uint32_t)sizeof(*d) + (uint32_t)ROUND_UP(size, PAGE_SIZE));
    return d;
}

void tcp_data_free(struct tcp_data *d)
{
    if (d == NULL)
        return;
    __atomic_fetch_sub(&memory_used, d->charge, __ATOMIC_RELAXED);
    if (d->page != 0)
        page_put(d->page);
    kfree(d);
}

void tcp_data_purge(struct list *l)
{
    while (!list_empty(l)) {
        struct tcp_data *d = LIST_ENTRY(l->next, struct tcp_data, node);
        list_remove(&d->node);
        tcp_data_free(d);
    }
}

uint8_t *tcp_data_at(const struct tcp_data *d)
{
    if (d->page == 0)
        return (uint8_t *)(uintptr_t)d->bytes + d->off;
    return (uint8_t *)page_virt(d->page) + d->off;
}
