// SPDX-License-Identifier: Apache-2.0
/* Image references (a registry's, or skopeo's transport names for files), and
 * their store keys. */
#pragma once

#include <limits.h>

#include "base/regname.h"
#include "base/sha256.h"

struct err;

enum imgref_kind {
    IMGREF_OCI,
    IMGREF_OCI_ARCHIVE,
    IMGREF_DOCKER_ARCHIVE,
    IMGREF_REGISTRY,
};

struct imgref {
    enum imgref_kind kind;
    char path[PATH_MAX]; /* as given; IMGREF_REGISTRY: regname_text() */
    char tag[256];       /* "" when not given */
    struct regname name; /* IMGREF_REGISTRY only */
};

/* Parse `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`
 * or `[docker://]NAME` (base/regname.h). -EINVAL with advice otherwise. */
int imgref_parse(const char *text, struct imgref *out, struct err *e);

/*
 * Name under ROOT/refs (docs/store.md): changes whenever the layout's
 * index.json or the archive file changes. Reads the file system, except for
 * a registry's name, whose key is the name.
 */
int imgref_key(const struct imgref *r, const char *arch,
               char out[SHA256_HEX_SIZE], struct err *e);
