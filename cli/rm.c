// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/end.h"
#include "cli/verb_args.h"

static const struct opt rm_flags[] = {
    {"force", 'f', false, 'f', "kill it first if it runs"},
    {"help", 0, false, 'h', "print this"},
    {"link", 'l', true, 0, "networks come with a later release"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"volumes", 'v', false, 0, "volumes come with a later release"},
    {0},
};

static int rm_one(const struct state *s, const char *id,
                  const struct cli_each *c, struct err *e)
{
    struct state_info info;
    int code = state_read(s, id, &info, e);
    if (code < 0 && c->force)
        return state_remove(s, id, NULL, e); /* damaged: nothing to kill */
    if (code < 0)
        return code;
    if (info.state == INSTANCE_RUNNING && !c->force)
        code = err_set(e, -EBUSY,
                       "cannot remove container \"%s\": container is running: "
                       "stop the container before removing or force remove",
                       info.name);
    else if (info.state == INSTANCE_RUNNING)
        code = end_kill(s, id, e);
    if (code == 0)
        code = state_remove(s, id, info.name, e);
    state_info_fini(&info);
    return code;
}

int cli_rm(int argc, char **argv)
{
    struct cli_each c = {.each = rm_one, .echo = true};
    struct verb_args a = {.verb = "rm", .table = rm_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 'f')
            c.force = c.forgive = f.value[0] == 't';
    }
    return a.done ? a.status : cli_for_each(&a.reader, a.root, &c);
}
