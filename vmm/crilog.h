// SPDX-License-Identifier: Apache-2.0
/* Container output in the CRI log format: `TIME STREAM P|F TEXT`. */
#pragma once

#include <stddef.h>

/* One output stream of a container. Device thread only. */
struct crilog {
    int fd;           /* borrowed; -1: no log */
    const char *name; /* "stdout" or "stderr" */
};

/* Append `size` bytes. Whole lines are tagged F, a last piece without newline
 * P. A full disk loses log text, never output. */
void crilog_write(const struct crilog *l, const char *text, size_t size);
