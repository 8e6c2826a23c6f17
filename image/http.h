// SPDX-License-Identifier: Apache-2.0
/* libcurl as we use it: TLS, private CAs, proxies (its environment variables),
 * and a token per registry endpoint. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "image/creds.h"
#include "image/registry.h"

struct err;

enum { HTTP_TOKEN_SIZE = 16 << 10, HTTP_TOKEN_ANSWER_MAX = 64 << 10 };

struct http {
    const char *cert_dir; /* --cert-dir, or NULL; borrowed */
    char *ca;             /* PEM of all trusted CAs; NULL: the system's */
    size_t ca_size;
    char ca_host[256]; /* whose they are */
    char cert[300];    /* client certificate and key, "" when none */
    char key[300];
};

/* What one endpoint wants from us. */
struct http_auth {
    struct registry_challenge challenge;
    char header[HTTP_TOKEN_SIZE + 64]; /* "Authorization: ...", or "" */
};

void http_fini(struct http *h);

/* A handle with everything set but the URL; NULL when out of memory. */
CURL *http_new(struct http *h, const struct registry_endpoint *to,
               struct err *e);

/*
 * Fill auth->header as its challenge asks: Basic, or a token for `scope` (one
 * or more with spaces between) fetched from the realm (blocks, 30 s at most).
 * -EACCES names what refused.
 */
int http_authorize(struct http *h, const struct registry_endpoint *to,
                   struct http_auth *auth, const struct creds *creds,
                   const char *scope, struct err *e);

/* A header line's value in `out` if its name is `name`, else NULL. */
const char *http_header(const char *line, size_t n, const char *name, char *out,
                        size_t room);

/* The number in a status line, "HTTP/1.1 200 OK"; 0: there is none. */
long http_status(const char *line, size_t n);

/* After `r` from an endpoint that never answered: https is not spoken there,
 * http is allowed, and `to` says so from now on. */
bool http_fall_back(struct registry_endpoint *to, CURLcode r);

/* "what libcurl says" with advice on certificates. */
int http_error(CURLcode code, const char *detail,
               const struct registry_endpoint *to, struct err *e);
