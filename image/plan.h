// SPDX-License-Identifier: Apache-2.0
/*
 * What a push has to send: the blobs and documents that an image, or an index
 * with all its platforms, consists of. A process of its own reads the
 * documents, which strangers wrote.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct regname;
struct store;

enum {
    PLAN_BLOBS_MAX = 16 << 10,
    PLAN_DOCUMENTS_MAX = 1024,
    PLAN_TEXT_MAX = 16 << 20, /* of all documents together */
    PLAN_TYPE_SIZE = 96,
};

struct plan_blob {
    char digest[SHA256_HEX_SIZE];
    uint64_t size;
    uint32_t local; /* blobs/ of the store has it, all of it */
};

struct plan_document {
    char digest[SHA256_HEX_SIZE];
    char type[PLAN_TYPE_SIZE]; /* its media type */
    size_t at, size;           /* in the plan's text */
};

struct plan {
    struct plan_blob *blobs; /* owned, no digest twice */
    size_t blob_count;
    /* Owned; what a document names comes before it, the root last. */
    struct plan_document *documents;
    size_t document_count;
    char *text; /* owned */
    size_t text_size;
};

struct plan_request {
    struct store *store;
    const char *hex;            /* of an index or a manifest */
    const struct regname *from; /* where documents are that the store lacks */
    int sock;                   /* its fetcher (fetch.h); -1: there is none */
};

/* Runs in a forked child, which confines itself first, and writes the plan, or
 * why there is none, to `out`. Ends the fetcher's service. Never returns. */
_Noreturn void plan_main(const struct plan_request *q, int out);

/* The parent's side: read and check it. plan_fini() takes a zeroed one. */
int plan_read(int fd, struct plan *p, struct err *e);
void plan_fini(struct plan *p);
