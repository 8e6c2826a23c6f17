// SPDX-License-Identifier: Apache-2.0
/* Public face: an image reference -> files of the store (docs/image.md). */
#pragma once

#include <stdbool.h>

#include "base/sha256.h"

struct err;
struct imgref;
struct pull_options;

struct image_request {
    const char *root; /* of the store */
    const char *arch; /* amd64 or arm64 */
    const char *text; /* the reference as given */
    const struct imgref *ref;
    bool confine; /* give up the process's rights before parsing (sandbox.h) */
    const struct pull_options *pull; /* pull.h; NULL: defaults */
};

/* Convert, or pull, unless the store has it already. `hex` names it there. */
int image_ensure(const struct image_request *q, char hex[SHA256_HEX_SIZE],
                 struct err *e);

/*
 * Ask the registry whether the reference leads elsewhere by now, and fetch
 * that. *fresh: the store had it. References to files: image_ensure().
 */
int image_pull(const struct image_request *q, char hex[SHA256_HEX_SIZE],
               bool *fresh, struct err *e);

/* Like image_ensure(), but -ENOENT (without *e) instead of converting. */
int image_resolve(const struct image_request *q, char hex[SHA256_HEX_SIZE],
                  struct err *e);

/* The layers as the reference, whose image must still be `hex`, has them: kept
 * in the store for those who save or push the image. */
int image_keep(const struct image_request *q, const char *hex, struct err *e);

/* Ensure, then write the concatenation of the image's files to `file`; on
 * failure there is no such file. */
int image_export(const struct image_request *q, const char *file,
                 struct err *e);
