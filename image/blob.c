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

int blob_put(struct store *s, const char *hex, const char *text, size_t size,
             struct err *e)
{
    char name[STORE_NAME_SIZE];
    struct store_temp t = {0};
    blob_name(name, hex);
    if (store_has(s, name))
        return 0;
    int code = store_temp_open(s, &t, e);
    if (code < 0)
        return code;
    code = path_write_all(t.fd, text, size);
    if (code < 0)
        (void)err_set(e, code, "%s/%s: %s", s->path, name, strerror(-code));
    if (code == 0)
        code = store_temp_commit(s, &t, name, false, e);
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
