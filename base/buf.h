// SPDX-License-Identifier: Apache-2.0
/* A growing byte buffer with a bound. */
#pragma once

#include <stddef.h>

/* Zero-initialise except `max`. After a failed append `failed` stays set and
 * further appends do nothing, so callers check once at the end. */
struct buf {
    char *data; /* owned; NUL-terminated when not NULL */
    size_t size;
    size_t room;
    size_t max; /* bytes; 0 means 1 MiB */
    int failed; /* 0, or -ENOMEM / -E2BIG */
};

void buf_add(struct buf *b, const void *data, size_t size);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_fini(struct buf *b);
