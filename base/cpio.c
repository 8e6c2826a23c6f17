// SPDX-License-Identifier: Apache-2.0
/* Linux's Documentation/driver-api/early-userspace/buffer-format.rst. */
#include "base/cpio.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define CPIO_TRAILER "TRAILER!!!"

static void pad4(struct buf *b)
{
    static const char zero[4];
    buf_add(b, zero, (4 - b->size % 4) % 4);
}

void cpio_add(struct buf *b, const char *path, uint32_t mode, const void *data,
              size_t size)
{
    if (size > UINT32_MAX) {
        b->failed = -E2BIG;
        return;
    }
    /* magic; inode, mode, uid, gid, links, time, size; device and rdevice,
     * two each; bytes of the name; no checksum. */
    buf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
               0U, mode, 0U, 0U, 1U, 0U, (unsigned)size, 0U, 0U, 0U, 0U,
               (unsigned)strlen(path) + 1, 0U);
    buf_add(b, path, strlen(path) + 1);
    pad4(b);
    buf_add(b, data, size);
    pad4(b);
}

void cpio_end(struct buf *b)
{
    cpio_add(b, CPIO_TRAILER, 0, NULL, 0);
}
