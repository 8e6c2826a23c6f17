// SPDX-License-Identifier: Apache-2.0
/* Other programs: nft, passt, our own helper. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

/*
 * Run argv[0], of PATH or a system directory, with `text` (may be NULL) as its
 * standard input, and wait. -ENOENT without a message: not installed; -EIO with
 * the first line of its stderr: it failed.
 */
int run_feed(const char *const *argv, const char *text, struct err *e);

/* Where a program is; false: not installed. */
struct run_path {
    char text[256];
};
int run_find(const char *name, struct run_path *out);

/*
 * Start the program at `path` with fds[i] as its file i (-1: /dev/null) and
 * nothing else open; `daemon`: as nobody's child, so that only it knows when
 * it ends. Returns its pid (0 of a daemon).
 */
int run_start(const char *path, const char *const *argv, const int *fds,
              size_t fd_count, bool daemon, struct err *e);

/* What a program left of a message in `out` (a file): the last line that is
 * not only about syslog(3). */
void run_last_line(int out, char *text, size_t size);
/* A file in memory with `text` (may be NULL). Returns the fd. */
int run_memory(const char *text, struct err *e);
