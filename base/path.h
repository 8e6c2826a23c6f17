// SPDX-License-Identifier: Apache-2.0
/* Files and directories, with errors that name them. */
#pragma once

#include <stddef.h>

struct err;

/* openat(2) with O_CLOEXEC added. Returns the fd or a negative errno. */
int path_open(int dirfd, const char *path, int flags, struct err *e);

/* mkdir -p with mode 0700 for what is new; returns an fd of the directory. */
int path_mkdirs(const char *path, struct err *e);

/* Whole file as a NUL-terminated string; more than `max` bytes is -EFBIG.
 * The caller frees *out. */
int path_read(int dirfd, const char *path, size_t max, char **out, size_t *size,
              struct err *e);

/* Write all of it and rename into place: never half there. `sync`: fsync it
 * before that and its directory after it. */
int path_replace(int dirfd, const char *path, const void *data, size_t size,
                 int sync, struct err *e);

/* write(2) until everything is written. 0 or a negative errno. */
int path_write_all(int fd, const void *data, size_t size);
