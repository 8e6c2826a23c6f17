// SPDX-License-Identifier: Apache-2.0
/* The process that has the network (fetch.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct fetcher;
struct regname;

enum { FETCHER_CHALLENGE_SIZE = 1024 };

/* What a pull came to: the image, and what its name led to (an index or the
 * image itself). */
struct fetcher_result {
    char hex[SHA256_HEX_SIZE];
    char root[SHA256_HEX_SIZE];
};

struct fetcher_options {
    const struct regname *name; /* borrowed */
    const char *cert_dir;       /* or NULL */
    bool tls_verify;
    bool quiet;
    uint64_t limit_rate; /* bytes per second over all layers; 0: none */
    unsigned backoff_ms; /* before the first retry; 0: 500 */
};

int fetcher_new(const struct fetcher_options *o, struct fetcher **out,
                struct err *e);
void fetcher_free(struct fetcher *f);

/*
 * What the registry's tag points to now; "" when the registry does not say.
 * `challenge` is how it asked for credentials the last time, or "": knowing it
 * saves a round trip.
 */
int fetcher_head(struct fetcher *f, const char *challenge,
                 char digest[SHA256_HEX_SIZE], struct err *e);

/* How the registry asked for credentials, "" if it did not; borrowed. */
const char *fetcher_challenge(const struct fetcher *f);

/*
 * Serve the converter at `sock` with workers' pipes (non-blocking here) until
 * it is done: 0 and *out, or its failure.
 */
int fetcher_serve(struct fetcher *f, int sock, const int *pipes,
                  unsigned pipe_count, struct fetcher_result *out,
                  struct err *e);
