// SPDX-License-Identifier: Apache-2.0
/*
 * A registry's image as a source: the fetcher's documents under the names of an
 * OCI layout, so that selection knows one kind of source.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct fetch_answer;
struct fetch_ask;
struct regname;

struct remote {
    const struct regname *name; /* borrowed */
    int sock;                   /* to the fetcher; borrowed */
    char root[SHA256_HEX_SIZE]; /* of what the name led to, "" before */
    char *root_text;            /* owned */
    size_t root_size;
    char config[SHA256_HEX_SIZE]; /* the last manifest's: a blob */
};

void remote_fini(struct remote *r);

/* source_read() for "oci-layout", "index.json" and "blobs/sha256/HEX". */
int remote_read(struct remote *r, const char *name, size_t max, char **out,
                size_t *size, struct err *e);

/* The messages of fetch.h; -EIO when the fetcher is gone. */
int remote_ask(const struct remote *r, const struct fetch_ask *ask,
               struct err *e);
int remote_answer(const struct remote *r, struct fetch_answer *out,
                  struct err *e);
