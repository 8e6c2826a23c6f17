// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/end.h"
#include "cli/verb_args.h"

enum { STOP_SECONDS = 10, STOP_SECONDS_MAX = 1000000 };

static const struct opt stop_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"signal", 's', true, 's', "instead of the image's stop signal"},
    {"time", 0, true, 't', "the same as --timeout"},
    {"timeout", 't', true, 't', "seconds before it is killed; -1: never"},
    {0},
};

static int stop_one(const struct state *s, const char *id,
                    const struct cli_each *c, struct err *e)
{
    struct state_info info;
    int code = state_read(s, id, &info, e);
    if (code < 0)
        return code;
    int signo = c->signo;
    const char *own =
        json_string_value(json_object_get(info.config, "stop_signal"));
    if (signo == 0 && own != NULL)
        signo = cli_parse_signal(own, NULL);
    if (signo <= 0)
        signo = SIGTERM;
    if (info.state == INSTANCE_RUNNING)
        code = end_stop(s, id, signo, c->seconds, e);
    state_info_fini(&info);
    return code;
}

int cli_stop(int argc, char **argv)
{
    struct cli_each c = {
        .each = stop_one, .echo = true, .seconds = STOP_SECONDS};
    struct verb_args a = {.verb = "stop", .table = stop_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        uint64_t n = 0;
        if (f.id == 's')
            c.signo = cli_parse_signal(f.value, &a.e);
        else if (strcmp(f.value, "-1") == 0)
            c.seconds = -1;
        else if (parse_u64(f.value, 0, STOP_SECONDS_MAX, &n) < 0)
            (void)err_set(&a.e, -EINVAL, "--timeout %.32s: not seconds",
                          f.value);
        else
            c.seconds = (long)n;
    }
    return a.done ? a.status : cli_for_each(&a.reader, a.root, &c);
}
