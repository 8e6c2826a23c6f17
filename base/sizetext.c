// SPDX-License-Identifier: Apache-2.0
#include "base/sizetext.h"

#include <stdio.h>

#include "base/auto.h"

void sizetext(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1000 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1000;
    int digits = u == 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2;
    (void)snprintf(out, size, "%.*f%s", digits, v, units[u]);
}
