// SPDX-License-Identifier: Apache-2.0
#include "supervisor/crilog.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/path.h"

void crilog_write(int fd, const char *stream, const char *data, size_t size)
{
    struct timespec t;
    struct tm tm;
    char when[32];
    struct buf b = {0};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t n = end != NULL ? (size_t)(end - data) : size;
        buf_printf(&b, "%s.%09ldZ %s %c ", when, t.tv_nsec, stream,
                   end != NULL ? 'F' : 'P');
        buf_add(&b, data, n);
        buf_add(&b, "\n", 1);
        n += end != NULL;
        data += n;
        size -= n;
    }
    /* A full disk must not stop the program: its log ends there. */
    if (b.failed == 0 && b.size > 0)
        (void)path_write_all(fd, b.data, b.size);
    buf_fini(&b);
}
