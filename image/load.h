// SPDX-License-Identifier: Apache-2.0
/* oci-archive or docker-archive -> images of the store with the names and all
 * blobs that it has: limpet load. */
#pragma once

struct err;

struct load_request {
    const char *root; /* of the store */
    const char *arch; /* amd64 or arm64 */
    const char *file; /* NULL: standard input */
};

/* Prints a line per name, as docker does. Confines the process for good. */
int load_archive(const struct load_request *q, struct err *e);
