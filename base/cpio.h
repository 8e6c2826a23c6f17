// SPDX-License-Identifier: Apache-2.0
/* Archives that a Linux kernel unpacks as its initrd ("newc" cpio). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Append one entry to an archive that starts at offset 0 of `b` (check
 * b->failed at the end). `mode` has the type bits: a directory has no data.
 * `path` has no leading slash; the directories it names come first.
 */
void cpio_add(struct buf *b, const char *path, uint32_t mode, const void *data,
              size_t size);

/* End the archive; its size is then a multiple of 4. */
void cpio_end(struct buf *b);
