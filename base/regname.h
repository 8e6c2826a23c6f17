// SPDX-License-Identifier: Apache-2.0
/*
 * Names of images in registries, as docker writes them: HOST[:PORT]/REPO[:TAG]
 * [@DIGEST], Docker Hub's short forms included (the grammar of the OCI
 * distribution specification 1.1 and of its reference implementation).
 */
#pragma once

#include "base/sha256.h"

struct err;

enum {
    REGNAME_HOST_SIZE = 256,
    REGNAME_REPO_SIZE = 256,
    REGNAME_TAG_SIZE = 129
};

struct regname {
    char host[REGNAME_HOST_SIZE]; /* with :PORT if given; docker.io for Hub */
    char repo[REGNAME_REPO_SIZE]; /* library/ filled in for Hub */
    char tag[REGNAME_TAG_SIZE];   /* "latest" if there is no digest either */
    char digest[SHA256_HEX_SIZE]; /* "" when not given */
};

enum { REGNAME_TEXT_SIZE = 768 };

/* With or without "docker://". -EINVAL and what is wrong with it. */
int regname_parse(const char *text, struct regname *out, struct err *e);

/* HOST/REPO[:TAG][@sha256:DIGEST], whole. */
void regname_text(const struct regname *n, char out[REGNAME_TEXT_SIZE]);

/* The same as people write it: without docker.io/ and library/. */
void regname_familiar(const struct regname *n, char out[REGNAME_TEXT_SIZE]);
