// SPDX-License-Identifier: Apache-2.0
/* One layer blob (a tar, possibly compressed) -> data file and index. */
#pragma once

#include "image/stream.h"

struct err;

enum {
    /* Holes of one layer, together. A sparse map is a few bytes that claim
     * any size; the window and the guest pay for the claim. */
    LAYER_HOLES_MAX_GIB = 4,
};

/*
 * Convert the blob of `spec` into two empty files. The tar is hostile: every
 * path is checked and normalised, digests are verified before this returns 0.
 * Errors name the blob, the entry and the reason.
 */
int layer_convert(const struct stream_spec *spec, int data_fd, int index_fd,
                  struct err *e);
