// SPDX-License-Identifier: Apache-2.0
/* A process that converts one layer after another, from a pipe (fetch.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"

struct store;

struct worker_job {
    uint64_t size; /* of the blob */
    bool keep;     /* the blob, too */
    char digest[SHA256_HEX_SIZE];
    char diff_id[SHA256_HEX_SIZE];
};

struct worker {
    int jobs;    /* struct worker_job, written */
    int results; /* struct err, read; code 0: done */
};

/* Fork one that reads layers from `data`; it enters the sandbox by itself and
 * ends when `jobs` is closed. `data` stays the caller's. */
int worker_start(struct store *s, int data, struct worker *out, struct err *e);
