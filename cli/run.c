// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/attach.h"
#include "cli/common.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/run_flags.h"
#include "supervisor/client.h"

static int run_foreground(struct launch *l, const struct run_opts *o)
{
    struct err e;
    struct instance_exit x;
    int code = attach_run(l, o, &x, &e);
    int status = CLI_LIMPET_FAILED;
    launch_mark(l, "cli_exit");
    if (code < 0) {
        if (code != -EPIPE)
            (void)cli_fail(&e);
        report_dead(l, o);
    } else {
        state_record(l->vm.exit, &x);
        report_exit(l, o, &x);
        status = instance_exit_status(&x);
    }
    if (o->rm && state_remove(&l->state, l->vm.id, l->vm.name, &e) < 0)
        (void)cli_fail(&e);
    return status;
}

/* Until the program runs, or could not: 127 and its like are ours to say. */
static int run_detached(struct launch *l, const struct run_opts *o)
{
    struct err e;
    struct instance_exit x = {.kind = CTL_MONITOR};
    int code;
    attach_unblock_signals();
    (void)printf("%s\n", l->vm.id);
    (void)fflush(stdout);
    do {
        code = client_read(l->client, &x, &e);
    } while (code == CLIENT_NOTHING || code == CLIENT_KILLED);
    if (code == CLIENT_STARTED)
        return 0;
    if (code < 0) {
        report_dead(l, o);
    } else {
        state_record(l->vm.exit, &x);
        report_exit(l, o, &x);
    }
    if (code == CLIENT_EXIT &&
        (x.kind == CTL_EXITED || x.kind == CTL_SIGNALLED))
        return 0; /* it ran, and has ended */
    if (o->rm)
        (void)state_remove(&l->state, l->vm.id, l->vm.name, NULL);
    return instance_exit_status(&x);
}

static int run_start(const struct run_opts *o)
{
    struct err e = {0};
    struct launch l;
    int code = launch_start(&l, o, &e);
    if (code < 0) {
        if (e.msg[0] != '\0')
            (void)cli_fail(&e);
        if (l.kvm_refused)
            report_emulate(o);
        return CLI_LIMPET_FAILED;
    }
    int status = o->detach ? run_detached(&l, o) : run_foreground(&l, o);
    launch_fini(&l);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct err e;
    struct run_opts o;
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    if (rest == NULL)
        return CLI_LIMPET_FAILED;
    int status;
    if (run_opts_parse(argc, argv, &o, rest, &e) < 0) {
        status = cli_usage_error("run", &e);
    } else if (o.help) {
        status = cli_print_help("run", run_flags);
    } else if (o.tty && o.interactive && !o.detach && !isatty(STDIN_FILENO)) {
        (void)err_set(&e, -ENOTTY, "the input device is not a TTY");
        status = cli_fail(&e);
    } else {
        status = run_start(&o);
    }
    run_opts_fini(&o);
    return status;
}
