// SPDX-License-Identifier: Apache-2.0
/* Documents and layers as registries have them: blobs/HEX (docs/store.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "image/store.h"

struct err;

/* "blobs/HEX". */
void blob_name(char out[STORE_NAME_SIZE], const char *hex);

bool blob_has(const struct store *s, const char *hex);

/* Keep `text`, whose digest is `hex`; nothing to do when it is there. */
int blob_put(struct store *s, const char *hex, const char *text, size_t size,
             struct err *e);
/* The same up to its name: sealed, or *t without a file when it is there. */
int blob_prepare(struct store *s, const char *hex, const char *text,
                 size_t size, struct store_temp *t, struct err *e);

/* Whether the manifest `hex`, its configuration and its layers are there. */
bool blob_has_image(const struct store *s, const char *hex);
