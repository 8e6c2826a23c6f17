// SPDX-License-Identifier: Apache-2.0
/*
 * The order of an upload's requests: after each answer, or none, the next one,
 * a retry, credentials, or the end and a message that says what to do.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/creds.h"
#include "image/http.h"
#include "image/registry.h"

struct regname;
struct upload;

enum { PUSHNEXT_MOUNTED_SIZE = 300 };

/* What all uploads of a push share. */
struct pushnext {
    const struct regname *name; /* where to; borrowed */
    const struct regname *from; /* where missing blobs are, or NULL; borrowed */
    unsigned backoff_ms;        /* before the first retry; 0: 500 */
    struct http http;
    struct creds creds;
    struct registry_endpoint to;
    struct http_auth auth;
    bool answered; /* by anybody, ever */
    bool settled;  /* it is known what credentials it takes */
    bool mount;    /* `from` is another repository of the same registry */
    char mounted[PUSHNEXT_MOUNTED_SIZE]; /* "Mounted from X", for people */
};

int64_t pushnext_now(void); /* ms, monotonic */

/* The request of u->step, which went to `url`, ended with `r`. */
void pushnext_answer(struct pushnext *n, struct upload *u, CURLcode r,
                     const char *url);

/* The end, with what u->failed says. */
void pushnext_fail(struct upload *u);
