// SPDX-License-Identifier: Apache-2.0
/* Device windows: guest-physical address -> handler. Device thread only. */
#pragma once

#include <stdint.h>

struct bus_window;

/* Accesses of 1, 2, 4 or 8 bytes at `off` (< window size), naturally made by
 * the guest: any value, any order. `data` is little-endian, `len` bytes. */
struct bus_ops {
    void (*read)(struct bus_window *w, uint32_t off, uint8_t *data,
                 uint32_t len);
    void (*write)(struct bus_window *w, uint32_t off, const uint8_t *data,
                  uint32_t len);
};

/* Embedded in the device; one page at BOARD_MMIO_BASE + slot * stride. */
struct bus_window {
    const struct bus_ops *ops;
    uint64_t base; /* set by bus_attach() */
};

enum { BUS_SLOTS = 32 };

struct bus {
    struct bus_window *slot[BUS_SLOTS]; /* borrowed */
};

/* Put `w` at `slot` (< BUS_SLOTS). -EBUSY if taken. */
int bus_attach(struct bus *b, unsigned slot, struct bus_window *w);

/* Where bus_attach() put `w` last. */
unsigned bus_slot_of(const struct bus_window *w);
/* Take `w` away from where bus_attach() put it: nothing is there any more. */
void bus_detach(struct bus *b, const struct bus_window *w);

/* Dispatch; reads of nothing give all ones, writes to nothing are lost. */
void bus_read(const struct bus *b, uint64_t gpa, uint8_t *data, uint32_t len);
void bus_write(const struct bus *b, uint64_t gpa, const uint8_t *data,
               uint32_t len);
