// SPDX-License-Identifier: Apache-2.0
/* Text for people: durations in docker's words, columns on a terminal. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "Less than a second", "About a minute", "3 hours", "2 weeks" ... */
void human_duration(int64_t ns, char *out, size_t size);

/* Characters of a UTF-8 text. */
size_t human_width(const char *s);
