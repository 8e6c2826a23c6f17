// SPDX-License-Identifier: Apache-2.0
/*
 * Facts about a machine: the list of names, what each may hold, and sets of
 * them. A set is a JSON object name -> {"value", "source", "unverified"}
 * (docs/boards.md).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

enum {
    BOARD_TEXT_MAX = 256,   /* bytes of a string, longer ones are cut */
    BOARD_LIST_MAX = 64,    /* entries of a list */
    BOARD_WARNINGS_MAX = 16 /* what was odd about the machine */
};

/* What a fact holds. The last three are lists of objects. */
enum board_kind {
    BOARD_STRING = 1,
    BOARD_COUNT, /* 0 to 2^53 */
    BOARD_BYTES,
    BOARD_BOOL,
    BOARD_STRINGS,
    BOARD_COUNTS,
    BOARD_CLUSTERS, /* {"cpu": string, "count": count} */
    BOARD_SERIALS,  /* {"path", "compatible", "address", "alias", "stdout"} */
    BOARD_DEVICES,  /* {"kind", "path", "note"} */
};

struct board_fact {
    const char *name; /* "labels.": any name that begins so */
    enum board_kind kind;
    const char *text; /* for people */
};

extern const struct board_fact board_facts[]; /* ends with a NULL name */

const char *board_kind_name(enum board_kind kind);

/* The entry of `name`, or NULL: no such fact. */
const struct board_fact *board_fact_find(const char *name);

/* Is `value` what the fact holds? -EINVAL with `where`, name and what is
 * wanted. Takes any JSON. */
int board_fact_check(const struct board_fact *f, const json_t *value,
                     const char *where, struct err *e);

/* Put a fact into a set; `value` is taken, NULL (out of memory, or nothing
 * found) is ignored. */
void board_fact_put(json_t *set, const char *name, json_t *value,
                    const char *source);

/* A JSON string of untrusted bytes up to a NUL, `size` or BOARD_TEXT_MAX:
 * what is not printable ASCII becomes '?'. */
json_t *board_text(const char *bytes, size_t size);

/* Add a line to an array of warnings; silently full at BOARD_WARNINGS_MAX. */
void board_warn(json_t *warnings, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
