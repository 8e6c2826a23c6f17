// SPDX-License-Identifier: Apache-2.0
#include "image/save.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "base/regname.h"
#include "image/blob.h"
#include "image/oci.h"
#include "image/sandbox.h"
#include "image/store.h"

enum { SAVE_COPY_SIZE = 256 << 10 };

struct save {
    struct store store;
    struct archive *out;
    json_t *written;  /* keys: digests that are in the archive */
    json_t *index;    /* manifests of index.json */
    json_t *manifest; /* of manifest.json: one item per image */
    json_t *items;    /* HEX -> its item; borrowed ones */
};

static int save_fail(struct save *s, const char *name, struct err *e)
{
    const char *why = archive_error_string(s->out);
    return err_set(e, -EIO, "writing %s: %s", name,
                   why != NULL ? why : "failed");
}

static int save_begin(struct save *s, const char *name, uint64_t size,
                      unsigned type, struct err *e)
{
    struct archive_entry *x = archive_entry_new();
    if (x == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    archive_entry_set_pathname(x, name);
    archive_entry_set_filetype(x, type);
    archive_entry_set_perm(x, type == AE_IFDIR ? 0755 : 0644);
    archive_entry_set_size(x, (la_int64_t)size);
    archive_entry_set_mtime(x, 0, 0);
    int r = archive_write_header(s->out, x);
    archive_entry_free(x);
    return r == ARCHIVE_OK ? 0 : save_fail(s, name, e);
}

static int save_text(struct save *s, const char *name, const char *text,
                     struct err *e)
{
    size_t size = strlen(text);
    int code = save_begin(s, name, size, AE_IFREG, e);
    if (code == 0 && archive_write_data(s->out, text, size) != (ssize_t)size)
        code = save_fail(s, name, e);
    return code;
}

static int save_json(struct save *s, const char *name, const json_t *doc,
                     struct err *e)
{
    AUTO_FREE char *text = json_dumps(doc, JSON_COMPACT);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    return save_text(s, name, text, e);
}

static int save_copy(struct save *s, int from, uint64_t size, const char *name,
                     struct err *e)
{
    AUTO_FREE char *chunk = malloc(SAVE_COPY_SIZE);
    if (chunk == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(from, chunk, SAVE_COPY_SIZE, (off_t)at);
        if (n <= 0)
            return err_set(e, n < 0 ? -errno : -EIO, "%s: cannot be read",
                           name);
        if (archive_write_data(s->out, chunk, (size_t)n) != n)
            return save_fail(s, name, e);
        at += (uint64_t)n;
    }
    return 0;
}

static int save_blob(struct save *s, const char *hex, struct err *e)
{
    char from[STORE_NAME_SIZE];
    char name[96];
    struct stat st;
    if (json_object_get(s->written, hex) != NULL)
        return 0;
    blob_name(from, hex);
    (void)snprintf(name, sizeof(name), "blobs/sha256/%.64s", hex);
    AUTO_CLOSE int fd = path_open(s->store.root, from, O_RDONLY, e);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", from, strerror(errno));
    int code = save_begin(s, name, (uint64_t)st.st_size, AE_IFREG, e);
    if (code == 0)
        code = save_copy(s, fd, (uint64_t)st.st_size, name, e);
    if (code == 0)
        (void)json_object_set_new(s->written, hex, json_true());
    return code;
}

/* A descriptor per name; without a name one that has no annotations. */
static void save_describe(struct save *s, const struct oci_image *img,
                          const struct regname *name, const json_t *item)
{
    char text[REGNAME_TEXT_SIZE];
    json_t *d = json_pack("{s:s, s:o, s:I}", "mediaType",
                          "application/vnd.oci.image.manifest.v1+json",
                          "digest", json_sprintf("sha256:%s", img->manifest),
                          "size", (json_int_t)img->manifest_size);
    json_t *doc = json_loadb(img->manifest_text, img->manifest_size, 0, NULL);
    json_t *type = json_object_get(doc, "mediaType");
    if (json_is_string(type))
        (void)json_object_set(d, "mediaType", type);
    json_decref(doc);
    if (name->host[0] != '\0') {
        regname_text(name, text);
        (void)json_object_set_new(
            d, "annotations",
            json_pack("{s:s, s:s}", "io.containerd.image.name", text,
                      "org.opencontainers.image.ref.name", name->tag));
        regname_familiar(name, text);
        (void)json_array_append_new(json_object_get(item, "RepoTags"),
                                    json_string(text));
    }
    (void)json_array_append_new(s->index, d);
}

static json_t *save_item(const struct oci_image *img)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < img->layer_count; i++)
        (void)json_array_append_new(
            layers, json_sprintf("blobs/sha256/%s", img->layers[i].digest));
    return json_pack("{s:o, s:[], s:o}", "Config",
                     json_sprintf("blobs/sha256/%s", img->config), "RepoTags",
                     "Layers", layers);
}

static int save_check(const struct save *s, const struct oci_image *img,
                      const char *what, struct err *e)
{
    if (!blob_has(&s->store, img->config))
        return err_set(e, -ENOENT,
                       "%.200s: its configuration is not in the store; pull "
                       "or load it again",
                       what);
    for (size_t i = 0; i < img->layer_count; i++)
        if (!blob_has(&s->store, img->layers[i].digest))
            return err_set(e, -ENOENT,
                           "%.200s: layer sha256:%s is not in the store; pull "
                           "the image with --keep-blobs, or load it",
                           what, img->layers[i].digest);
    return 0;
}

static int save_image_blobs(struct save *s, const struct oci_image *img,
                            const char *what, struct err *e)
{
    int code = save_check(s, img, what, e);
    if (code == 0)
        code = save_blob(s, img->manifest, e);
    if (code == 0)
        code = save_blob(s, img->config, e);
    for (size_t i = 0; code == 0 && i < img->layer_count; i++)
        code = save_blob(s, img->layers[i].digest, e);
    return code;
}

/* HEX or HEX=NAME. */
static int save_image(struct save *s, const char *arg, struct err *e)
{
    char path[STORE_NAME_SIZE];
    char hex[SHA256_HEX_SIZE];
    struct regname name = {.host = ""};
    struct oci_image img = {0};
    struct err inner;
    (void)snprintf(hex, sizeof(hex), "%.64s", arg);
    if (strspn(hex, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return err_set(e, -EINVAL, "%.200s: must be HEX or HEX=NAME", arg);
    const char *what = arg[64] == '=' ? arg + 65 : hex;
    int code = what != hex ? regname_parse(what, &name, e) : 0;
    blob_name(path, hex);
    if (code == 0) {
        code = path_read(s->store.root, path, OCI_DOCUMENT_MAX,
                         &img.manifest_text, &img.manifest_size, &inner);
        if (code < 0)
            (void)err_set(e, code,
                          "%.200s: its manifest is not in the store; pull it "
                          "with --keep-blobs, or load it",
                          what);
    }
    if (code == 0)
        code = oci_parse_manifest(img.manifest_text, img.manifest_size, path,
                                  &img, e);
    memcpy(img.manifest, hex, sizeof(hex));
    if (code == 0)
        code = save_image_blobs(s, &img, what, e);
    if (code == 0) {
        json_t *item = json_object_get(s->items, hex);
        if (item == NULL) {
            item = save_item(&img);
            (void)json_object_set(s->items, hex, item);
            (void)json_array_append_new(s->manifest, item);
        }
        save_describe(s, &img, &name, item);
    }
    oci_fini(&img);
    return code;
}

static int save_all(struct save *s, const struct save_request *q, struct err *e)
{
    static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    s->written = json_object();
    s->index = json_array();
    s->manifest = json_array();
    s->items = json_object();
    int code = save_begin(s, "blobs/", 0, AE_IFDIR, e);
    if (code == 0)
        code = save_begin(s, "blobs/sha256/", 0, AE_IFDIR, e);
    for (size_t i = 0; code == 0 && i < q->image_count; i++)
        code = save_image(s, q->images[i], e);
    if (code < 0)
        return code;
    json_t *index = json_pack(
        "{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
        "application/vnd.oci.image.index.v1+json", "manifests", s->index);
    code = index == NULL ? err_set(e, -ENOMEM, "out of memory")
                         : save_json(s, "index.json", index, e);
    json_decref(index);
    if (code == 0)
        code = save_json(s, "manifest.json", s->manifest, e);
    if (code == 0)
        code = save_text(s, "oci-layout", layout, e);
    if (code == 0 && archive_write_close(s->out) != ARCHIVE_OK)
        code = save_fail(s, "the archive's end", e);
    return code;
}

static int save_open(struct save *s, int fd, struct err *e)
{
    s->out = archive_write_new();
    if (s->out == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    if (archive_write_set_format_pax_restricted(s->out) != ARCHIVE_OK ||
        archive_write_open_fd(s->out, fd) != ARCHIVE_OK)
        return save_fail(s, "the archive", e);
    return 0;
}

/* From here on only the archive's directory can be written to: an archive that
 * fails is removed. */
static int save_confine(const struct save *s, const char *file, struct err *e)
{
    struct sandbox_spec spec = {
        .store = s->store.root, .out = -1, .read_only = true};
    if (file == NULL)
        return sandbox_enter(&spec, e);
    const char *slash = strrchr(file, '/');
    AUTO_FREE char *dir =
        slash == NULL ? strdup(".") : strndup(file, (size_t)(slash - file) + 1);
    if (dir == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    AUTO_CLOSE int out = path_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, e);
    spec.out = out;
    return out < 0 ? out : sandbox_enter(&spec, e);
}

int save_archive(const struct save_request *q, struct err *e)
{
    struct save s = {.out = NULL};
    int fd = STDOUT_FILENO;
    if (q->file == NULL && isatty(fd))
        return err_set(e, -EINVAL,
                       "an archive is not for a terminal: give -o FILE or "
                       "redirect standard output");
    int code = store_open(&s.store, q->root, e);
    AUTO_CLOSE int own = -1;
    if (code == 0 && q->file != NULL) {
        fd = own =
            path_open(AT_FDCWD, q->file, O_WRONLY | O_CREAT | O_TRUNC, e);
        code = fd < 0 ? fd : 0;
    }
    if (code == 0)
        code = save_confine(&s, q->file, e);
    if (code == 0)
        code = save_open(&s, fd, e);
    if (code == 0)
        code = save_all(&s, q, e);
    if (code < 0 && own >= 0)
        (void)unlinkat(AT_FDCWD, q->file, 0);
    (void)archive_write_free(s.out);
    json_decref(s.written);
    json_decref(s.index);
    json_decref(s.manifest);
    json_decref(s.items);
    store_close(&s.store);
    return code;
}
