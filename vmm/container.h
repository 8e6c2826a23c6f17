// SPDX-License-Identifier: Apache-2.0
/* A configured container -> the record of abi/boot.h. */
#pragma once

#include <stddef.h>

struct buf;
struct vm_config;

/* Append the record of c->container to `b` (check b->failed). */
void container_write(struct buf *b, const struct vm_config *c);
