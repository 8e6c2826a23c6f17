// SPDX-License-Identifier: Apache-2.0
#include "image/forward.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum { FORWARD_SIZE = 256 << 10 };

int forward_init(struct forward *f, int fd, struct err *e)
{
    *f = (struct forward){.fd = fd, .buffer = malloc(FORWARD_SIZE)};
    return f->buffer != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void forward_flush(struct forward *f)
{
    for (size_t done = 0; done < f->used && f->code == 0;) {
        ssize_t n = pwrite(f->fd, f->buffer + done, f->used - done,
                           (off_t)(f->base + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            f->code = n < 0 ? -errno : -EIO;
    }
    f->base += f->used;
    f->used = 0;
}

void forward_put(struct forward *f, uint64_t at, const void *data, size_t size)
{
    const uint8_t *p = data;
    assert(size == 0 || at >= f->base + f->used);
    while (size > 0) {
        if (at - f->base >= FORWARD_SIZE)
            forward_flush(f);
        /* What lies before the first piece is another one's. */
        if (f->used == 0)
            f->base = at;
        size_t start = (size_t)(at - f->base);
        size_t n = size < FORWARD_SIZE - start ? size : FORWARD_SIZE - start;
        memset(f->buffer + f->used, 0, start - f->used);
        memcpy(f->buffer + start, p, n);
        f->used = start + n;
        at += n;
        p += n;
        size -= n;
    }
}

int forward_finish(struct forward *f, struct err *e)
{
    forward_flush(f);
    return f->code < 0
               ? err_set(e, f->code, "writing metadata: %s", strerror(-f->code))
               : 0;
}

void forward_fini(struct forward *f)
{
    free(f->buffer);
    *f = (struct forward){0};
}
