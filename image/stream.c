// SPDX-License-Identifier: Apache-2.0
#include "image/stream.h"

#include <archive.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"

enum {
    STREAM_CHUNK_SIZE = 256 << 10,
    STREAM_RATIO_MAX = 1100,
    STREAM_UNPACKED_MIN = 1 << 30, /* that much any layer may have */
};

struct stream {
    struct stream_spec spec;
    struct archive *raw;
    EVP_MD_CTX *blob; /* of the bytes read; NULL when nobody asked */
    EVP_MD_CTX *diff; /* of the bytes handed out; NULL: they are the blob */
    uint64_t done;    /* bytes of the blob read */
    uint64_t out;     /* bytes handed out */
    uint64_t most;    /* of them; a bomb has more */
    uint32_t left;    /* of the pipe's current chunk */
    bool ended;       /* nothing more to hand out */
    int code;         /* first read error, negative errno */
    uint8_t chunk[STREAM_CHUNK_SIZE];
};

static ssize_t stream_read_file(struct stream *s, size_t want)
{
    ssize_t n;
    do
        n = pread(s->spec.fd, s->chunk, want,
                  (off_t)(s->spec.offset + s->done));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t stream_read_pipe(struct stream *s, void *to, size_t want)
{
    ssize_t n;
    do
        n = read(s->spec.fd, to, want);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* A chunk of 0 bytes says that no more will come. */
static ssize_t stream_read_chunk(struct stream *s, size_t want)
{
    ssize_t n;
    if (s->left == 0) {
        uint32_t head = 0;
        n = stream_read_pipe(s, &head, sizeof(head));
        if (n != (ssize_t)sizeof(head) || head == 0)
            return n < 0 ? n : 0; /* written at once, so read at once */
        s->left = head;
    }
    n = stream_read_pipe(s, s->chunk, want < s->left ? want : s->left);
    if (n > 0)
        s->left -= (uint32_t)n;
    return n;
}

/* Next piece of the blob: bytes, 0 at the end, negative errno. */
static ssize_t stream_read_blob(struct stream *s)
{
    size_t want = sizeof(s->chunk);
    if (want > s->spec.size - s->done)
        want = (size_t)(s->spec.size - s->done);
    if (want == 0)
        return 0;
    ssize_t n = s->spec.chunked ? stream_read_chunk(s, want)
                                : stream_read_file(s, want);
    if (n <= 0)
        return s->code = n < 0 ? (int)n : -ENODATA;
    s->done += (uint64_t)n;
    if (s->blob != NULL && EVP_DigestUpdate(s->blob, s->chunk, (size_t)n) != 1)
        return s->code = -ENOMEM;
    int code = s->spec.keep > 0
                   ? path_write_all(s->spec.keep, s->chunk, (size_t)n)
                   : 0;
    if (code < 0)
        return s->code = code;
    return n;
}

static la_ssize_t stream_on_read(struct archive *a, void *arg,
                                 const void **data)
{
    struct stream *s = arg;
    ssize_t n = stream_read_blob(s);
    if (n < 0)
        archive_set_error(a, (int)-n, "%s",
                          n == -ENODATA ? "truncated while it was read"
                                        : strerror((int)-n));
    *data = s->chunk;
    return n < 0 ? ARCHIVE_FATAL : n;
}

static EVP_MD_CTX *stream_digest_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

static int stream_fail(struct stream *s, struct err *e)
{
    const char *why = archive_error_string(s->raw);
    return err_set(e, s->code != 0 ? s->code : -EBADMSG, "%s: %s", s->spec.name,
                   why != NULL ? why : "unreadable");
}

static int stream_open(struct stream *s, struct err *e)
{
    s->raw = archive_read_new();
    s->diff = stream_digest_new();
    if (s->spec.digest != NULL)
        s->blob = stream_digest_new();
    if (s->raw == NULL || s->diff == NULL ||
        (s->spec.digest != NULL && s->blob == NULL))
        return err_set(e, -ENOMEM, "%s: out of memory", s->spec.name);

    struct archive_entry *entry;
    (void)archive_read_support_filter_gzip(s->raw);
    (void)archive_read_support_filter_zstd(s->raw);
    (void)archive_read_support_format_raw(s->raw);
    (void)archive_read_support_format_empty(s->raw);
    if (archive_read_open(s->raw, s, NULL, stream_on_read, NULL) != ARCHIVE_OK)
        return stream_fail(s, e);
    int r = archive_read_next_header(s->raw, &entry);
    if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
        return stream_fail(s, e);
    s->ended = r == ARCHIVE_EOF;
    if (s->blob != NULL &&
        archive_filter_code(s->raw, 0) == ARCHIVE_FILTER_NONE) {
        EVP_MD_CTX_free(s->diff);
        s->diff = NULL;
    }
    return 0;
}

/* What it may unpack to: as configured, or by what its descriptor says. deflate
 * cannot do better than 1032 to 1, and so nothing honest needs more. */
static int stream_limit(struct stream *s, struct err *e)
{
    const char *text = getenv("LIMPET_MAX_LAYER_SIZE");
    s->most = STREAM_UNPACKED_MIN;
    if (s->spec.size > STREAM_UNPACKED_MIN / STREAM_RATIO_MAX)
        s->most = s->spec.size < UINT64_MAX / STREAM_RATIO_MAX
                      ? s->spec.size * STREAM_RATIO_MAX
                      : UINT64_MAX;
    if (text != NULL && parse_size(text, &s->most) < 0)
        return err_set(e, -EINVAL,
                       "LIMPET_MAX_LAYER_SIZE: %.40s: not a size such as 4G",
                       text);
    return 0;
}

int stream_new(const struct stream_spec *spec, struct stream **out,
               struct err *e)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", spec->name);
    s->spec = *spec;
    int code = stream_limit(s, e);
    if (code == 0)
        code = stream_open(s, e);
    if (code < 0) {
        code = stream_blame(s, code, e);
        stream_free(s);
        return code;
    }
    *out = s;
    return 0;
}

ssize_t stream_next(struct stream *s, const void **data, struct err *e)
{
    size_t size = 0;
    la_int64_t offset;
    int r = ARCHIVE_EOF;
    if (!s->ended) {
        do
            r = archive_read_data_block(s->raw, data, &size, &offset);
        while (r == ARCHIVE_OK && size == 0);
    }
    if (r == ARCHIVE_EOF) {
        s->ended = true;
        return 0;
    }
    if (r != ARCHIVE_OK)
        return stream_fail(s, e);
    if (s->diff != NULL && EVP_DigestUpdate(s->diff, *data, size) != 1)
        return err_set(e, -ENOMEM, "%s: hashing failed", s->spec.name);
    s->out += size;
    if (s->out > s->most)
        return err_set(e, -EFBIG,
                       "%s: unpacks to more than %llu bytes from %llu; if that "
                       "is right, set LIMPET_MAX_LAYER_SIZE",
                       s->spec.name, (unsigned long long)s->most,
                       (unsigned long long)s->spec.size);
    return (ssize_t)size;
}

static int stream_compare(const char *is, const char *want, const char *what,
                          const char *name, struct err *e)
{
    if (strcmp(is, want) == 0)
        return 0;
    return err_set(e, -EBADMSG, "%s: wrong %s: contents are sha256:%s, not %s",
                   name, what, is, want);
}

static int stream_check(EVP_MD_CTX *c, const char *want, const char *what,
                        const char *name, struct err *e)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[SHA256_HEX_SIZE];
    if (EVP_DigestFinal_ex(c, digest, NULL) != 1)
        return err_set(e, -ENOMEM, "%s: hashing failed", name);
    sha256_hex(digest, hex);
    return stream_compare(hex, want, what, name, e);
}

/* What follows the compressed data belongs to the blob's digest too. */
static int stream_drain_blob(struct stream *s, struct err *e)
{
    ssize_t n;
    do
        n = stream_read_blob(s);
    while (n > 0);
    if (n == -ENODATA)
        return err_set(e, -EBADMSG, "%s: truncated while it was read",
                       s->spec.name);
    if (n < 0)
        return err_set(e, (int)n, "%s: %s", s->spec.name, strerror((int)-n));
    if (s->blob == NULL)
        return 0;
    int code = stream_check(s->blob, s->spec.digest, "digest", s->spec.name, e);
    EVP_MD_CTX_free(s->blob);
    s->blob = NULL;
    return code;
}

int stream_finish(struct stream *s, struct err *e)
{
    const void *data;
    ssize_t n;
    do
        n = stream_next(s, &data, e);
    while (n > 0);
    if (n < 0)
        return stream_blame(s, (int)n, e);
    int code = stream_drain_blob(s, e);
    if (code == 0 && s->diff != NULL)
        code =
            stream_check(s->diff, s->spec.diff_id, "diff_id", s->spec.name, e);
    else if (code == 0)
        code = stream_compare(s->spec.digest, s->spec.diff_id, "diff_id",
                              s->spec.name, e);
    return code;
}

int stream_blame(struct stream *s, int code, struct err *e)
{
    struct err inner;
    if (s->blob == NULL || code != -EBADMSG)
        return code;
    int blame = stream_drain_blob(s, &inner);
    if (blame == 0)
        return code;
    *e = inner;
    return blame;
}

void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    (void)archive_read_free(s->raw);
    EVP_MD_CTX_free(s->blob);
    EVP_MD_CTX_free(s->diff);
    free(s);
}
