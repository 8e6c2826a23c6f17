// SPDX-License-Identifier: Apache-2.0
#include "image/keep.h"

#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "image/blob.h"
#include "image/oci.h"
#include "image/source.h"
#include "image/store.h"

enum { KEEP_COPY_SIZE = 256 << 10 };

static int keep_copy(const struct extent *x, int to, EVP_MD_CTX *hash,
                     const char *name, struct err *e)
{
    AUTO_FREE char *chunk = malloc(KEEP_COPY_SIZE);
    if (chunk == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    for (uint64_t done = 0; done < x->size;) {
        size_t want = x->size - done < KEEP_COPY_SIZE ? (size_t)(x->size - done)
                                                      : (size_t)KEEP_COPY_SIZE;
        ssize_t n = pread(x->fd, chunk, want, (off_t)(x->offset + done));
        if (n <= 0)
            return err_set(e, n < 0 ? -errno : -EBADMSG,
                           "%.200s: truncated while it was read", name);
        int code = path_write_all(to, chunk, (size_t)n);
        if (code < 0)
            return err_set(e, code, "keeping %.200s: %s", name,
                           strerror(-code));
        if (EVP_DigestUpdate(hash, chunk, (size_t)n) != 1)
            return err_set(e, -ENOMEM, "%.200s: hashing failed", name);
        done += (uint64_t)n;
    }
    return 0;
}

/* Copy, then see whether it is what it shall be. */
static int keep_extent(struct store *s, const struct extent *x,
                       struct oci_layer *l, struct err *e)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[SHA256_HEX_SIZE];
    char name[STORE_NAME_SIZE];
    struct store_temp t = {0};
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int code = store_temp_open(s, &t, e);
    if (code == 0 &&
        (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1))
        code = err_set(e, -ENOMEM, "out of memory");
    if (code == 0)
        code = keep_copy(x, t.fd, hash, l->name, e);
    if (code == 0 && EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        code = err_set(e, -ENOMEM, "%.200s: hashing failed", l->name);
    if (code == 0) {
        sha256_hex(digest, hex);
        if (l->digest[0] != '\0' && strcmp(hex, l->digest) != 0)
            code = err_set(e, -EBADMSG,
                           "%.200s: wrong digest: contents are sha256:%s",
                           l->name, hex);
    }
    if (code == 0) {
        memcpy(l->digest, hex, sizeof(hex));
        l->size = x->size;
        blob_name(name, hex);
        code = store_temp_commit(s, &t, name, e);
    }
    store_temp_drop(s, &t);
    EVP_MD_CTX_free(hash);
    return code;
}

int keep_layers(struct store *s, const struct source *from,
                struct oci_image *img, struct err *e)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < img->layer_count; i++) {
        struct oci_layer *l = &img->layers[i];
        struct extent x;
        if (l->digest[0] != '\0' && blob_has(s, l->digest))
            continue;
        code = source_find(from, l->name, &x, e);
        if (code < 0)
            return code;
        AUTO_CLOSE int fd = x.fd;
        x.fd = fd;
        if (l->digest[0] != '\0' && x.size != l->size)
            return err_set(e, -EBADMSG,
                           "%.200s: %llu bytes, its descriptor says %llu",
                           l->name, (unsigned long long)x.size,
                           (unsigned long long)l->size);
        code = keep_extent(s, &x, l, e);
    }
    return code == 0 ? store_sync_dirs(s, (const char *const[]){"blobs"}, 1, e)
                     : code;
}

/* RFC 1952, RFC 8878, or a plain tar. */
static const char *keep_media_type(const struct store *s, const char *hex)
{
    static const uint8_t gzip[] = {0x1f, 0x8b};
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t start[4] = {0};
    char name[STORE_NAME_SIZE];
    blob_name(name, hex);
    AUTO_CLOSE int fd = openat(s->root, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, start, sizeof(start), 0) < (ssize_t)sizeof(gzip))
        return "application/vnd.oci.image.layer.v1.tar";
    if (memcmp(start, gzip, sizeof(gzip)) == 0)
        return "application/vnd.oci.image.layer.v1.tar+gzip";
    if (memcmp(start, zstd, sizeof(zstd)) == 0)
        return "application/vnd.oci.image.layer.v1.tar+zstd";
    return "application/vnd.oci.image.layer.v1.tar";
}

static json_t *keep_descriptor(const char *type, const char *hex, uint64_t size)
{
    return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest",
                     json_sprintf("sha256:%s", hex), "size", (json_int_t)size);
}

int keep_manifest(const struct store *s, struct oci_image *img, struct err *e)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < img->layer_count; i++) {
        const struct oci_layer *l = &img->layers[i];
        (void)json_array_append_new(
            layers,
            keep_descriptor(keep_media_type(s, l->digest), l->digest, l->size));
    }
    json_t *doc =
        json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
                  "application/vnd.oci.image.manifest.v1+json", "config",
                  keep_descriptor("application/vnd.oci.image.config.v1+json",
                                  img->config, img->config_size),
                  "layers", layers);
    img->manifest_text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    if (img->manifest_text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    img->manifest_size = strlen(img->manifest_text);
    sha256_text(img->manifest_text, img->manifest_size, img->manifest);
    return 0;
}
