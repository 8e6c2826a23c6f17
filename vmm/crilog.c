// SPDX-License-Identifier: Apache-2.0
/* Container output in the CRI log format. */
#include "vmm/crilog.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/iov.h"

struct date {
    int64_t year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
};

/* Proleptic Gregorian date of a day since 1970-01-01. gmtime_r() would open
 * time zone files, which the jail does not have. Years start in March here, so
 * that the leap day is the last one. */
static struct date date_of(int64_t days)
{
    days += 719468; /* since 0000-03-01 */
    int64_t era = days / 146097;
    unsigned day = (unsigned)(days % 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned in_year = day - (365 * year + year / 4 - year / 100);
    unsigned march = (5 * in_year + 2) / 153;
    struct date d = {.day = in_year - (153 * march + 2) / 5 + 1,
                     .month = march < 10 ? march + 3 : march - 9};
    d.year = era * 400 + year + (d.month <= 2);
    return d;
}

static size_t stamp(char *out, size_t room, const char *name, char tag)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct date d = date_of(now.tv_sec / 86400);
    unsigned s = (unsigned)(now.tv_sec % 86400);
    int n = snprintf(out, room, "%04lld-%02u-%02uT%02u:%02u:%02u.%09ldZ %s %c ",
                     (long long)d.year, d.month, d.day, s / 3600, s / 60 % 60,
                     s % 60, now.tv_nsec, name, tag);
    return n < 0 ? 0 : (size_t)n;
}

void crilog_write(const struct crilog *l, const char *text, size_t size)
{
    while (l->fd >= 0 && size > 0) {
        const char *nl = memchr(text, '\n', size);
        size_t piece = nl == NULL ? size : (size_t)(nl - text);
        char head[96];
        size_t head_size =
            stamp(head, sizeof(head), l->name, nl == NULL ? 'P' : 'F');
        char end = '\n';
        struct iovec iov[3] = {
            {head, head_size}, iov_const(text, piece), {&end, 1}};
        ssize_t n = writev(l->fd, iov, 3);
        (void)n;
        piece += nl != NULL;
        text += piece;
        size -= piece;
    }
}
