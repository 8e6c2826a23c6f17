// SPDX-License-Identifier: Apache-2.0
#include "image/remote.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "base/regname.h"
#include "image/fetch.h"

void remote_fini(struct remote *r)
{
    free(r->root_text);
    *r = (struct remote){0};
}

static int remote_read_all(int fd, void *to, size_t size, struct err *e)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, -EIO, "the downloading process is gone");
        done += (size_t)n;
    }
    return 0;
}

int remote_ask(const struct remote *r, const struct fetch_ask *ask,
               struct err *e)
{
    if (path_write_all(r->sock, ask, sizeof(*ask)) < 0)
        return err_set(e, -EIO, "the downloading process is gone");
    return 0;
}

int remote_answer(const struct remote *r, struct fetch_answer *out,
                  struct err *e)
{
    return remote_read_all(r->sock, out, sizeof(*out), e);
}

/* A document of at most ask->size bytes; the caller frees *out. */
static int remote_get(const struct remote *r, struct fetch_ask *ask, char **out,
                      size_t *size, struct err *e)
{
    struct fetch_answer a = {0};
    ask->slot = FETCH_NO_SLOT;
    int code = remote_ask(r, ask, e);
    if (code == 0)
        code = remote_answer(r, &a, e);
    if (code < 0)
        return code;
    if (a.failed.code < 0) {
        *e = a.failed;
        return e->code;
    }
    if (a.size > ask->size)
        return err_set(e, -EPROTO, "%.100s: more than was asked for",
                       ask->name);
    AUTO_FREE char *text = malloc((size_t)a.size + 1);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    code = remote_read_all(r->sock, text, a.size, e);
    if (code < 0)
        return code;
    text[a.size] = '\0';
    *size = a.size;
    *out = text;
    text = NULL;
    return 0;
}

/* A manifest names its configuration, which is a blob; all else that selection
 * reads is a manifest. */
static void remote_note_config(struct remote *r, const char *text, size_t size)
{
    static const char prefix[] = "sha256:";
    struct err ignored;
    json_t *doc = json_parse(text, size, "manifest", &ignored);
    const char *digest = json_string_value(
        json_object_get(json_object_get(doc, "config"), "digest"));
    if (digest != NULL && strncmp(digest, prefix, sizeof(prefix) - 1) == 0)
        (void)snprintf(r->config, sizeof(r->config), "%s",
                       digest + sizeof(prefix) - 1);
    json_decref(doc);
}

static int remote_fetch_root(struct remote *r, size_t max, struct err *e)
{
    const struct regname *n = r->name;
    struct fetch_ask ask = {.op = FETCH_MANIFEST, .size = max};
    const char *name = ask.name;
    (void)snprintf(ask.name, sizeof(ask.name), "%s%s",
                   n->digest[0] != '\0' ? "sha256:" : "",
                   n->digest[0] != '\0' ? n->digest : n->tag);
    int code = remote_get(r, &ask, &r->root_text, &r->root_size, e);
    if (code < 0)
        return code;
    sha256_text(r->root_text, r->root_size, r->root);
    if (n->digest[0] != '\0' && strcmp(n->digest, r->root) != 0)
        return err_set(e, -EBADMSG, "%s: wrong digest: contents are sha256:%s",
                       name, r->root);
    if (strstr(r->root_text, "\"fsLayers\"") != NULL)
        return err_set(e, -ENOTSUP,
                       "%s: a schema 1 manifest of 2016; push the image again "
                       "with a current docker",
                       name);
    remote_note_config(r, r->root_text, r->root_size);
    return 0;
}

static int remote_copy(const char *text, size_t n, size_t max, char **out,
                       size_t *size, struct err *e)
{
    if (n > max)
        return err_set(e, -EFBIG, "larger than %zu bytes", max);
    *out = malloc(n + 1);
    if (*out == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    memcpy(*out, text, n);
    (*out)[n] = '\0';
    *size = n;
    return 0;
}

static int remote_read_blob(struct remote *r, const char *hex, size_t max,
                            char **out, size_t *size, struct err *e)
{
    struct fetch_ask ask = {.size = max};
    if (strcmp(hex, r->root) == 0)
        return remote_copy(r->root_text, r->root_size, max, out, size, e);
    bool blob = strcmp(hex, r->config) == 0;
    ask.op = blob ? FETCH_DOCUMENT : FETCH_MANIFEST;
    (void)snprintf(ask.name, sizeof(ask.name), "sha256:%s", hex);
    int code = remote_get(r, &ask, out, size, e);
    if (code == 0 && !blob)
        remote_note_config(r, *out, *size);
    return code;
}

int remote_read(struct remote *r, const char *name, size_t max, char **out,
                size_t *size, struct err *e)
{
    static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    static const char blobs[] = "blobs/sha256/";
    char index[256];
    if (strcmp(name, "oci-layout") == 0)
        return remote_copy(layout, sizeof(layout) - 1, max, out, size, e);
    if (strncmp(name, blobs, sizeof(blobs) - 1) == 0)
        return remote_read_blob(r, name + sizeof(blobs) - 1, max, out, size, e);
    int code = remote_fetch_root(r, max, e);
    if (code < 0)
        return code;
    int n = snprintf(index, sizeof(index),
                     "{\"schemaVersion\":2,\"manifests\":[{\"digest\":"
                     "\"sha256:%s\",\"size\":%zu}]}",
                     r->root, r->root_size);
    return remote_copy(index, (size_t)n, max, out, size, e);
}
