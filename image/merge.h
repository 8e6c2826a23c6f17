// SPDX-License-Identifier: Apache-2.0
/* Replay of a layer's index onto the tree of the layers below it. */
#pragma once

#include <stdint.h>

struct err;
struct index;
struct tree;

/*
 * Apply layer number `layer`. Whiteouts come first: they hide what lower
 * layers have, never what this layer brings (OCI layer.md). `x` must outlive
 * the tree. -EINVAL for a hard link whose target is missing. Errors name the
 * entry.
 */
int merge_layer(struct tree *t, const struct index *x, uint32_t layer,
                struct err *e);
