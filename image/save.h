// SPDX-License-Identifier: Apache-2.0
/* Images of the store -> one archive, an OCI layout that is a docker-archive,
 * too (as docker 25 and later write it): limpet save. */
#pragma once

#include <stddef.h>

struct err;

struct save_request {
    const char *root;    /* of the store */
    const char *file;    /* NULL: standard output */
    char *const *images; /* HEX or HEX=NAME, an image may come often */
    size_t image_count;
};

/* -ENOENT names what the store lacks. On failure there is no such file. */
int save_archive(const struct save_request *q, struct err *e);
