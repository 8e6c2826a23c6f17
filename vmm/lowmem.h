// SPDX-License-Identifier: Apache-2.0
/* The boot area: a bump allocator over [BOARD_BOOT_AREA, BOOT_KERNEL_GPA). */
#pragma once

#include <stdint.h>

#include "vmm/gmem.h"

struct err;

/* For the QEMU blob the same allocator runs over a plain buffer at gpa 0. */
struct lowmem {
    const struct gmem *mem;
    uint64_t next; /* guest-physical */
    uint64_t end;
};

void lowmem_init(struct lowmem *l, const struct gmem *m);

/* `size` zeroed bytes, `align` a power of two. `what` names the use in the
 * message when the area is full. Returns NULL then. */
void *lowmem_take(struct lowmem *l, uint64_t size, uint64_t align,
                  const char *what, gpa_t *at, struct err *e);
