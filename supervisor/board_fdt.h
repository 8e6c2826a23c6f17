// SPDX-License-Identifier: Apache-2.0
/* What a device tree says about a machine. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct err;

/*
 * Put the facts of a device tree blob into the set `facts`, its root's
 * compatible strings and what was odd into the arrays. The blob is not
 * trusted. A blob that is no device tree is -EINVAL (-EFBIG) with one line; a
 * node that makes no sense only leads to a warning and a missing fact.
 */
int board_fdt_read(const void *blob, size_t size, const char *where,
                   json_t *facts, json_t *warnings, struct err *e);
