// SPDX-License-Identifier: Apache-2.0
/* Image references with skopeo's transport names, and their store keys. */
#pragma once

#include <limits.h>

#include "base/sha256.h"

struct err;

enum imgref_kind { IMGREF_OCI, IMGREF_OCI_ARCHIVE, IMGREF_DOCKER_ARCHIVE };

struct imgref {
    enum imgref_kind kind;
    char path[PATH_MAX]; /* as given */
    char tag[256];       /* "" when not given */
};

/* Parse `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`.
 * -EINVAL with advice for anything else. */
int imgref_parse(const char *text, struct imgref *out, struct err *e);

/*
 * Name under ROOT/refs (docs/store.md): changes whenever the layout's
 * index.json or the archive file changes. Reads the file system.
 */
int imgref_key(const struct imgref *r, const char *arch,
               char out[SHA256_HEX_SIZE], struct err *e);
