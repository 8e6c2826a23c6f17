// SPDX-License-Identifier: Apache-2.0
/* The flags of every verb but run: reads them, answers --help and errors. */
#pragma once

#include "base/err.h"
#include "cli/opt.h"

/* By convention the ids 'h' (--help) and 'R' (--root) are handled here. */
struct verb_args {
    const char *verb;
    const struct opt *table;
    int min, max; /* arguments; max 0: no limit */
    const char *root;
    struct opt_reader reader;
    struct err e; /* a caller may set it to refuse a value */
    bool done;    /* nothing more to do than to return `status` */
    int status;
};

/* `rest`: room for argc + 1 pointers, or NULL when out of memory. */
void verb_args_init(struct verb_args *a, int argc, char **argv, char **rest);

/* The next flag that is the verb's own; false at the end or if `done`. */
bool verb_args_next(struct verb_args *a, struct opt_seen *f);

/* The value of --format: sets *json for "json", refuses all but "table". */
void verb_args_format(struct verb_args *a, const char *value, bool *json);
