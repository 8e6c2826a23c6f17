// SPDX-License-Identifier: Apache-2.0
/* The boot area: a bump allocator. */
#include "vmm/lowmem.h"

#include <arch_layout.h>

#include "abi/boot.h"

#include "base/err.h"

void lowmem_init(struct lowmem *l, const struct gmem *m)
{
    *l = (struct lowmem){m, BOARD_BOOT_AREA, BOOT_KERNEL_GPA};
}

void *lowmem_take(struct lowmem *l, uint64_t size, uint64_t align,
                  const char *what, gpa_t *at, struct err *e)
{
    uint64_t start = (l->next + align - 1) & ~(align - 1);
    if (start > l->end || size > l->end - start) {
        (void)err_set(e, -ENOSPC,
                      "boot data does not fit below %llu KiB: no room for "
                      "%llu bytes of %s: use less memory, fewer or smaller "
                      "files, environment or images",
                      (unsigned long long)(l->end / 1024),
                      (unsigned long long)size, what);
        return NULL;
    }
    l->next = start + size;
    *at = gpa(start);
    return gmem_at(l->mem, *at, size); /* zero: fresh anonymous memory */
}
