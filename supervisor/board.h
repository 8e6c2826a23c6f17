// SPDX-License-Identifier: Apache-2.0
/*
 * What machine this is: what was found, then the profile that fits, then the
 * user's own file; later ones win, and every fact says where it is from.
 */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stddef.h>

struct err;

struct board_query {
    const char *sysroot;  /* "" outside tests */
    const char *dtb;      /* another machine's device tree, or NULL: this one */
    const char *kvm;      /* device to ask, or NULL */
    const char *profiles; /* directory, or NULL: do not look */
    const char *override; /* the user's file of --profile, or NULL */
};

struct board {
    json_t *profile; /* the one that fits, or NULL: unknown board */
    /* name -> {"value", "from": "probe|profile|override", "source",
     * "unverified"?, "instead_of"?: the value it replaces} */
    json_t *facts;
    json_t *warnings; /* array of strings */
};

/* -EINVAL etc. for a DTB or an override that cannot be read; a probe that
 * finds nothing is no error. fini takes a failed one too. */
int board_find(struct board *b, const struct board_query *q, struct err *e);
void board_fini(struct board *b);

/* LIMPET_BOARDS, else ../share/limpet/boards beside the directory of the
 * running program, else /usr/share/limpet/boards. */
void board_profiles_dir(char out[PATH_MAX]);

/* "name" and "title" of the profile, or NULL. Borrowed. */
const char *board_name(const struct board *b);
const char *board_title(const struct board *b);

/* All of it as one new object: "board", "title", "facts", "warnings". */
json_t *board_to_json(const struct board *b);
