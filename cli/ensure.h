// SPDX-License-Identifier: Apache-2.0
/* An image in the store, converting it only if it is not there. */
#pragma once

#include "cli/run.h"

struct err;
struct host;
struct state;

/* HEX of o->image, got as o->pull says, and in *store the directory that has
 * it, borrowed from `s`. When limpet-image fails it has printed why, and the
 * message in *e is empty. */
int ensure_image(const struct host *h, const struct state *s,
                 const struct run_opts *o, char hex[65], int *store,
                 struct err *e);
