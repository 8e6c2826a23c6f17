// SPDX-License-Identifier: Apache-2.0
/* A device tree as the kernel shows it, directories and files -> a blob. */
#pragma once

#include <stddef.h>

struct err;

/* Pack the directory at `path` (a symbolic link is followed). The caller
 * frees *blob. -ENOENT if it is not there; -EFBIG above TREE_SIZE_MAX bytes
 * or TREE_DEPTH_MAX levels. */
int livetree_pack(const char *path, char **blob, size_t *size, struct err *e);
