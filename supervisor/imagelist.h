// SPDX-License-Identifier: Apache-2.0
/* What images a store has, and under which names (docs/store.md). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/regname.h"

struct err;

/* A name and the image it leads to. An image without a name is one entry whose
 * `ref` is "". */
struct imagelist_entry {
    char key[SHA256_HEX_SIZE];    /* of refs/, "" without a name */
    char ref[REGNAME_TEXT_SIZE];  /* docker://NAME or as given */
    struct regname name;          /* host "" when it is no registry's */
    char root[SHA256_HEX_SIZE];   /* what the name led to there, or "" */
    char hex[SHA256_HEX_SIZE];    /* of images/HEX.json */
    char config[SHA256_HEX_SIZE]; /* docker's image ID */
    char platform[32];            /* "linux/amd64" */
    int64_t created_ns;           /* CLOCK_REALTIME; 0: not said */
    uint64_t size;                /* bytes its files have on disk */
};

/* Newest first; the caller frees *out. `root` is the store's directory fd.
 * Files that are damaged are left out. */
int imagelist_read(int root, struct imagelist_entry **out, size_t *count,
                   struct err *e);

/*
 * The image that `text` names by its ID: 4 to 64 digits of its configuration's
 * or manifest's digest, "sha256:" before them or not. -ENOENT without a
 * message; -EEXIST with one when several begin so.
 */
int imagelist_find_id(int root, const char *text, char hex[SHA256_HEX_SIZE],
                      struct err *e);
