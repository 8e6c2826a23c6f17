// SPDX-License-Identifier: Apache-2.0
/* Device windows: guest-physical address -> handler. */
#include "vmm/bus.h"

#include <arch_layout.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

_Static_assert(BUS_SLOTS == BOARD_MMIO_SLOTS, "one handler per slot");

int bus_attach(struct bus *b, unsigned slot, struct bus_window *w)
{
    if (slot >= BUS_SLOTS)
        return -ENOSPC;
    if (b->slot[slot] != NULL)
        return -EBUSY;
    w->base = BOARD_MMIO_BASE + slot * BOARD_MMIO_STRIDE;
    b->slot[slot] = w;
    return 0;
}

static struct bus_window *find(const struct bus *b, uint64_t gpa, uint32_t len)
{
    if (gpa < BOARD_MMIO_BASE)
        return NULL;
    uint64_t slot = (gpa - BOARD_MMIO_BASE) / BOARD_MMIO_STRIDE;
    if (slot >= BUS_SLOTS)
        return NULL;
    uint64_t off = gpa % BOARD_MMIO_STRIDE;
    return len > BOARD_MMIO_STRIDE - off ? NULL : b->slot[slot];
}

unsigned bus_slot_of(const struct bus_window *w)
{
    return (unsigned)((w->base - BOARD_MMIO_BASE) / BOARD_MMIO_STRIDE);
}

void bus_detach(struct bus *b, const struct bus_window *w)
{
    unsigned slot = bus_slot_of(w);
    if (slot < BUS_SLOTS && b->slot[slot] == w)
        b->slot[slot] = NULL;
}

void bus_read(const struct bus *b, uint64_t gpa, uint8_t *data, uint32_t len)
{
    memset(data, 0xff, len);
    struct bus_window *w = find(b, gpa, len);
    if (w != NULL)
        w->ops->read(w, (uint32_t)(gpa - w->base), data, len);
}

void bus_write(const struct bus *b, uint64_t gpa, const uint8_t *data,
               uint32_t len)
{
    struct bus_window *w = find(b, gpa, len);
    if (w != NULL)
        w->ops->write(w, (uint32_t)(gpa - w->base), data, len);
}
