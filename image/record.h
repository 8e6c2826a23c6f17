// SPDX-License-Identifier: Apache-2.0
/* The JSON record of a converted image: docs/store.md. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct oci_image;

struct record {
    const struct oci_image *image;
    json_t *run;              /* of record_read_run(), borrowed */
    const char *const *files; /* relative to the store, in window order */
    size_t file_count;
    uint64_t size; /* of the window, bytes */
    char *passwd;  /* text of /etc/passwd, or NULL; taken apart in place */
    char *group;
};

/* How to run it, taken from the configuration; the caller json_decrefs. NULL
 * and *e, naming the configuration, when a setting has the wrong type. */
json_t *record_read_run(const struct oci_image *image, struct err *e);

/* The record as text; the caller frees. NULL and *e when out of memory. */
char *record_build(const struct record *r, struct err *e);

/* `created` of a configuration as seconds, 0 when absent or malformed. */
uint64_t record_created(const json_t *config_doc);
