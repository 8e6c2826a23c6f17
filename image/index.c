// SPDX-License-Identifier: Apache-2.0
#include "image/index.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"

/* Room for the largest record: xattrs are at most 256 KiB (16 bit count). */
enum { INDEX_BUFFER_SIZE = 1 << 20, INDEX_XATTR_MAX = 65534 * 4 };

int index_writer_init(struct index_writer *w, int fd, struct err *e)
{
    *w = (struct index_writer){.fd = fd, .head = {.version = INDEX_VERSION}};
    memcpy(w->head.magic, INDEX_MAGIC, sizeof(w->head.magic));
    w->buffer = malloc(INDEX_BUFFER_SIZE);
    if (w->buffer == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    w->used = sizeof(w->head);
    w->head.index_size = w->used;
    memset(w->buffer, 0, w->used);
    return 0;
}

static int index_writer_flush(struct index_writer *w, struct err *e)
{
    int code = path_write_all(w->fd, w->buffer, w->used);
    if (code < 0)
        return err_set(e, code, "writing layer index: %s", strerror(-code));
    w->used = 0;
    return 0;
}

int index_writer_add(struct index_writer *w, const struct index_entry *entry,
                     struct err *e)
{
    struct index_record r = entry->r;
    size_t size = sizeof(r) + r.xattr_size + r.path_size + r.link_size;
    size_t whole = (size + 7) & ~(size_t)7;
    if (r.xattr_size > INDEX_XATTR_MAX)
        return err_set(e, -E2BIG, "extended attributes over 256 KiB");
    if (w->head.entry_count >= INDEX_ENTRY_MAX ||
        w->head.index_size > INDEX_SIZE_MAX - whole)
        return err_set(e, -E2BIG, "more files than a layer may have");
    if (whole > INDEX_BUFFER_SIZE - w->used) {
        int code = index_writer_flush(w, e);
        if (code < 0)
            return code;
    }
    r.size = (uint32_t)whole;
    r.zero = 0;
    r.zero2 = 0;
    uint8_t *p = w->buffer + w->used;
    memset(p + whole - 8, 0, 8);
    memcpy(p, &r, sizeof(r));
    p += sizeof(r);
    if (r.xattr_size > 0)
        memcpy(p, entry->xattrs, r.xattr_size);
    p += r.xattr_size;
    memcpy(p, entry->path, r.path_size);
    p += r.path_size;
    if (r.link_size > 0)
        memcpy(p, entry->link, r.link_size);
    w->used += whole;
    w->head.index_size += whole;
    w->head.entry_count++;
    return 0;
}

int index_writer_finish(struct index_writer *w, uint64_t data_size,
                        struct err *e)
{
    w->head.data_size = data_size;
    int code = index_writer_flush(w, e);
    if (code < 0)
        return code;
    if (pwrite(w->fd, &w->head, sizeof(w->head), 0) != (ssize_t)sizeof(w->head))
        return err_set(e, -EIO, "writing layer index: %s", strerror(errno));
    return 0;
}

void index_writer_fini(struct index_writer *w)
{
    free(w->buffer);
    w->buffer = NULL;
}

int index_open(struct index *x, int dirfd, const char *name, struct err *e)
{
    *x = (struct index){0};
    AUTO_CLOSE int fd = path_open(dirfd, name, O_RDONLY, e);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(x->head) ||
        st.st_size > INDEX_SIZE_MAX)
        return err_set(e, -EBADMSG, "%s: damaged", name);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return err_set(e, -errno, "%s: %s", name, strerror(errno));
    x->map = map;
    x->size = (size_t)st.st_size;
    memcpy(&x->head, x->map, sizeof(x->head));
    if (memcmp(x->head.magic, INDEX_MAGIC, sizeof(x->head.magic)) != 0 ||
        x->head.version != INDEX_VERSION || x->head.index_size != x->size) {
        index_fini(x);
        return err_set(e, -EBADMSG, "%s: damaged or from another version",
                       name);
    }
    return 0;
}

void index_fini(struct index *x)
{
    if (x->map != NULL)
        (void)munmap(x->map, x->size);
    *x = (struct index){0};
}

int index_next(const struct index *x, size_t *at, struct index_entry *out)
{
    size_t pos = *at != 0 ? *at : sizeof(x->head);
    struct index_record *r = &out->r;
    if (pos == x->size)
        return 0;
    if (x->size - pos < sizeof(*r))
        return -EBADMSG;
    memcpy(r, x->map + pos, sizeof(*r));
    uint64_t need =
        sizeof(*r) + (uint64_t)r->xattr_size + r->path_size + r->link_size;
    if (r->size > x->size - pos || r->size < need || r->size % 8 != 0 ||
        r->kind == 0 || r->kind >= INDEX_KIND_END ||
        r->path_size > INDEX_PATH_MAX || r->link_size > INDEX_PATH_MAX ||
        r->xattr_size > INDEX_XATTR_MAX || r->xattr_size % 4 != 0)
        return -EBADMSG;
    out->xattrs = x->map + pos + sizeof(*r);
    out->path = (const char *)out->xattrs + r->xattr_size;
    out->link = out->path + r->path_size;
    *at = pos + r->size;
    return 1;
}
