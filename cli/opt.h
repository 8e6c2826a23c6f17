// SPDX-License-Identifier: Apache-2.0
/* Flags as docker's commands take them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

struct opt {
    const char *name;   /* without dashes; NULL ends a table */
    char letter;        /* 0: no short form */
    bool value;         /* takes one; a bool takes only =true or =false */
    int id;             /* > 0: ours; 0: refused with `advice` */
    const char *advice; /* what to use instead, or when it comes */
};

/* One recognised flag. For a bool `value` is "true" or "false". */
struct opt_seen {
    int id;
    const char *name;
    const char *value;
};

struct opt_reader {
    const struct opt *table;
    char **argv; /* after the verb */
    int argc;
    int next;            /* first argument not read yet */
    const char *letters; /* rest of a group of short flags, or NULL */
    bool mixed;          /* flags may follow arguments (not for run) */
    bool ended;          /* "--" was seen */
    char **rest;         /* storage for argc pointers: the arguments */
    int rest_count;
};

/*
 * The next flag: 1 and *out; 0 at the end of flags: `rest` has the arguments;
 * -EINVAL with docker's message or our advice.
 */
int opt_next(struct opt_reader *r, struct opt_seen *out, struct err *e);
