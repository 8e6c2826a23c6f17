// SPDX-License-Identifier: Apache-2.0
/* Errors that carry their own explanation up to whoever prints them. */
#pragma once

#include <errno.h>

enum { ERR_MSG_SIZE = 512 };

/* Filled by the function that fails, printed by main(). Caller-allocated, so
 * that reporting cannot itself run out of memory. */
struct err {
    int code;               /* negative errno; 0: nothing failed */
    char msg[ERR_MSG_SIZE]; /* "thing: why", NUL-terminated, no newline */
};

/* Record `code` (negative errno) and a message in *e, which may be NULL.
 * Returns `code`. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Put "context: " before the message in *e. Returns e->code. */
int err_wrap(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));
