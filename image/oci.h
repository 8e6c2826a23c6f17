// SPDX-License-Identifier: Apache-2.0
/*
 * Index, manifest and configuration documents (OCI image-spec 1.1 and docker
 * schema 2) -> one image, validated and bounded.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

struct err;
struct source;

enum {
    OCI_DOCUMENT_MAX = 4 << 20, /* bytes */
    OCI_LAYER_MAX = 512,
    OCI_DESCRIPTOR_MAX = 1024, /* over all nested indexes */
    OCI_NESTING_MAX = 4,
    OCI_NAME_SIZE = 256,
};

struct oci_layer {
    char name[OCI_NAME_SIZE];     /* of its file in the source */
    char digest[SHA256_HEX_SIZE]; /* "" when unknown (docker-archive) */
    uint64_t size;                /* meaningful with a digest */
    char diff_id[SHA256_HEX_SIZE];
};

struct oci_image {
    char manifest[SHA256_HEX_SIZE];
    char config[SHA256_HEX_SIZE];
    uint64_t config_size;
    struct oci_layer *layers; /* owned */
    size_t layer_count;
    json_t *doc;         /* the configuration document, owned */
    char *manifest_text; /* owned; NULL: there is none (docker-archive) */
    size_t manifest_size;
    char *config_text; /* owned, config_size bytes */
};

/* Takes a zeroed one too. */
void oci_fini(struct oci_image *img);

/*
 * The image for linux/`arch` that `tag` names ("" when there is only one).
 * Every document is checked against its digest and size. *img is for
 * oci_fini() even on failure.
 */
int oci_select(const struct source *s, const char *tag, const char *arch,
               struct oci_image *img, struct err *e);

/* The image that a descriptor of index.json leads to. */
int oci_select_item(const struct source *s, const json_t *item,
                    const char *arch, struct oci_image *img, struct err *e);

/* The one of an item of manifest.json. */
int docker_select_item(const struct source *s, const json_t *item,
                       const char *arch, struct oci_image *img, struct err *e);

/* The same for docker-archive's manifest.json (docker.c). */
int docker_select(const struct source *s, const char *tag, const char *arch,
                  struct oci_image *img, struct err *e);

/* "sha256:" and 64 lower-case hex digits -> the digits. */
int oci_parse_digest(const char *text, const char *where,
                     char out[SHA256_HEX_SIZE], struct err *e);

/* Manifest text -> config and layers. */
int oci_parse_manifest(const char *text, size_t size, const char *where,
                       struct oci_image *img, struct err *e);

/* Configuration text -> doc and the layers' diff_ids. 1 when it is for
 * linux/`arch`; if not, 0, and nothing else was looked at. */
int oci_parse_config(const char *text, size_t size, const char *where,
                     const char *arch, struct oci_image *img, struct err *e);

/* "os/architecture" of a configuration document or platform object, into
 * `out`; unprintable characters are replaced. */
void oci_platform_text(const json_t *o, char out[64]);

/* Read and verify a document called by its digest. */
int oci_read_blob(const struct source *s, const char *hex, uint64_t size,
                  char **out, struct err *e);
