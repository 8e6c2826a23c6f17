// SPDX-License-Identifier: Apache-2.0
/*
 * The OCI distribution protocol 1.1 without its transport: addresses, who asks
 * for which credentials (RFC 7235, the token specification of the reference
 * registry), and how registries say what went wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/regname.h"

struct err;

enum registry_auth {
    REGISTRY_AUTH_NONE,
    REGISTRY_AUTH_BASIC,
    REGISTRY_AUTH_BEARER,
};

struct registry_challenge {
    enum registry_auth kind;
    char realm[1024]; /* URL of the token server */
    char service[256];
    char scope[512]; /* "" when it names none */
};

/* One place that may have the image: a mirror, or the registry itself. */
struct registry_endpoint {
    char url[320];  /* scheme and host, no slash at the end */
    char host[256]; /* with its port */
    bool insecure;  /* certificates are not checked */
    bool http_too;  /* try http when https is not spoken there */
};

enum { REGISTRY_ENDPOINTS_MAX = 9, REGISTRY_URL_SIZE = 1024 };

/* A WWW-Authenticate header's value. -EINVAL when it is none we know. */
int registry_parse_challenge(const char *text, struct registry_challenge *out);

/* Mirrors from registries.json (docs/image.md), then the registry. Returns how
 * many, or a negative errno. */
int registry_endpoints(const char *host, bool tls_verify,
                       struct registry_endpoint *out, struct err *e);

/* {"token"} or {"access_token"} of a token server's answer. */
int registry_parse_token(const char *text, size_t size, char *out, size_t room,
                         struct err *e);

/* "code: message" of an error answer, printable, or "" when it has none. */
void registry_error_text(const char *text, size_t size, char out[200]);

/* Percent-encode for a query (RFC 3986). False when it does not fit. */
bool registry_encode(const char *text, char *out, size_t room);
