// SPDX-License-Identifier: Apache-2.0
/* A converted image as the launcher sees it: images/HEX.json and its files. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct err;

enum { IMAGESPEC_FILES_MAX = 160 }; /* as many as limpet-vmm takes */

struct imagespec {
    json_t *doc;                  /* owned */
    int fds[IMAGESPEC_FILES_MAX]; /* owned, window order */
    size_t fd_count;
};

/* HEX of a reference that is converted already, through ROOT/refs, or of an
 * image's ID. A name comes before an ID, as docker has it.
 * -ENOENT (no message) if it is not. `root` is the directory fd of ROOT. */
int imagespec_lookup(int root, const char *ref, const char *arch, char hex[65],
                     struct err *e);
/* Read and open everything. The files' names are checked to stay in ROOT. */
int imagespec_open(int root, const char *hex, struct imagespec *out,
                   struct err *e);
void imagespec_fini(struct imagespec *i);

/* Borrowed: "meta/HEX.erofs" and so on. */
const char *imagespec_file(const struct imagespec *i, size_t index);
