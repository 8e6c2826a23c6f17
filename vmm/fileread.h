// SPDX-License-Identifier: Apache-2.0
/* Whole ranges of an inherited file. */
#pragma once

#include <stdint.h>

struct err;

/* Exactly `size` bytes at `off`; a file that ends sooner is -ENOEXEC. `what`
 * names it in the message. */
int file_read(int fd, void *out, uint64_t size, uint64_t off, const char *what,
              struct err *e);

/* Bytes in the file. */
int file_size(int fd, uint64_t *size, const char *what, struct err *e);
