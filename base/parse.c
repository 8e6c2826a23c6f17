// SPDX-License-Identifier: Apache-2.0
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    if (!isdigit((unsigned char)s[0]))
        return -EINVAL;

    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE || v < min || v > max)
        return -ERANGE;
    *out = v;
    return 0;
}

int parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "bBkKmMgGtT";
    if (!isdigit((unsigned char)s[0]))
        return -EINVAL;

    char *end;
    errno = 0;
    double v = strtod(s, &end);
    unsigned shift = 0;
    if (*end != '\0') {
        const char *u = strchr(units, *end);
        if (u == NULL)
            return -EINVAL;
        shift = (unsigned)(u - units) / 2 * 10;
        end++;
        if (shift > 0 &&
            (strcasecmp(end, "b") == 0 || strcasecmp(end, "ib") == 0))
            end += strlen(end);
    }
    if (*end != '\0' || memchr(s, 'x', 2) != NULL)
        return -EINVAL;
    v *= (double)(UINT64_C(1) << shift);
    if (errno == ERANGE || !(v < 9.0e18))
        return -ERANGE;
    *out = (uint64_t)v;
    return 0;
}
