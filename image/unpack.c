// SPDX-License-Identifier: Apache-2.0
#include "image/unpack.h"

#include <archive.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"

enum { UNPACK_CHUNK_SIZE = 256 << 10, UNPACK_MAGIC_SIZE = 6 };
#define UNPACK_SIZE_MAX (INT64_C(64) << 30)

struct unpack {
    int fd;
    off_t at;
    uint8_t chunk[UNPACK_CHUNK_SIZE];
};

bool unpack_is_packed(int fd)
{
    static const struct {
        uint8_t size;
        uint8_t bytes[UNPACK_MAGIC_SIZE];
    } magics[] = {
        {2, {0x1f, 0x8b}},                  /* RFC 1952 */
        {4, {0x28, 0xb5, 0x2f, 0xfd}},      /* RFC 8878 */
        {6, {0xfd, '7', 'z', 'X', 'Z', 0}}, /* xz 1.2.1, 2.1.1.1 */
        {3, {'B', 'Z', 'h'}},
    };
    uint8_t start[UNPACK_MAGIC_SIZE] = {0};
    if (pread(fd, start, sizeof(start), 0) != (ssize_t)sizeof(start))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(magics); i++)
        if (memcmp(start, magics[i].bytes, magics[i].size) == 0)
            return true;
    return false;
}

static la_ssize_t unpack_on_read(struct archive *a, void *arg,
                                 const void **data)
{
    struct unpack *u = arg;
    ssize_t n;
    do
        n = pread(u->fd, u->chunk, sizeof(u->chunk), u->at);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        archive_set_error(a, errno, "%s", strerror(errno));
        return ARCHIVE_FATAL;
    }
    u->at += n;
    *data = u->chunk;
    return n;
}

static int unpack_fail(struct archive *a, struct err *e)
{
    const char *why = archive_error_string(a);
    return err_set(e, -EBADMSG, "damaged compressed archive: %s",
                   why != NULL ? why : "unreadable");
}

static int unpack_write(int to, const uint8_t *data, size_t size, off_t at,
                        struct err *e)
{
    while (size > 0) {
        ssize_t n = pwrite(to, data, size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "unpacking the archive: %s",
                           strerror(errno));
        data += n;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int unpack_all(struct archive *a, int to, struct err *e)
{
    struct archive_entry *entry;
    int r = archive_read_next_header(a, &entry);
    off_t at = 0;
    while (r == ARCHIVE_OK) {
        const void *data;
        size_t size;
        la_int64_t offset;
        r = archive_read_data_block(a, &data, &size, &offset);
        if (r != ARCHIVE_OK)
            break;
        if ((int64_t)size > UNPACK_SIZE_MAX - at)
            return err_set(e, -EFBIG,
                           "the archive unpacks to more than %lld "
                           "GiB",
                           (long long)(UNPACK_SIZE_MAX >> 30));
        int code = unpack_write(to, data, size, at, e);
        if (code < 0)
            return code;
        at += (off_t)size;
    }
    return r == ARCHIVE_EOF ? 0 : unpack_fail(a, e);
}

int unpack_file(int from, int to, struct err *e)
{
    AUTO_FREE struct unpack *u = calloc(1, sizeof(*u));
    struct archive *a = archive_read_new();
    int code = 0;
    if (u == NULL || a == NULL) {
        code = err_set(e, -ENOMEM, "out of memory");
    } else {
        u->fd = from;
        (void)archive_read_support_filter_gzip(a);
        (void)archive_read_support_filter_zstd(a);
        (void)archive_read_support_filter_xz(a);
        (void)archive_read_support_filter_bzip2(a);
        (void)archive_read_support_format_raw(a);
        if (archive_read_open(a, u, NULL, unpack_on_read, NULL) != ARCHIVE_OK)
            code = unpack_fail(a, e);
    }
    if (code == 0)
        code = unpack_all(a, to, e);
    (void)archive_read_free(a);
    return code;
}
