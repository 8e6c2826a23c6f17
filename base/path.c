// SPDX-License-Identifier: Apache-2.0
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"

int path_open(int dirfd, const char *path, int flags, struct err *e)
{
    int fd = openat(dirfd, path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        int code = -errno;
        return err_set(e, code, "%s: %s", path, strerror(-code));
    }
    return fd;
}

int path_mkdirs(const char *path, struct err *e)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return err_set(e, -ENAMETOOLONG, "%s: bad directory name", path);

    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        (void)mkdir(part, 0755); /* the last one tells */
        *p = '/';
    }
    if (mkdir(part, 0700) < 0 && errno != EEXIST) {
        int code = -errno;
        return err_set(e, code, "%s: %s", path, strerror(-code));
    }
    return path_open(AT_FDCWD, part, O_RDONLY | O_DIRECTORY, e);
}

int path_read(int dirfd, const char *path, size_t max, char **out, size_t *size,
              struct err *e)
{
    AUTO_CLOSE int fd = path_open(dirfd, path, O_RDONLY, e);
    if (fd < 0)
        return fd;

    struct stat st;
    if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
        return err_set(e, -EISDIR, "%s: not a regular file", path);
    size_t room = st.st_size > 0 && (size_t)st.st_size <= max
                      ? (size_t)st.st_size + 1
                      : 4096;
    AUTO_FREE char *data = malloc(room + 1);
    size_t used = 0;
    while (data != NULL) {
        ssize_t n = read(fd, data + used, room - used);
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        used += n > 0 ? (size_t)n : 0;
        if (used > max)
            return err_set(e, -EFBIG, "%s: larger than %zu bytes", path, max);
        if (used == room) {
            char *more = realloc(data, room * 2 + 1);
            if (more == NULL)
                return err_set(e, -ENOMEM, "%s: out of memory", path);
            data = more;
            room *= 2;
        }
    }
    if (data == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    data[used] = '\0';
    *out = data;
    data = NULL;
    if (size != NULL)
        *size = used;
    return 0;
}

int path_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int path_sync_parent(int dirfd, char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path] = '\0'; /* that of "/" stays */
    AUTO_CLOSE int fd = openat(dirfd, slash != NULL ? path : ".",
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int path_replace(int dirfd, const char *path, const void *data, size_t size,
                 int sync, struct err *e)
{
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof(tmp), "%s.new.%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(tmp))
        return err_set(e, -ENAMETOOLONG, "%s: name too long", path);

    AUTO_CLOSE int fd = path_open(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC, e);
    if (fd < 0)
        return fd;
    int code = path_write_all(fd, data, size);
    if (code == 0 && sync && fsync(fd) < 0)
        code = -errno;
    if (code == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
        code = -errno;
    if (code < 0)
        (void)unlinkat(dirfd, tmp, 0);
    else if (sync)
        code = path_sync_parent(dirfd, tmp);
    return code < 0 ? err_set(e, code, "%s: %s", path, strerror(-code)) : 0;
}
