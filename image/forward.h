// SPDX-License-Identifier: Apache-2.0
/* Writing a file in pieces that only go up, gathered; gaps stay holes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

struct forward {
    int fd;   /* borrowed */
    int code; /* of the first write that failed */
    uint64_t base;
    size_t used; /* bytes from `base` on that are not written yet */
    uint8_t *buffer;
};

int forward_init(struct forward *f, int fd, struct err *e);
/* `at` is at or behind the end of the piece before. */
void forward_put(struct forward *f, uint64_t at, const void *data, size_t size);
/* Write what is left, and say how it went. */
int forward_finish(struct forward *f, struct err *e);
/* Takes a zeroed one. */
void forward_fini(struct forward *f);
