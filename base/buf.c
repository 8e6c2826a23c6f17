// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int buf_reserve(struct buf *b, size_t more)
{
    size_t max = b->max != 0 ? b->max : (size_t)1 << 20;
    if (b->failed != 0)
        return b->failed;
    if (more >= max || b->size > max - more)
        return b->failed = -E2BIG;
    if (b->size + more + 1 <= b->room)
        return 0;

    size_t room = b->room != 0 ? b->room : 256;
    while (room < b->size + more + 1)
        room *= 2;
    char *data = realloc(b->data, room);
    if (data == NULL)
        return b->failed = -ENOMEM;
    b->data = data;
    b->room = room;
    return 0;
}

void buf_add(struct buf *b, const void *data, size_t size)
{
    if (buf_reserve(b, size) < 0)
        return;
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || buf_reserve(b, (size_t)n) < 0)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->size, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->size += (size_t)n;
}

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}
