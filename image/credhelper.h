// SPDX-License-Identifier: Apache-2.0
/* docker-credential-NAME: a program that keeps credentials. */
#pragma once

struct creds;
struct err;

/* 1 and *out, 0 when it has none, or an error. */
int credhelper_get(const char *name, const char *server, struct creds *out,
                   struct err *e);
int credhelper_store(const char *name, const char *server,
                     const struct creds *c, struct err *e);
int credhelper_erase(const char *name, const char *server, struct err *e);
