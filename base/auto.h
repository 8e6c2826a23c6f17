// SPDX-License-Identifier: Apache-2.0
/* Scope-bound release for locals of host functions. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void auto_free_ptr(void *p)
{
    free(*(void **)p);
}

static inline void auto_close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#define AUTO_FREE  __attribute__((cleanup(auto_free_ptr)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_fd)))

/* Hand ownership of *fd to the caller: the scope no longer closes it. */
static inline int fd_release(int *fd)
{
    int out = *fd;
    *fd = -1;
    return out;
}

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
