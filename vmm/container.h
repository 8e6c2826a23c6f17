// SPDX-License-Identifier: Apache-2.0
/* A configured container -> the record of abi/boot.h. */
#pragma once

#include <stddef.h>

struct buf;
struct config_container;
struct config_stdio;

/* Append the record to `b` (check b->failed). */
void container_write(struct buf *b, const struct config_container *c,
                     const struct config_stdio *stdio);
