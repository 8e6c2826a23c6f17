// SPDX-License-Identifier: Apache-2.0
#include "image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/data.h"
#include "image/index.h"
#include "image/tarpath.h"
#include "image/xattr.h"

struct layer {
    const char *name; /* of the blob */
    struct stream *stream;
    struct archive *tar;
    struct data data;
    struct index_writer index;
    uint64_t holes; /* bytes claimed so far */
    uint8_t *xattrs;
    struct tarpath path;
    struct tarpath link;
    int read_code; /* the stream's error, and what it said */
    struct err read_err;
};

static la_ssize_t layer_on_read(struct archive *a, void *arg, const void **data)
{
    struct layer *l = arg;
    ssize_t n = stream_next(l->stream, data, &l->read_err);
    if (n >= 0)
        return n;
    l->read_code = (int)n;
    archive_set_error(a, (int)-n, "unreadable");
    return ARCHIVE_FATAL;
}

/* libarchive failed: the stream's reason if there is one, else its own. */
static int layer_tar_failed(struct layer *l, struct err *e)
{
    if (l->read_code != 0) {
        *e = l->read_err;
        return l->read_code;
    }
    const char *why = archive_error_string(l->tar);
    if (l->path.size > 0)
        return err_set(e, -EBADMSG, "%s: after tar entry %.120s: %s", l->name,
                       l->path.text, why != NULL ? why : "damaged");
    return err_set(e, -EBADMSG, "%s: not a tar archive: %s", l->name,
                   why != NULL ? why : "damaged");
}

/* The block libarchive found must continue the file: maps that go backwards
 * or past the end are lies. */
static int layer_check_block(struct layer *l, uint64_t at, uint64_t file_size,
                             la_int64_t offset, size_t size, struct err *e)
{
    if (offset < 0 || (uint64_t)offset < at || (uint64_t)offset > file_size ||
        size > file_size - (uint64_t)offset)
        return err_set(e, -EBADMSG, "inconsistent sparse map");
    uint64_t hole = (uint64_t)offset - at;
    uint64_t max = (uint64_t)LAYER_HOLES_MAX_GIB << 30;
    if (hole > max - l->holes)
        return err_set(e, -EFBIG,
                       "sparse file claims %llu bytes; the holes of a layer "
                       "may have %d GiB together",
                       (unsigned long long)file_size, LAYER_HOLES_MAX_GIB);
    l->holes += hole;
    return hole > 0 ? data_skip(&l->data, hole, e) : 0;
}

/* Bytes that the sparse map promises, or UINT64_MAX for a file without map. */
static int layer_check_map(struct archive_entry *entry, uint64_t file_size,
                           uint64_t *promised, struct err *e)
{
    la_int64_t offset;
    la_int64_t length;
    uint64_t at = 0;
    *promised = UINT64_MAX;
    if (archive_entry_sparse_reset(entry) <= 0)
        return 0;
    *promised = 0;
    while (archive_entry_sparse_next(entry, &offset, &length) == ARCHIVE_OK) {
        if (offset < 0 || length < 0 || (uint64_t)offset < at ||
            (uint64_t)offset > file_size ||
            (uint64_t)length > file_size - (uint64_t)offset)
            return err_set(e, -EBADMSG, "inconsistent sparse map");
        at = (uint64_t)offset + (uint64_t)length;
        *promised += (uint64_t)length;
    }
    return 0;
}

static int layer_add_contents(struct layer *l, struct archive_entry *entry,
                              struct index_record *r, struct err *e)
{
    uint64_t size = r->file_size;
    uint64_t at = 0;
    uint64_t stored = 0;
    uint64_t promised;
    int code = layer_check_map(entry, size, &promised, e);
    data_begin(&l->data);
    while (code == 0) {
        const void *bytes;
        size_t n;
        la_int64_t offset;
        int got = archive_read_data_block(l->tar, &bytes, &n, &offset);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK)
            return err_set(e, -EBADMSG, "%s", archive_error_string(l->tar));
        code = layer_check_block(l, at, size, offset, n, e);
        if (code == 0)
            code = data_add(&l->data, bytes, n, e);
        at = (uint64_t)offset + n;
        stored += n;
    }
    if (code == 0 && promised != UINT64_MAX && stored != promised)
        code = err_set(e, -EBADMSG, "inconsistent sparse map");
    if (code == 0)
        code = layer_check_block(l, at, size, (la_int64_t)size, 0, e);
    uint64_t block = 0;
    if (code == 0)
        code = data_end(&l->data, &block, e);
    if (code == 0 && block > UINT32_MAX)
        code = err_set(e, -EFBIG, "layer over 16 TiB");
    r->block = (uint32_t)block;
    return code;
}

static int layer_fill_device(struct archive_entry *entry,
                             struct index_record *r, struct err *e)
{
    uint64_t major = archive_entry_rdevmajor(entry);
    uint64_t minor = archive_entry_rdevminor(entry);
    if (major > 0xfff || minor > 0xfffff)
        return err_set(e, -ERANGE, "device number %llu:%llu",
                       (unsigned long long)major, (unsigned long long)minor);
    r->rdev = (uint32_t)((minor & 0xff) | major << 8 | (minor & ~0xffU) << 12);
    return 0;
}

static int layer_fill_attributes(struct layer *l, struct archive_entry *entry,
                                 struct index_record *r, struct err *e)
{
    la_int64_t uid = archive_entry_uid(entry);
    la_int64_t gid = archive_entry_gid(entry);
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return err_set(e, -ERANGE, "owner %lld:%lld", (long long)uid,
                       (long long)gid);
    r->uid = (uint32_t)uid;
    r->gid = (uint32_t)gid;
    r->mode = (uint16_t)(archive_entry_perm(entry) & 07777);
    r->mtime = archive_entry_mtime(entry);
    long ns = archive_entry_mtime_nsec(entry);
    if (ns > 0 && ns < 1000000000) {
        r->mtime_ns = (uint32_t)ns;
        /* libarchive reads "-1.25" as -1 s and 0.25 s. */
        if (r->mtime < 0 && r->mtime > INT64_MIN) {
            r->mtime--;
            r->mtime_ns = 1000000000 - r->mtime_ns;
        }
    }
    return xattr_encode(entry, l->xattrs, &r->xattr_size, e);
}

static int layer_fill_type(struct layer *l, struct archive_entry *entry,
                           struct index_entry *x, struct err *e)
{
    la_int64_t size = archive_entry_size(entry);
    const char *link;
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        x->r.kind = INDEX_FILE;
        if (size < 0)
            return err_set(e, -EBADMSG, "negative size");
        x->r.file_size = (uint64_t)size;
        return layer_add_contents(l, entry, &x->r, e);
    case AE_IFDIR: x->r.kind = INDEX_DIR; return 0;
    case AE_IFLNK:
        x->r.kind = INDEX_SYMLINK;
        link = archive_entry_symlink(entry);
        if (link == NULL || link[0] == '\0')
            return err_set(e, -EINVAL, "symbolic link without target");
        if (strlen(link) > INDEX_PATH_MAX)
            return err_set(e, -ENAMETOOLONG,
                           "symbolic link target over 4095 bytes");
        x->link = link;
        x->r.link_size = (uint16_t)strlen(link);
        return 0;
    case AE_IFCHR:
        x->r.kind = INDEX_CHAR;
        return layer_fill_device(entry, &x->r, e);
    case AE_IFBLK:
        x->r.kind = INDEX_BLOCK;
        return layer_fill_device(entry, &x->r, e);
    case AE_IFIFO: x->r.kind = INDEX_FIFO; return 0;
    default: return err_set(e, -EINVAL, "unknown kind of file");
    }
}

static int layer_fill_hardlink(struct layer *l, const char *target,
                               struct index_entry *x, struct err *e)
{
    int code = tarpath_normalise(target, &l->link, e);
    if (code < 0)
        return err_wrap(e, "hard link to %.100s", target);
    x->r.kind = INDEX_HARDLINK;
    x->link = l->link.text;
    x->r.link_size = (uint16_t)l->link.size;
    return 0;
}

static int layer_add_entry(struct layer *l, struct archive_entry *entry,
                           struct err *e)
{
    const char *name = archive_entry_pathname(entry);
    const char *target = archive_entry_hardlink(entry);
    enum tarpath_kind kind = TARPATH_PLAIN;
    if (name == NULL)
        return err_set(e, -EILSEQ, "unreadable name");
    int code = tarpath_normalise(name, &l->path, e);
    if (code == 0)
        code = tarpath_whiteout(&l->path, &kind, e);
    if (code < 0)
        return code;
    if (kind == TARPATH_IGNORED)
        return 0;

    struct index_entry x = {.path = l->path.text, .xattrs = l->xattrs};
    x.r.path_size = (uint16_t)l->path.size;
    if (kind == TARPATH_WHITEOUT)
        x.r.kind = INDEX_WHITEOUT;
    else if (kind == TARPATH_OPAQUE)
        x.r.kind = INDEX_OPAQUE;
    else if (target != NULL)
        code = layer_fill_hardlink(l, target, &x, e);
    else
        code = layer_fill_attributes(l, entry, &x.r, e);
    if (code == 0 && x.r.kind == 0)
        code = layer_fill_type(l, entry, &x, e);
    if (code == 0 && l->path.size == 0 && x.r.kind != INDEX_DIR &&
        x.r.kind != INDEX_OPAQUE)
        code = err_set(e, -EINVAL, "the root must be a directory");
    return code == 0 ? index_writer_add(&l->index, &x, e) : code;
}

/* A name that did not survive libarchive's conversion is not the name. */
static bool layer_name_converted(struct archive *tar)
{
    const char *why = archive_error_string(tar);
    return why == NULL || (strstr(why, "athname can't") == NULL &&
                           strstr(why, "inkname can't") == NULL &&
                           strstr(why, "inkpath can't") == NULL);
}

static int layer_walk(struct layer *l, struct err *e)
{
    struct archive_entry *entry;
    for (;;) {
        int r = archive_read_next_header(l->tar, &entry);
        if (r == ARCHIVE_EOF)
            return 0;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
            return layer_tar_failed(l, e);
        int code = 0;
        if (r == ARCHIVE_WARN && !layer_name_converted(l->tar))
            code = err_set(e, -EILSEQ, "name is not UTF-8");
        if (code == 0)
            code = layer_add_entry(l, entry, e);
        if (l->read_code != 0)
            return layer_tar_failed(l, e);
        if (code < 0) {
            const char *name = archive_entry_pathname(entry);
            return err_wrap(e, "%s: tar entry %.120s", l->name,
                            name != NULL ? name : "?");
        }
    }
}

static int layer_open(struct layer *l, const struct stream_spec *spec,
                      int data_fd, int index_fd, struct err *e)
{
    int code = data_init(&l->data, data_fd, e);
    if (code == 0)
        code = index_writer_init(&l->index, index_fd, e);
    if (code == 0)
        code = stream_new(spec, &l->stream, e);
    if (code < 0)
        return code;
    l->tar = archive_read_new();
    l->xattrs = malloc(XATTR_AREA_MAX);
    if (l->tar == NULL || l->xattrs == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", l->name);
    (void)archive_read_support_format_tar(l->tar);
    (void)archive_read_support_format_empty(l->tar);
    if (archive_read_open(l->tar, l, NULL, layer_on_read, NULL) != ARCHIVE_OK)
        return layer_tar_failed(l, e);
    return 0;
}

static void layer_close(struct layer *l)
{
    (void)archive_read_free(l->tar);
    stream_free(l->stream);
    data_fini(&l->data);
    index_writer_fini(&l->index);
    free(l->xattrs);
    free(l);
}

int layer_convert(const struct stream_spec *spec, int data_fd, int index_fd,
                  struct err *e)
{
    struct layer *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", spec->name);
    l->name = spec->name;
    int code = layer_open(l, spec, data_fd, index_fd, e);
    if (code == 0)
        code = layer_walk(l, e);
    if (code < 0 && l->stream != NULL)
        code = stream_blame(l->stream, code, e);
    else if (code == 0)
        code = stream_finish(l->stream, e);

    uint64_t size;
    if (code == 0)
        code = data_finish(&l->data, &size, e);
    if (code == 0)
        code = index_writer_finish(&l->index, size, e);
    layer_close(l);
    return code;
}
