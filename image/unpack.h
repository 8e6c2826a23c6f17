// SPDX-License-Identifier: Apache-2.0
/* Compressed archives: gzip, zstd, xz or bzip2 around a whole tar file. */
#pragma once

#include <stdbool.h>

struct err;

/* Whether `fd` starts as one of them does. */
bool unpack_is_packed(int fd);

/* All of `from` (read with pread(2)), uncompressed, to `to`; both borrowed.
 * -EBADMSG: damaged; -EFBIG: more than 64 GiB. */
int unpack_file(int from, int to, struct err *e);
