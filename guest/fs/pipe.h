// SPDX-License-Identifier: Apache-2.0
/* Pipes and FIFOs. pipe(7), fifo(7). */
#pragma once

#include "guest/core/types.h"

struct file;
struct file_ops;
struct inode;

/* pipe_get and fifo_open make the inode's pipe on first use. */
void pipe_free(struct inode *i); /* the inode goes away */
bool file_is_pipe(const struct file *f);
/* Capacity in bytes; set rounds up to a power of two pages and returns what it
 * became: -EBUSY when the contents do not fit, -EPERM above 1 MiB. */
int64_t pipe_size(struct file *f);
int64_t pipe_set_size(struct file *f, uint64_t size);
