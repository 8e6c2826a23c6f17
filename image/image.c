// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "base/json.h"
#include "base/path.h"
#include "image/blob.h"
#include "image/convert.h"
#include "image/keep.h"
#include "image/oci.h"
#include "image/pull.h"
#include "image/sandbox.h"
#include "image/source.h"
#include "image/store.h"

enum { IMAGE_COPY_SIZE = 2 << 20, IMAGE_RECORD_MAX = 16 << 20 };

/* Members are read at random, so a compressed archive becomes a plain file
 * first, in the store and without a name before it is used. */
static int image_unpack(struct store *s, struct source *src, struct err *e)
{
    struct store_temp t = {0};
    int code = store_temp_open(s, &t, e);
    if (code == 0)
        code = source_unpack(src, t.fd, e);
    store_temp_drop(s, &t);
    return code;
}

/* Convert what `src` selects, unless another reference led there before. */
static int image_convert(struct store *s, const struct image_request *q,
                         const struct source *src, char *hex, struct err *e)
{
    struct oci_image img = {0};
    const struct imgref *ref = q->ref;
    int code = ref->kind == IMGREF_DOCKER_ARCHIVE
                   ? docker_select(src, ref->tag, q->arch, &img, e)
                   : oci_select(src, ref->tag, q->arch, &img, e);
    if (code == 0)
        code = store_sweep(s, e);
    if (code == 0)
        code = store_has_image(s, img.manifest)
                   ? convert_merge_image(s, &img, e)
                   : convert_image(s, src, &img, e);
    if (code == 0)
        memcpy(hex, img.manifest, SHA256_HEX_SIZE);
    oci_fini(&img);
    return code;
}

static int image_pull_in(struct store *s, const struct image_request *q,
                         char *hex, bool *fresh, struct err *e)
{
    const struct pull_options defaults = {.tls_verify = true};
    enum pull_result result;
    int code = pull_image(s, q, q->pull != NULL ? q->pull : &defaults, hex,
                          &result, e);
    *fresh = code == 0 && result == PULL_UP_TO_DATE;
    return code;
}

int image_pull(const struct image_request *q, char hex[SHA256_HEX_SIZE],
               bool *fresh, struct err *e)
{
    struct store s;
    *fresh = false;
    if (q->ref->kind != IMGREF_REGISTRY)
        return image_ensure(q, hex, e);
    int code = store_open(&s, q->root, e);
    if (code == 0)
        code = image_pull_in(&s, q, hex, fresh, e);
    store_close(&s);
    return code;
}

/* What the source has may be another image by now. */
static int image_keep_files(struct store *s, const struct image_request *q,
                            const char *hex, struct err *e)
{
    struct oci_image img = {0};
    struct source src;
    const struct sandbox_spec spec = {.store = s->root, .out = -1};
    int code = q->confine ? sandbox_enter(&spec, e) : 0;
    if (code < 0)
        return code;
    code = source_open(&src, q->ref, e);
    if (code == 0)
        code = oci_select(&src, q->ref->tag, q->arch, &img, e);
    if (code == 0 && strcmp(img.manifest, hex) != 0)
        code = err_set(e, -ENOENT, "it has another image by now");
    if (code == 0)
        code = keep_layers(s, &src, &img, e);
    if (code == 0)
        code = convert_merge_image(s, &img, e);
    oci_fini(&img);
    source_close(&src);
    return code < 0 ? err_wrap(e, "%s", q->ref->path) : 0;
}

int image_keep(const struct image_request *q, const char *hex, struct err *e)
{
    struct store s;
    char is[SHA256_HEX_SIZE];
    bool fresh;
    int code = store_open(&s, q->root, e);
    if (code == 0 && !blob_has_image(&s, hex)) {
        if (q->ref->kind == IMGREF_REGISTRY)
            code = image_pull_in(&s, q, is, &fresh, e);
        else
            code = image_keep_files(&s, q, hex, e);
    }
    store_close(&s);
    return code;
}

/* `out`: directory that must stay writable, or -1. */
static int image_ensure_in(struct store *s, const struct image_request *q,
                           int out, char *hex, struct err *e)
{
    char key[SHA256_HEX_SIZE];
    int code = imgref_key(q->ref, q->arch, key, e);
    if (code < 0)
        return code;
    if (store_find_ref(s, key, hex) == 0)
        return 0;
    bool fresh;
    if (q->ref->kind == IMGREF_REGISTRY)
        return image_pull_in(s, q, hex, &fresh, e);
    if (q->confine) {
        struct sandbox_spec spec = {.store = s->root, .out = out};
        code = sandbox_enter(&spec, e);
        if (code < 0)
            return code;
    }
    struct source src;
    code = source_open(&src, q->ref, e);
    if (code == 0 && src.is_packed)
        code = image_unpack(s, &src, e);
    if (code == 0)
        code = image_convert(s, q, &src, hex, e);
    source_close(&src);
    if (code < 0)
        return err_wrap(e, "%s", q->ref->path);
    return store_put_ref(s, key, hex, q->text, e);
}

int image_ensure(const struct image_request *q, char hex[SHA256_HEX_SIZE],
                 struct err *e)
{
    struct store s;
    int code = store_open(&s, q->root, e);
    if (code == 0)
        code = image_ensure_in(&s, q, -1, hex, e);
    store_close(&s);
    return code;
}

int image_resolve(const struct image_request *q, char hex[SHA256_HEX_SIZE],
                  struct err *e)
{
    struct store s;
    char key[SHA256_HEX_SIZE];
    int code = store_open(&s, q->root, e);
    if (code == 0)
        code = imgref_key(q->ref, q->arch, key, e);
    /* What is missing altogether is an error, not "not converted yet". */
    if (code == -ENOENT)
        code = -EINVAL;
    if (code == 0)
        code = store_find_ref(&s, key, hex);
    store_close(&s);
    return code;
}

static int image_copy_range(int from, int to, off_t at, off_t end, off_t base)
{
    AUTO_FREE uint8_t *buffer = malloc(IMAGE_COPY_SIZE);
    if (buffer == NULL)
        return -ENOMEM;
    while (at < end) {
        size_t want = end - at < IMAGE_COPY_SIZE ? (size_t)(end - at)
                                                 : (size_t)IMAGE_COPY_SIZE;
        ssize_t n = pread(from, buffer, want, at);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        for (ssize_t done = 0; done < n;) {
            ssize_t w =
                pwrite(to, buffer + done, (size_t)(n - done), base + at + done);
            if (w < 0)
                return -errno;
            done += w;
        }
        at += n;
    }
    return 0;
}

/* Data only: holes of the store's file stay holes. */
static int image_copy_file(int from, int to, off_t base, off_t *size)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    *size = st.st_size;
    off_t at = 0;
    while (at < st.st_size) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        int code = image_copy_range(from, to, data, hole, base);
        if (code < 0)
            return code;
        at = hole;
    }
    return 0;
}

static int image_write_all(const struct store *s, const json_t *files, int to,
                           const char *file, struct err *e)
{
    off_t base = 0;
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *name = json_string_value(json_array_get(files, i));
        AUTO_CLOSE int from =
            path_open(s->root, name != NULL ? name : "", O_RDONLY, e);
        if (from < 0)
            return from;
        off_t size = 0;
        int code = image_copy_file(from, to, base, &size);
        if (code < 0)
            return err_set(e, code, "%s: %s", file, strerror(-code));
        base += size;
    }
    if (ftruncate(to, base) < 0)
        return err_set(e, -errno, "%s: %s", file, strerror(errno));
    return 0;
}

static int image_export_in(struct store *s, const char *hex, const char *file,
                           struct err *e)
{
    char name[STORE_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    size_t size;
    json_t *files = NULL;
    (void)snprintf(name, sizeof(name), "images/%s.json", hex);
    int code = path_read(s->root, name, IMAGE_RECORD_MAX, &text, &size, e);
    if (code < 0)
        return code;
    json_t *doc = json_parse(text, size, name, e);
    if (doc == NULL)
        return -EINVAL;
    code = json_get_arr(doc, "files", name, &files, e);
    AUTO_CLOSE int to = -1;
    if (code == 0)
        to = path_open(AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, e);
    if (code == 0 && to < 0)
        code = to;
    if (code == 0) {
        code = image_write_all(s, files, to, file, e);
        if (code < 0)
            (void)unlinkat(AT_FDCWD, file, 0);
    }
    json_decref(doc);
    return code;
}

int image_export(const struct image_request *q, const char *file, struct err *e)
{
    struct store s;
    char hex[SHA256_HEX_SIZE];
    const char *slash = strrchr(file, '/');
    AUTO_FREE char *dir =
        slash == NULL ? strdup(".") : strndup(file, (size_t)(slash - file) + 1);
    if (dir == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    AUTO_CLOSE int out = path_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, e);
    if (out < 0)
        return out;
    int code = store_open(&s, q->root, e);
    if (code == 0)
        code = image_ensure_in(&s, q, out, hex, e);
    if (code == 0)
        code = image_export_in(&s, hex, file, e);
    store_close(&s);
    return code;
}
