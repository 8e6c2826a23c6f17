// SPDX-License-Identifier: Apache-2.0
#include "cli/verb_args.h"

#include <string.h>

#include "cli/common.h"

static bool verb_args_fail(struct verb_args *a)
{
    a->done = true;
    a->status = cli_usage_error(a->verb, &a->e);
    return false;
}

void verb_args_init(struct verb_args *a, int argc, char **argv, char **rest)
{
    a->reader = (struct opt_reader){.table = a->table,
                                    .argv = argv,
                                    .argc = rest != NULL ? argc : 0,
                                    .mixed = true,
                                    .rest = rest};
    a->e = (struct err){0};
}

static bool verb_args_end(struct verb_args *a)
{
    int n = a->reader.rest_count;
    if (n < a->min)
        (void)err_set(&a->e, -EINVAL, "%s needs at least %d argument%s",
                      a->verb, a->min, a->min == 1 ? "" : "s");
    else if (a->max > 0 && n > a->max)
        (void)err_set(&a->e, -EINVAL, "%s takes %d argument%s, not %d", a->verb,
                      a->max, a->max == 1 ? "" : "s", n);
    return a->e.code < 0 ? verb_args_fail(a) : false;
}

bool verb_args_next(struct verb_args *a, struct opt_seen *f)
{
    while (!a->done) {
        if (a->e.code < 0)
            return verb_args_fail(a);
        int code = opt_next(&a->reader, f, &a->e);
        if (code < 0)
            return verb_args_fail(a);
        if (code == 0)
            return verb_args_end(a);
        if (f->id == 'h') {
            a->done = true;
            a->status = cli_print_help(a->verb, a->table);
        } else if (f->id == 'R') {
            a->root = f->value;
        } else {
            return true;
        }
    }
    return false;
}

void verb_args_format(struct verb_args *a, const char *value, bool *json)
{
    if (strcmp(value, "json") == 0)
        *json = true;
    else if (strcmp(value, "table") != 0)
        (void)err_set(&a->e, -EINVAL, "--format %.32s: must be table or json",
                      value);
}
