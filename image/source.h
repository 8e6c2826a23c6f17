// SPDX-License-Identifier: Apache-2.0
/* Where an image comes from: files by name, of a directory, a tar file or a
 * registry (documents only). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "image/tarfile.h"

struct err;
struct imgref;
struct remote;

struct source {
    int fd; /* the directory, or the tar file */
    int is_tar;
    int is_packed; /* a compressed archive: source_unpack() comes next */
    struct tarfile tar;
    struct remote *remote; /* not NULL: documents come from there; borrowed */
};

/* Contents of one file: `size` bytes at `offset` of `fd`, which is owned. */
struct extent {
    int fd;
    uint64_t offset;
    uint64_t size;
};

/* source_close() takes a zeroed one, whose fd it leaves alone. */
int source_open(struct source *s, const struct imgref *ref, struct err *e);
void source_close(struct source *s);

/* A tar file that is open already; `fd` is borrowed. */
int source_open_tar(struct source *s, int fd, struct err *e);

/* Go on with `fd`, an empty file that is borrowed: it gets the contents. */
int source_unpack(struct source *s, int fd, struct err *e);

/* The caller closes out->fd. -ENOENT with "NAME: missing". */
int source_find(const struct source *s, const char *name, struct extent *out,
                struct err *e);

/* Whole file, NUL-terminated, at most `max` bytes; the caller frees *out. */
int source_read(const struct source *s, const char *name, size_t max,
                char **out, size_t *size, struct err *e);
