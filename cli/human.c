// SPDX-License-Identifier: Apache-2.0
#include "cli/human.h"

#include <stdio.h>

#include "base/auto.h"

#define HUMAN_HOUR INT64_C(3600)
#define HUMAN_DAY  (24 * HUMAN_HOUR)

/* From `from` seconds on: the text alone, or after a count of `unit` seconds.
 */
static const struct {
    int64_t from;
    int64_t unit;
    const char *text;
} human_steps[] = {
    {0, 0, "Less than a second"},
    {1, 0, "1 second"},
    {2, 1, "seconds"},
    {60, 0, "About a minute"},
    {120, 60, "minutes"},
    {HUMAN_HOUR, 0, "About an hour"},
    {2 * HUMAN_HOUR, HUMAN_HOUR, "hours"},
    {2 * HUMAN_DAY, HUMAN_DAY, "days"},
    {14 * HUMAN_DAY, 7 * HUMAN_DAY, "weeks"},
    {60 * HUMAN_DAY, 30 * HUMAN_DAY, "months"},
    {730 * HUMAN_DAY, 365 * HUMAN_DAY, "years"},
};

void human_duration(int64_t ns, char *out, size_t size)
{
    int64_t s = ns > 0 ? ns / 1000000000 : 0;
    size_t i = ARRAY_COUNT(human_steps) - 1;
    while (i > 0 && s < human_steps[i].from)
        i--;
    if (human_steps[i].unit == 0) {
        (void)snprintf(out, size, "%s", human_steps[i].text);
        return;
    }
    const char *word = human_steps[i].text + sizeof("") - 1;
    (void)snprintf(out, size, "%lld %s", (long long)(s / human_steps[i].unit),
                   word);
}

size_t human_width(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}
