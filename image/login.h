// SPDX-License-Identifier: Apache-2.0
/* Credentials that a registry accepts, kept where docker keeps them. */
#pragma once

#include <stdbool.h>

struct err;

struct login_request {
    const char *host;     /* as in names of images */
    const char *user;     /* NULL: ask on the terminal */
    const char *password; /* NULL: ask, without echo */
    bool from_stdin;      /* the password is standard input's first line */
    const char *cert_dir; /* or NULL */
    bool tls_verify;
};

/* Ask the registry whether it takes them; only then keep them. */
int login(const struct login_request *q, struct err *e);
int logout(const struct login_request *q, struct err *e);
