// SPDX-License-Identifier: Apache-2.0
/* Names of tar entries: checked, normalised, whiteouts recognised. Pure. */
#pragma once

#include <stddef.h>

#include "image/index.h"

struct err;

struct tarpath {
    char text[INDEX_PATH_MAX + 1];
    size_t size;
};

/*
 * Strip leading "/", "./", empty and "." components; resolve ".." by name.
 * -EINVAL when it leaves the root, -ENAMETOOLONG for a component over 255 or
 * a result over 4095 bytes. The result "" is the root.
 */
int tarpath_normalise(const char *name, struct tarpath *out, struct err *e);

enum tarpath_kind {
    TARPATH_PLAIN,
    TARPATH_WHITEOUT, /* p becomes the path to remove */
    TARPATH_OPAQUE,   /* p becomes the directory */
    TARPATH_IGNORED,  /* other ".wh..wh." files: aufs keeps its books there */
};

/* What the last component says (OCI layer.md, "Whiteouts"). -EINVAL when it
 * would remove "", "." or "..". */
int tarpath_whiteout(struct tarpath *p, enum tarpath_kind *kind, struct err *e);
