// SPDX-License-Identifier: Apache-2.0
/* The process of a push that has the network: all uploads, some at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct plan;
struct pusher;
struct regname;

struct pusher_options {
    const struct regname *to;   /* borrowed; its tag is the root's */
    const struct regname *from; /* where missing blobs are, or NULL; borrowed */
    const char *cert_dir;       /* or NULL */
    bool tls_verify;
    bool quiet;
    uint64_t limit_rate; /* bytes per second over all uploads; 0: none */
    unsigned backoff_ms; /* before the first retry; 0: 500 */
    int store;           /* its directory; borrowed */
    int sock;            /* to a fetcher (fetch.h) of `from`, or -1; borrowed */
    const int *pipes;    /* FETCH_WORKERS_MAX of them, non-blocking; borrowed */
};

/* Finds credentials, which may run a helper. */
int pusher_new(const struct pusher_options *o, struct pusher **out,
               struct err *e);
void pusher_free(struct pusher *p);

/* Send what the plan has: blobs first, then documents in its order. */
int pusher_run(struct pusher *p, const struct plan *plan, struct err *e);
