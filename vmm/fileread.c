// SPDX-License-Identifier: Apache-2.0
/* Whole ranges of an inherited file. */
#include "vmm/fileread.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

int file_read(int fd, void *out, uint64_t size, uint64_t off, const char *what,
              struct err *e)
{
    uint64_t done = 0;
    if (off > INT64_MAX || size > INT64_MAX - off)
        return err_set(e, -ENOEXEC, "%s: the file is truncated", what);
    while (done < size) {
        ssize_t n =
            pread(fd, (uint8_t *)out + done, size - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "%s: read: %s", what, strerror(errno));
        if (n == 0)
            return err_set(e, -ENOEXEC, "%s: the file is truncated", what);
        done += (uint64_t)n;
    }
    return 0;
}

int file_size(int fd, uint64_t *size, const char *what, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", what, strerror(errno));
    *size = (uint64_t)st.st_size;
    return 0;
}
