// SPDX-License-Identifier: Apache-2.0
/*
 * Names and removal of images (docs/store.md). What a pull or a conversion of
 * another process may be using is never removed: these fail with -EBUSY and a
 * message then. Running VMs keep the files they have open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct regname;
struct state;

/* `name` leads to image `hex` of `arch` from now on. */
int imagestore_tag(const struct state *s, const char *hex,
                   const struct regname *name, const char *arch, struct err *e);

struct imagestore_removed {
    unsigned names;  /* that no longer lead to an image */
    unsigned images; /* whose files may be gone */
    uint64_t bytes;  /* freed on disk */
};

/*
 * Remove the name with this key, and the image if that was its last one;
 * `key` NULL: all names of image `hex`, and it. `force`: also if containers,
 * ended ones, were made from it (-EBUSY otherwise), or it has several names.
 */
int imagestore_remove(const struct state *s, const char *key, const char *hex,
                      bool force, struct imagestore_removed *out,
                      struct err *e);

/*
 * Remove what no name leads to; with `all` also images no container was made
 * from, oldest first, until at most `keep` bytes are left.
 */
int imagestore_prune(const struct state *s, bool all, uint64_t keep,
                     struct imagestore_removed *out, struct err *e);
