// SPDX-License-Identifier: Apache-2.0
#include "image/blob.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "image/oci.h"

void blob_name(char out[STORE_NAME_SIZE], const char *hex)
{
    (void)snprintf(out, STORE_NAME_SIZE, "blobs/%.64s", hex);
}

bool blob_has(const struct store *s, const char *hex)
{
    char name[STORE_NAME_SIZE];
    blob_name(name, hex);
    return store_has(s, name);
}

int blob_prepare(struct store *s, const char *hex, const char *text,
                 size_t size, struct store_temp *t, struct err *e)
{
    *t = (struct store_temp){0};
    if (blob_has(s, hex))
        return 0;
    int code = store_temp_write(s, t, text, size, e);
    return code == 0 ? store_temp_seal(s, t, false, e) : code;
}

int blob_put(struct store *s, const char *hex, const char *text, size_t size,
             struct err *e)
{
    char name[STORE_NAME_SIZE];
    struct store_temp t;
    blob_name(name, hex);
    int code = blob_prepare(s, hex, text, size, &t, e);
    if (code == 0)
        code = store_temp_commit(s, &t, name, e);
    store_temp_drop(s, &t);
    return code;
}

bool blob_has_image(const struct store *s, const char *hex)
{
    char name[STORE_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    size_t size;
    struct err ignored;
    struct oci_image img = {0};
    blob_name(name, hex);
    bool ok = path_read(s->root, name, OCI_DOCUMENT_MAX, &text, &size,
                        &ignored) == 0 &&
              oci_parse_manifest(text, size, name, &img, &ignored) == 0 &&
              blob_has(s, img.config);
    for (size_t i = 0; ok && i < img.layer_count; i++)
        ok = blob_has(s, img.layers[i].digest);
    oci_fini(&img);
    return ok;
}
