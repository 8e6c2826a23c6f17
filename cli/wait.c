// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/end.h"
#include "cli/verb_args.h"

static const struct opt wait_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

static int wait_one(const struct state *s, const char *id,
                    const struct cli_each *c, struct err *e)
{
    (void)c;
    struct instance_exit x;
    int code = end_wait(s, id, -1, &x, e);
    if (code < 0)
        return code;
    (void)printf("%d\n", instance_exit_status(&x));
    (void)fflush(stdout);
    return 0;
}

int cli_wait(int argc, char **argv)
{
    struct cli_each c = {.each = wait_one};
    struct verb_args a = {.verb = "wait", .table = wait_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        continue;
    return a.done ? a.status : cli_for_each(&a.reader, a.root, &c);
}
