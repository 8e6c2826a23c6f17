// SPDX-License-Identifier: Apache-2.0
#include "image/load.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "base/json.h"
#include "base/path.h"
#include "image/convert.h"
#include "image/keep.h"
#include "image/oci.h"
#include "image/sandbox.h"
#include "image/source.h"
#include "image/store.h"

enum { LOAD_COPY_SIZE = 256 << 10, LOAD_IMAGES_MAX = 1024 };

struct load {
    struct store store;
    struct source src;
    const char *arch;
};

/* Standard input may be a pipe, and members are read at random. */
static int load_spool(int to, struct err *e)
{
    AUTO_FREE char *chunk = malloc(LOAD_COPY_SIZE);
    if (chunk == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, LOAD_COPY_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "standard input: %s", strerror(errno));
        if (n == 0)
            return 0;
        int code = path_write_all(to, chunk, (size_t)n);
        if (code < 0)
            return err_set(e, code, "keeping standard input: %s",
                           strerror(-code));
    }
}

/* `src` reads on from files that have no name any more. */
static int load_open(struct load *l, const char *file, struct err *e)
{
    struct store_temp t = {0};
    int code;
    if (file != NULL) {
        struct imgref ref = {.kind = IMGREF_OCI_ARCHIVE};
        (void)snprintf(ref.path, sizeof(ref.path), "%s", file);
        code = source_open(&l->src, &ref, e);
    } else {
        code = store_temp_open(&l->store, &t, e);
        if (code == 0)
            code = load_spool(t.fd, e);
        if (code == 0)
            code = source_open_tar(&l->src, t.fd, e);
        store_temp_drop(&l->store, &t);
    }
    if (code == 0 && l->src.is_packed) {
        code = store_temp_open(&l->store, &t, e);
        if (code == 0)
            code = source_unpack(&l->src, t.fd, e);
        store_temp_drop(&l->store, &t);
    }
    return code;
}

static int load_name(struct load *l, const char *hex, const char *name,
                     struct err *e)
{
    struct imgref r = {.kind = IMGREF_REGISTRY};
    char key[SHA256_HEX_SIZE];
    char text[REGNAME_TEXT_SIZE + 16];
    char familiar[REGNAME_TEXT_SIZE];
    int code = regname_parse(name, &r.name, e);
    if (code == 0 && r.name.digest[0] != '\0')
        code = err_set(e, -EINVAL, "%.200s: a digest is no name", name);
    if (code < 0)
        return code;
    regname_text(&r.name, r.path);
    regname_familiar(&r.name, familiar);
    (void)snprintf(text, sizeof(text), "docker://%.767s", r.path);
    code = imgref_key(&r, l->arch, key, e);
    if (code == 0)
        code = store_put_ref(&l->store, key, hex, text, e);
    if (code == 0)
        (void)printf("Loaded image: %s\n", familiar);
    return code;
}

/* `names`: an array of strings. */
static int load_image(struct load *l, struct oci_image *img,
                      const json_t *names, struct err *e)
{
    int code = keep_layers(&l->store, &l->src, img, e);
    if (code == 0 && img->manifest_text == NULL)
        code = keep_manifest(&l->store, img, e);
    if (code == 0)
        code = store_has_image(&l->store, img->manifest)
                   ? convert_merge_image(&l->store, img, e)
                   : convert_image(&l->store, &l->src, img, e);
    if (code == 0 && json_array_size(names) == 0)
        (void)printf("Loaded image ID: sha256:%s\n", img->config);
    for (size_t i = 0; code == 0 && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        code = name != NULL
                   ? load_name(l, img->manifest, name, e)
                   : err_set(e, -EINVAL, "the image's names are not strings");
    }
    return code;
}

/* containerd's whole name, or the layout's if it is more than a tag. */
static json_t *load_oci_names(const json_t *item)
{
    const json_t *a = json_object_get(item, "annotations");
    const char *name =
        json_string_value(json_object_get(a, "io.containerd.image.name"));
    if (name == NULL) {
        name = json_string_value(
            json_object_get(a, "org.opencontainers.image.ref.name"));
        if (name != NULL && strpbrk(name, ":/") == NULL)
            name = NULL;
    }
    json_t *names = json_array();
    if (name != NULL)
        (void)json_array_append_new(names, json_string(name));
    return names;
}

static int load_one(struct load *l, const json_t *item, bool docker,
                    struct err *e)
{
    struct oci_image img = {0};
    json_t *names = docker ? json_incref(json_object_get(item, "RepoTags"))
                           : load_oci_names(item);
    int code = docker ? docker_select_item(&l->src, item, l->arch, &img, e)
                      : oci_select_item(&l->src, item, l->arch, &img, e);
    if (code == 0)
        code = load_image(l, &img, names, e);
    oci_fini(&img);
    json_decref(names);
    return code;
}

static int load_all(struct load *l, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err inner;
    const char *name = "index.json";
    bool docker = source_read(&l->src, name, OCI_DOCUMENT_MAX, &text, &size,
                              &inner) == -ENOENT;
    if (docker)
        name = "manifest.json";
    int code = 0;
    if (text == NULL)
        code = source_read(&l->src, name, OCI_DOCUMENT_MAX, &text, &size, e);
    if (code == -ENOENT)
        return err_set(e, code,
                       "neither an OCI archive (index.json) nor one of docker "
                       "(manifest.json)");
    json_t *doc = code == 0 ? json_parse(text, size, name, e) : NULL;
    if (doc == NULL)
        return code < 0 ? code : -EINVAL;
    const json_t *list = docker ? doc : json_object_get(doc, "manifests");
    if (json_array_size(list) == 0 || json_array_size(list) > LOAD_IMAGES_MAX)
        code =
            err_set(e, -EINVAL, "%s: %zu images", name, json_array_size(list));
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++)
        code = load_one(l, json_array_get(list, i), docker, e);
    json_decref(doc);
    return code;
}

int load_archive(const struct load_request *q, struct err *e)
{
    struct load l = {.arch = q->arch};
    int code = store_open(&l.store, q->root, e);
    const struct sandbox_spec spec = {.store = l.store.root, .out = -1};
    if (code == 0)
        code = store_sweep(&l.store, e);
    if (code == 0)
        code = sandbox_enter(&spec, e);
    if (code == 0)
        code = load_open(&l, q->file, e);
    if (code == 0)
        code = load_all(&l, e);
    if (code < 0)
        (void)err_wrap(e, "%s", q->file != NULL ? q->file : "standard input");
    source_close(&l.src);
    store_close(&l.store);
    return code;
}
