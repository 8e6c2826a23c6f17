// SPDX-License-Identifier: Apache-2.0
#include "image/oci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "image/source.h"

void oci_fini(struct oci_image *img)
{
    free(img->layers);
    json_decref(img->doc);
    free(img->manifest_text);
    free(img->config_text);
    *img = (struct oci_image){0};
}

int oci_parse_digest(const char *text, const char *where,
                     char out[SHA256_HEX_SIZE], struct err *e)
{
    static const char prefix[] = "sha256:";
    size_t n = sizeof(prefix) - 1;
    if (strncmp(text, prefix, n) != 0)
        return err_set(e, -EINVAL, "%s: digest %.80s is not sha256", where,
                       text);
    text += n;
    if (strlen(text) != SHA256_HEX_SIZE - 1 ||
        strspn(text, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return err_set(e, -EINVAL, "%s: malformed digest sha256:%.80s", where,
                       text);
    memcpy(out, text, SHA256_HEX_SIZE);
    return 0;
}

static int oci_parse_descriptor(const json_t *o, const char *where,
                                char hex[SHA256_HEX_SIZE], uint64_t *size,
                                struct err *e)
{
    const char *digest;
    int code = json_get_str(o, "digest", where, &digest, e);
    if (code == 0)
        code = oci_parse_digest(digest, where, hex, e);
    if (code == 0)
        code = json_get_u64(o, "size", where, INT64_MAX, size, e);
    return code;
}

int oci_read_blob(const struct source *s, const char *hex, uint64_t size,
                  char **out, struct err *e)
{
    char name[OCI_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
    AUTO_FREE char *text = NULL;
    size_t got;
    int code = source_read(s, name, OCI_DOCUMENT_MAX, &text, &got, e);
    if (code < 0)
        return code;
    if (got != size)
        return err_set(e, -EBADMSG,
                       "%s: %s: %zu bytes, its descriptor says "
                       "%llu",
                       name, got < size ? "truncated" : "oversized", got,
                       (unsigned long long)size);
    char is[SHA256_HEX_SIZE];
    sha256_text(text, got, is);
    if (strcmp(is, hex) != 0)
        return err_set(e, -EBADMSG, "%s: wrong digest: contents are sha256:%s",
                       name, is);
    *out = text;
    text = NULL;
    return 0;
}

static int oci_parse_layer(const json_t *o, const char *where,
                           struct oci_layer *l, struct err *e)
{
    int code = oci_parse_descriptor(o, where, l->digest, &l->size, e);
    if (code < 0)
        return code;
    const char *type = json_string_value(json_object_get(o, "mediaType"));
    if (type != NULL && strstr(type, "encrypted") != NULL)
        return err_set(e, -ENOTSUP, "%s: encrypted layer (%.80s)", where, type);
    (void)snprintf(l->name, sizeof(l->name), "blobs/sha256/%s", l->digest);
    return 0;
}

int oci_parse_manifest(const char *text, size_t size, const char *where,
                       struct oci_image *img, struct err *e)
{
    json_t *config;
    json_t *layers;
    json_t *doc = json_parse(text, size, where, e);
    if (doc == NULL)
        return -EINVAL;
    int code = json_get_obj(doc, "config", where, &config, e);
    if (code == 0)
        code = oci_parse_descriptor(config, where, img->config,
                                    &img->config_size, e);
    if (code == 0)
        code = json_get_arr(doc, "layers", where, &layers, e);
    if (code == 0 && json_array_size(layers) > OCI_LAYER_MAX)
        code =
            err_set(e, -E2BIG, "%s: more than %d layers", where, OCI_LAYER_MAX);
    if (code == 0) {
        img->layers = calloc(json_array_size(layers) + 1, sizeof(*img->layers));
        if (img->layers == NULL)
            code = err_set(e, -ENOMEM, "%s: out of memory", where);
    }
    for (size_t i = 0; code == 0 && i < json_array_size(layers); i++) {
        code = oci_parse_layer(json_array_get(layers, i), where,
                               &img->layers[i], e);
        img->layer_count = i + 1;
    }
    json_decref(doc);
    return code;
}

static void oci_copy_printable(const char *from, char *to, size_t size)
{
    size_t n = 0;
    for (; from[n] != '\0' && n + 1 < size; n++)
        to[n] = from[n];
    if (from[n] <= ' ' || from[n] == 0x7f)
        to[n] = '?';
    to[n] = '\0';
}

void oci_platform_text(const json_t *o, char out[64])
{
    const char *os = json_string_value(json_object_get(o, "os"));
    const char *arch = json_string_value(json_object_get(o, "architecture"));
    const char *variant = json_string_value(json_object_get(o, "variant"));
    char text[64];
    (void)snprintf(text, sizeof(text), "%.16s/%.16s%s%.16s",
                   os != NULL ? os : "?", arch != NULL ? arch : "?",
                   variant != NULL && variant[0] != '\0' ? "/" : "",
                   variant != NULL ? variant : "");
    oci_copy_printable(text, out, 64);
}

/* Whether linux/`arch` can run it. Variants: arm64 has v8 and later ones that
 * need more than every arm64 has; amd64 likewise (v2 and up). */
static bool oci_platform_matches(const json_t *o, const char *arch)
{
    const char *os = json_string_value(json_object_get(o, "os"));
    const char *is = json_string_value(json_object_get(o, "architecture"));
    const char *variant = json_string_value(json_object_get(o, "variant"));
    return os != NULL && is != NULL && strcmp(os, "linux") == 0 &&
           strcmp(is, arch) == 0 &&
           (variant == NULL || variant[0] == '\0' ||
            strcmp(variant, "v8") == 0 || strcmp(variant, "v1") == 0);
}

static int oci_parse_diff_ids(const json_t *doc, const char *where,
                              struct oci_image *img, struct err *e)
{
    json_t *rootfs = NULL;
    json_t *ids = NULL;
    int code = json_get_obj(doc, "rootfs", where, &rootfs, e);
    if (code == 0)
        code = json_get_arr(rootfs, "diff_ids", where, &ids, e);
    if (code < 0)
        return code;
    if (json_array_size(ids) != img->layer_count)
        return err_set(e, -EINVAL, "%s: %zu diff_ids for %zu layers", where,
                       json_array_size(ids), img->layer_count);
    for (size_t i = 0; i < img->layer_count && code == 0; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id == NULL)
            return err_set(e, -EINVAL, "%s: \"diff_ids\" are not strings",
                           where);
        code = oci_parse_digest(id, where, img->layers[i].diff_id, e);
    }
    return code;
}

int oci_parse_config(const char *text, size_t size, const char *where,
                     const char *arch, struct oci_image *img, struct err *e)
{
    const char *ignored;
    json_decref(img->doc);
    img->doc = json_parse(text, size, where, e);
    if (img->doc == NULL)
        return -EINVAL;
    int code = json_get_str(img->doc, "architecture", where, &ignored, e);
    if (code == 0)
        code = json_get_str(img->doc, "os", where, &ignored, e);
    if (code < 0)
        return code;
    if (!oci_platform_matches(img->doc, arch))
        return 0;
    code = oci_parse_diff_ids(img->doc, where, img, e);
    return code == 0 ? 1 : code;
}

/* Descriptors still to look at, and the platforms that were not ours. */
struct oci_search {
    const struct source *source;
    const char *arch;
    struct {
        char hex[SHA256_HEX_SIZE];
        uint64_t size;
        unsigned depth;
    } todo[OCI_DESCRIPTOR_MAX];
    size_t count;
    char others[256];
};

static void oci_note_other(struct oci_search *s, const json_t *platform)
{
    char text[64];
    oci_platform_text(platform, text);
    size_t used = strlen(s->others);
    if (strstr(s->others, text) == NULL && used + 70 < sizeof(s->others))
        (void)snprintf(s->others + used, sizeof(s->others) - used, "%s%s",
                       used != 0 ? ", " : "", text);
}

static int oci_add_todo(struct oci_search *s, const json_t *o, unsigned depth,
                        const char *where, struct err *e)
{
    const json_t *platform = json_object_get(o, "platform");
    if (json_is_object(platform) && !oci_platform_matches(platform, s->arch)) {
        oci_note_other(s, platform);
        return 0;
    }
    if (s->count == OCI_DESCRIPTOR_MAX)
        return err_set(e, -E2BIG, "%s: more than %d manifests", where,
                       OCI_DESCRIPTOR_MAX);
    s->todo[s->count].depth = depth;
    int code = oci_parse_descriptor(o, where, s->todo[s->count].hex,
                                    &s->todo[s->count].size, e);
    if (code == 0)
        s->count++;
    return code;
}

static const char *oci_ref_name(const json_t *o)
{
    const json_t *a = json_object_get(o, "annotations");
    return json_string_value(
        json_object_get(a, "org.opencontainers.image.ref.name"));
}

/* "latest" also names "docker.io/library/x:latest". */
static bool oci_tag_matches(const char *name, const char *tag)
{
    if (name == NULL)
        return false;
    size_t n = strlen(name);
    size_t t = strlen(tag);
    return strcmp(name, tag) == 0 ||
           (n > t && name[n - t - 1] == ':' && strcmp(name + n - t, tag) == 0);
}

static void oci_list_tags(const json_t *manifests, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(manifests); i++) {
        const char *name = oci_ref_name(json_array_get(manifests, i));
        char text[80];
        if (name == NULL || used + sizeof(text) + 2 > size)
            continue;
        oci_copy_printable(name, text, sizeof(text));
        if (strstr(out, text) == NULL)
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     used != 0 ? ", " : "", text);
    }
}

/* Two descriptors with different names are two images. */
static bool oci_is_ambiguous(const json_t *manifests)
{
    const char *first = NULL;
    for (size_t i = 0; i < json_array_size(manifests); i++) {
        const char *name = oci_ref_name(json_array_get(manifests, i));
        if (first == NULL)
            first = name;
        else if (name != NULL && strcmp(name, first) != 0)
            return true;
    }
    return false;
}

static int oci_start(struct oci_search *s, const json_t *doc, const char *tag,
                     struct err *e)
{
    static const char where[] = "index.json";
    char tags[256];
    json_t *manifests;
    int code = json_get_arr(doc, "manifests", where, &manifests, e);
    if (code < 0)
        return code;
    oci_list_tags(manifests, tags, sizeof(tags));
    if (tag[0] == '\0' && oci_is_ambiguous(manifests))
        return err_set(e, -EINVAL, "several images; name one of its tags: %s",
                       tags);
    bool found = false;
    for (size_t i = 0; i < json_array_size(manifests) && code == 0; i++) {
        const json_t *o = json_array_get(manifests, i);
        if (tag[0] != '\0' && !oci_tag_matches(oci_ref_name(o), tag))
            continue;
        found = true;
        code = oci_add_todo(s, o, 1, where, e);
    }
    if (code == 0 && !found && tag[0] != '\0')
        return err_set(e, -ENOENT, "no image with tag %.80s; there are: %s",
                       tag, tags[0] != '\0' ? tags : "none");
    if (code == 0 && !found)
        return err_set(e, -ENOENT, "%s: no manifests", where);
    return code;
}

static int oci_add_nested(struct oci_search *s, const json_t *doc,
                          unsigned depth, const char *where, struct err *e)
{
    json_t *manifests;
    int code = json_get_arr(doc, "manifests", where, &manifests, e);
    if (code == 0 && json_object_get(doc, "layers") != NULL)
        code = err_set(e, -EINVAL, "%s: both an index and a manifest", where);
    if (code == 0 && depth >= OCI_NESTING_MAX)
        code = err_set(e, -E2BIG, "%s: indexes nested deeper than %d", where,
                       OCI_NESTING_MAX);
    for (size_t i = 0; code == 0 && i < json_array_size(manifests); i++)
        code =
            oci_add_todo(s, json_array_get(manifests, i), depth + 1, where, e);
    return code;
}

/* 1 when it is the image, 0 when it is for another platform. */
static int oci_try_manifest(struct oci_search *s, const char *text, size_t size,
                            const char *where, struct oci_image *img,
                            struct err *e)
{
    int code = oci_parse_manifest(text, size, where, img, e);
    if (code < 0)
        return code;
    AUTO_FREE char *config = NULL;
    code = oci_read_blob(s->source, img->config, img->config_size, &config, e);
    if (code < 0)
        return code;
    char name[OCI_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "blobs/sha256/%s", img->config);
    code = oci_parse_config(config, (size_t)img->config_size, name, s->arch,
                            img, e);
    if (code < 0)
        return code;
    free(img->config_text);
    img->config_text = config;
    config = NULL;
    if (code == 0) {
        oci_note_other(s, img->doc);
        oci_fini(img);
    }
    return code;
}

static int oci_try(struct oci_search *s, size_t i, struct oci_image *img,
                   struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    char where[OCI_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    memcpy(hex, s->todo[i].hex, sizeof(hex));
    (void)snprintf(where, sizeof(where), "blobs/sha256/%s", hex);
    size_t size = (size_t)s->todo[i].size;
    int code = oci_read_blob(s->source, hex, size, &text, e);
    if (code < 0)
        return code;
    json_t *doc = json_parse(text, size, where, e);
    if (doc == NULL)
        return -EINVAL;
    bool index = json_is_object(doc) && json_has(doc, "manifests");
    if (index)
        code = oci_add_nested(s, doc, s->todo[i].depth, where, e);
    json_decref(doc);
    if (index || code < 0)
        return code;
    code = oci_try_manifest(s, text, size, where, img, e);
    if (code == 1) {
        memcpy(img->manifest, hex, sizeof(hex));
        img->manifest_text = text;
        img->manifest_size = size;
        text = NULL;
    }
    return code;
}

static int oci_check_layout(const struct source *s, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err inner;
    if (source_read(s, "oci-layout", 4096, &text, &size, &inner) < 0)
        return err_set(e, -EINVAL, "not an OCI layout: %s", inner.msg);
    json_t *doc = json_parse(text, size, "oci-layout", e);
    if (doc == NULL)
        return -EINVAL;
    const char *version = NULL;
    int code =
        json_get_str(doc, "imageLayoutVersion", "oci-layout", &version, e);
    if (code == 0 && strncmp(version, "1.", 2) != 0)
        code = err_set(e, -ENOTSUP, "oci-layout: version %.20s", version);
    json_decref(doc);
    return code;
}

/* Until one of the descriptors leads to the image. */
static int oci_search_run(struct oci_search *s, struct oci_image *img,
                          struct err *e)
{
    int code = 0;
    for (size_t i = 0; i < s->count && code == 0; i++)
        code = oci_try(s, i, img, e);
    if (code == 0)
        return err_set(e, -ENOENT, "no image for linux/%s; there are: %s",
                       s->arch, s->others[0] != '\0' ? s->others : "none");
    return code < 0 ? code : 0;
}

int oci_select(const struct source *source, const char *tag, const char *arch,
               struct oci_image *img, struct err *e)
{
    AUTO_FREE char *text = NULL;
    AUTO_FREE struct oci_search *s = calloc(1, sizeof(*s));
    size_t size = 0;
    if (s == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    s->source = source;
    s->arch = arch;
    int code = oci_check_layout(source, e);
    if (code == 0)
        code = source_read(source, "index.json", OCI_DOCUMENT_MAX, &text, &size,
                           e);
    if (code < 0)
        return code;
    json_t *doc = json_parse(text, size, "index.json", e);
    if (doc == NULL)
        return -EINVAL;
    code = oci_start(s, doc, tag, e);
    json_decref(doc);
    return code == 0 ? oci_search_run(s, img, e) : code;
}

int oci_select_item(const struct source *source, const json_t *item,
                    const char *arch, struct oci_image *img, struct err *e)
{
    AUTO_FREE struct oci_search *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    s->source = source;
    s->arch = arch;
    int code = oci_check_layout(source, e);
    if (code == 0)
        code = oci_add_todo(s, item, 1, "index.json", e);
    return code == 0 ? oci_search_run(s, img, e) : code;
}
