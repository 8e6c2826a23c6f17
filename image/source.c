// SPDX-License-Identifier: Apache-2.0
#include "image/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "image/remote.h"
#include "image/unpack.h"

int source_open(struct source *s, const struct imgref *ref, struct err *e)
{
    *s = (struct source){.is_tar = ref->kind != IMGREF_OCI};
    int flags = s->is_tar ? O_NONBLOCK : O_DIRECTORY;
    AUTO_CLOSE int fd = open(ref->path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    if (s->is_tar)
        return source_open_tar(s, fd, e);
    s->fd = fd_release(&fd);
    return 0;
}

int source_open_tar(struct source *s, int fd, struct err *e)
{
    *s = (struct source){.is_tar = 1};
    s->is_packed = unpack_is_packed(fd);
    if (!s->is_packed) {
        int code = tarfile_init(&s->tar, fd, e);
        if (code < 0)
            return code;
    }
    s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (s->fd >= 0)
        return 0;
    tarfile_fini(&s->tar);
    s->fd = 0;
    return err_set(e, -errno, "%s", strerror(errno));
}

int source_unpack(struct source *s, int fd, struct err *e)
{
    int code = unpack_file(s->fd, fd, e);
    if (code == 0)
        code = tarfile_init(&s->tar, fd, e);
    if (code < 0)
        return code;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    (void)close(s->fd);
    s->fd = own;
    s->is_packed = 0;
    return 0;
}

void source_close(struct source *s)
{
    if (s->fd > 0)
        (void)close(s->fd);
    tarfile_fini(&s->tar);
    *s = (struct source){0};
}

static int source_find_in_tar(const struct source *s, const char *name,
                              struct extent *out, struct err *e)
{
    const struct tarfile_member *m = tarfile_find(&s->tar, name);
    if (m == NULL)
        return err_set(e, -ENOENT, "%.200s: missing", name);
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    *out = (struct extent){.fd = fd, .offset = m->offset, .size = m->size};
    return 0;
}

int source_find(const struct source *s, const char *name, struct extent *out,
                struct err *e)
{
    if (s->is_tar)
        return source_find_in_tar(s, name, out, e);
    /* O_NONBLOCK: a FIFO in its place must not make us wait. */
    AUTO_CLOSE int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return err_set(e, -ENOENT, "%.200s: missing", name);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, -errno, "%.200s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "%.200s: not a regular file", name);
    *out = (struct extent){.size = (uint64_t)st.st_size};
    out->fd = fd_release(&fd);
    return 0;
}

int source_read(const struct source *s, const char *name, size_t max,
                char **out, size_t *size, struct err *e)
{
    if (s->remote != NULL)
        return remote_read(s->remote, name, max, out, size, e);
    struct extent x = {.fd = -1};
    int code = source_find(s, name, &x, e);
    if (code < 0)
        return code;
    AUTO_CLOSE int fd = x.fd;
    if (x.size > max)
        return err_set(e, -EFBIG, "%.200s: larger than %zu bytes", name, max);
    AUTO_FREE char *text = malloc((size_t)x.size + 1);
    if (text == NULL)
        return err_set(e, -ENOMEM, "%.200s: out of memory", name);
    size_t done = 0;
    while (done < x.size) {
        ssize_t n = pread(fd, text + done, (size_t)x.size - done,
                          (off_t)(x.offset + done));
        if (n <= 0)
            return err_set(e, -EIO, "%.200s: truncated while it was read",
                           name);
        done += (size_t)n;
    }
    text[done] = '\0';
    *size = done;
    *out = text;
    text = NULL;
    return 0;
}
