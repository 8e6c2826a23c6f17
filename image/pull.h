// SPDX-License-Identifier: Apache-2.0
/*
 * An image of a registry -> the store, converted while it arrives. Three kinds
 * of processes (fetch.h): this one keeps the network, the converter and its
 * workers are forked and confined.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct image_request;
struct store;

struct pull_options {
    const char *cert_dir; /* or NULL */
    bool tls_verify;
    bool quiet;
    bool nameless;       /* do not remember what the reference led to */
    bool keep_blobs;     /* of layers; documents are always kept */
    uint64_t limit_rate; /* bytes per second; 0: none */
    unsigned backoff_ms; /* before the first retry; 0: 500 */
};

enum pull_result { PULL_FETCHED, PULL_UP_TO_DATE };

/*
 * `hex` names the image in the store afterwards. The request's reference is a
 * registry's. Not for a process with threads.
 */
int pull_image(struct store *s, const struct image_request *q,
               const struct pull_options *o, char hex[SHA256_HEX_SIZE],
               enum pull_result *result, struct err *e);
