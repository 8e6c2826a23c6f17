// SPDX-License-Identifier: Apache-2.0
/* Other programs: nft, passt, our own helper. */
#pragma once

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
