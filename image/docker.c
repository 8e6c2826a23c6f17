// SPDX-License-Identifier: Apache-2.0
/* docker-archive: manifest.json of `docker save` and skopeo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "image/oci.h"
#include "image/source.h"

static const char docker_where[] = "manifest.json";

static bool docker_has_tag(const json_t *item, const char *tag)
{
    const json_t *tags = json_object_get(item, "RepoTags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *name = json_string_value(json_array_get(tags, i));
        size_t t = strlen(tag);
        size_t n = name != NULL ? strlen(name) : 0;
        if (n >= t && t > 0 && strcmp(name + n - t, tag) == 0 &&
            (n == t || name[n - t - 1] == ':'))
            return true;
    }
    return false;
}

static int docker_pick(const json_t *doc, const char *tag, const json_t **out,
                       struct err *e)
{
    size_t count = json_array_size(doc);
    if (count == 0)
        return err_set(e, -EINVAL, "%s: not a list of images", docker_where);
    if (count > 1 && tag[0] == '\0')
        return err_set(e, -EINVAL, "%s: %zu images; name a tag", docker_where,
                       count);
    for (size_t i = 0; i < count; i++) {
        *out = json_array_get(doc, i);
        if (tag[0] == '\0' || docker_has_tag(*out, tag))
            return 0;
    }
    return err_set(e, -ENOENT, "%s: no image with tag %.80s", docker_where,
                   tag);
}

static int docker_parse_layers(const json_t *item, struct oci_image *img,
                               struct err *e)
{
    json_t *layers;
    int code = json_get_arr(item, "Layers", docker_where, &layers, e);
    if (code < 0)
        return code;
    size_t count = json_array_size(layers);
    if (count > OCI_LAYER_MAX)
        return err_set(e, -E2BIG, "%s: more than %d layers", docker_where,
                       OCI_LAYER_MAX);
    img->layers = calloc(count + 1, sizeof(*img->layers));
    if (img->layers == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    img->layer_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(layers, i));
        if (name == NULL || strlen(name) >= sizeof(img->layers[i].name))
            return err_set(e, -EINVAL, "%s: \"Layers\" are not file names",
                           docker_where);
        memcpy(img->layers[i].name, name, strlen(name) + 1);
    }
    return 0;
}

/* There is no manifest to name the image by. What decides its contents is the
 * configuration, which lists the layers' diff_ids. */
static void docker_name(struct oci_image *img)
{
    char text[128];
    int n =
        snprintf(text, sizeof(text), "docker-archive:sha256:%s", img->config);
    sha256_text(text, (size_t)n, img->manifest);
}

int docker_select_item(const struct source *s, const json_t *item,
                       const char *arch, struct oci_image *img, struct err *e)
{
    const char *name = NULL;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int code = json_get_str(item, "Config", docker_where, &name, e);
    if (code == 0)
        code = docker_parse_layers(item, img, e);
    if (code == 0)
        code = source_read(s, name, OCI_DOCUMENT_MAX, &text, &size, e);
    if (code < 0)
        return code;
    sha256_text(text, size, img->config);
    img->config_size = size;
    /* The file is called by its digest: HEX.json or blobs/sha256/HEX. */
    const char *base =
        strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    if (strspn(base, "0123456789abcdef") == SHA256_HEX_SIZE - 1 &&
        strncmp(base, img->config, SHA256_HEX_SIZE - 1) != 0)
        return err_set(e, -EBADMSG,
                       "%.120s: wrong digest: contents are "
                       "sha256:%s",
                       name, img->config);
    code = oci_parse_config(text, size, name, arch, img, e);
    if (code == 0) {
        char is[64];
        oci_platform_text(img->doc, is);
        return err_set(e, -ENOENT, "no image for linux/%s; there are: %s", arch,
                       is);
    }
    if (code < 0)
        return code;
    docker_name(img);
    img->config_text = text;
    text = NULL;
    return 0;
}

int docker_select(const struct source *s, const char *tag, const char *arch,
                  struct oci_image *img, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err inner;
    int code =
        source_read(s, docker_where, OCI_DOCUMENT_MAX, &text, &size, &inner);
    if (code < 0)
        return err_set(e, code, "not a docker archive: %s", inner.msg);
    json_t *doc = json_parse(text, size, docker_where, e);
    if (doc == NULL)
        return -EINVAL;
    const json_t *item = NULL;
    code = docker_pick(doc, tag, &item, e);
    if (code == 0)
        code = docker_select_item(s, item, arch, img, e);
    json_decref(doc);
    return code;
}
