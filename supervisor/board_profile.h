// SPDX-License-Identifier: Apache-2.0
/* Profiles of machines: JSON files as docs/boards.md describes them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct board_ids;
struct err;

enum { PROFILE_SIZE_MAX = 256 << 10, PROFILE_FILES_MAX = 256 };

/* Read and check a file. `override`: the user's own, whose facts need no
 * source and which needs neither name nor rules. The caller json_decrefs *out.
 * -EINVAL and one line with the file, the fact and what is wrong. */
int profile_load(const char *path, bool override, json_t **out, struct err *e);

/* How exactly a checked profile's rules fit: 0 not at all, more is better. A
 * device tree name counts more than DMI, that more than the CPU. */
int profile_score(const json_t *profile, const struct board_ids *ids);

/* The best fit of all DIR/NAME.json, or NULL; of equals the first by name. A
 * file that cannot be read becomes a warning. The caller json_decrefs it. */
json_t *profile_find(const char *dir, const struct board_ids *ids,
                     json_t *warnings);
