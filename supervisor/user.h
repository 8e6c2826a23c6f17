// SPDX-License-Identifier: Apache-2.0
/* `-u USER[:GROUP]` against an image's users and groups tables. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/boot.h"

struct err;

struct user {
    uint32_t uid;
    uint32_t gid;
    uint32_t gids[BOOT_GID_MAX]; /* the primary one first */
    size_t gid_count;
    char home[4096]; /* "/" for an unknown uid */
};

/*
 * Docker's rules: names win over numbers, numbers need no entry, an empty
 * text is root. `users` and `groups` are the tables of docs/store.md and are
 * checked here. -ENOENT for a name that is not there.
 */
int user_resolve(const json_t *users, const json_t *groups, const char *text,
                 struct user *out, struct err *e);
