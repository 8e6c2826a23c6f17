// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/end.h"
#include "cli/verb_args.h"

static const struct opt kill_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"signal", 's', true, 's', "signal to send instead of KILL"},
    {0},
};

static int kill_one(const struct state *s, const char *id,
                    const struct cli_each *c, struct err *e)
{
    struct state_info info;
    int code = state_read(s, id, &info, e);
    if (code < 0)
        return code;
    if (info.state != INSTANCE_RUNNING)
        code = err_set(e, -ESRCH,
                       "cannot kill container: %s: container %s is not "
                       "running",
                       info.name, id);
    else if (c->signo == SIGKILL)
        code = end_kill(s, id, e);
    else
        code = end_signal(s, id, c->signo, e);
    state_info_fini(&info);
    return code;
}

int cli_kill(int argc, char **argv)
{
    struct cli_each c = {.each = kill_one, .echo = true, .signo = SIGKILL};
    struct verb_args a = {.verb = "kill", .table = kill_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 's')
            c.signo = cli_parse_signal(f.value, &a.e);
    }
    return a.done ? a.status : cli_for_each(&a.reader, a.root, &c);
}
