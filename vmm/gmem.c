// SPDX-License-Identifier: Apache-2.0
/* Guest memory: reservation, bounds checks. */
#include "vmm/gmem.h"

#include <arch_layout.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"

#define HUGE (UINT64_C(2) << 20)

static uint64_t round_up_huge(uint64_t v)
{
    return (v + HUGE - 1) & ~(HUGE - 1);
}

int gmem_init(struct gmem *m, uint64_t size, struct err *e)
{
    *m = (struct gmem){.size = size};
    m->map_size = size + HUGE;
    void *map = mmap(NULL, m->map_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_set(e, -errno, "reserve %llu bytes of guest memory: %s",
                       (unsigned long long)size, strerror(errno));
    m->map = map;

    uint8_t *host = m->map + (round_up_huge((uintptr_t)map) - (uintptr_t)map);
    const uint64_t low_max = BOARD_LOW_RAM_END - BOARD_RAM_BASE;
    uint64_t low = size < low_max ? size : low_max;
    m->range[0] = (struct gmem_range){BOARD_RAM_BASE, low, host};
    if (size > low)
        m->range[1] =
            (struct gmem_range){BOARD_HIGH_RAM, size - low, host + low};

    uint64_t small = round_up_huge((UINT64_C(4) << 20) + size / 256);
    m->small_end = BOARD_RAM_BASE + small;
    /* Advice: a host without huge pages runs the guest just as well. The
     * kernel and its first pages lie in the second huge page: one fault and
     * one shadow entry for all of them. */
    (void)madvise(host, HUGE, MADV_NOHUGEPAGE);
    (void)madvise(host + HUGE, HUGE, MADV_HUGEPAGE);
    (void)madvise(host + 2 * HUGE, small - 2 * HUGE, MADV_NOHUGEPAGE);
    (void)madvise(host + small, size - small, MADV_HUGEPAGE);
    return 0;
}

uint64_t gmem_end(const struct gmem *m)
{
    const struct gmem_range *r = &m->range[m->range[1].size > 0 ? 1 : 0];
    return r->base + r->size;
}

void gmem_fini(struct gmem *m)
{
    if (m->map != NULL)
        (void)munmap(m->map, m->map_size);
    *m = (struct gmem){0};
}

void *gmem_at(const struct gmem *m, gpa_t at, uint64_t len)
{
    for (int i = 0; i < GMEM_RANGES; i++) {
        const struct gmem_range *r = &m->range[i];
        if (at.v < r->base || at.v - r->base >= r->size)
            continue;
        uint64_t off = at.v - r->base;
        return len > r->size - off ? NULL : r->host + off;
    }
    return NULL;
}

bool gmem_read(const struct gmem *m, gpa_t at, void *out, size_t len)
{
    const void *p = gmem_at(m, at, len);
    if (p == NULL)
        return false;
    memcpy(out, p, len);
    return true;
}

bool gmem_write(const struct gmem *m, gpa_t at, const void *in, size_t len)
{
    void *p = gmem_at(m, at, len);
    if (p == NULL)
        return false;
    memcpy(p, in, len);
    return true;
}
