// SPDX-License-Identifier: Apache-2.0
#include "cli/common.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "supervisor/host.h"
#include "supervisor/imagespec.h"

int cli_fail(const struct err *e)
{
    (void)fprintf(stderr, "limpet: %s\n", e->msg);
    return CLI_LIMPET_FAILED;
}

int cli_error(const struct err *e)
{
    (void)fprintf(stderr, "Error: %s\n", e->msg);
    return 1;
}

int cli_usage_error(const char *verb, const struct err *e)
{
    (void)fprintf(stderr, "limpet: %s\nSee 'limpet %s --help'.\n", e->msg,
                  verb);
    return CLI_LIMPET_FAILED;
}

cli_help_fn *cli_help_printer;

static const struct verb *help_find(const char *name)
{
    const struct verb *const lists[] = {cli_verbs, cli_network_verbs};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        for (const struct verb *v = lists[i]; v->name != NULL; v++)
            if (strcmp(v->name, name) == 0)
                return v;
    return NULL;
}

int cli_print_help(const char *verb, const struct opt *table)
{
    const struct verb *v = help_find(verb);
    if (v != NULL && cli_help_printer != NULL) {
        cli_help_printer(v, table);
        return 0;
    }
    if (v != NULL)
        (void)printf("Usage: limpet %s %s\n\n%s\n", verb, v->usage, v->what);
    if (table == NULL || table->name == NULL)
        return 0;
    (void)printf("\nFlags:\n");
    for (const struct opt *o = table; o->name != NULL; o++) {
        if (o->id == 0)
            continue;
        char text[64];
        (void)snprintf(text, sizeof(text), "--%s%s", o->name,
                       o->value ? " VALUE" : "");
        if (o->letter != 0)
            (void)printf("  -%c, %-24s %s\n", o->letter, text, o->advice);
        else
            (void)printf("      %-24s %s\n", text, o->advice);
    }
    return 0;
}

int cli_open_state(const char *root, struct state *s, struct err *e)
{
    char path[PATH_MAX];
    int code = host_root(root, path, e);
    return code < 0 ? code : state_open(s, path, e);
}

int cli_parse_signal(const char *text, struct err *e)
{
    uint64_t n;
    if (parse_u64(text, 1, 64, &n) == 0)
        return (int)n;
    const char *name = text;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    if (strncasecmp(name, "RTMIN+", 6) == 0 &&
        parse_u64(name + 6, 0, 30, &n) == 0)
        return 34 + (int)n;
    if (strncasecmp(name, "RTMAX-", 6) == 0 &&
        parse_u64(name + 6, 0, 30, &n) == 0)
        return 64 - (int)n;
    for (int i = 1; i < 32; i++) {
        const char *known = sigabbrev_np(i);
        if (known != NULL && strcasecmp(known, name) == 0)
            return i;
    }
    return err_set(e, -EINVAL, "invalid signal: %.64s", text);
}

int cli_for_each(const struct opt_reader *r, const char *root,
                 const struct cli_each *c)
{
    struct err e;
    struct state s;
    int failed = 0;
    if (cli_open_state(root, &s, &e) < 0)
        return cli_error(&e);
    for (int i = 0; i < r->rest_count; i++) {
        char id[STATE_ID_SIZE];
        int code = state_find(&s, r->rest[i], id, &e);
        bool missing = code == -ENOENT;
        if (code == 0)
            code = c->each(&s, id, c, &e);
        if (code < 0) {
            (void)cli_error(&e);
            failed |= !(missing && c->forgive);
        } else if (c->echo) {
            (void)printf("%s\n", r->rest[i]);
        }
    }
    state_fini(&s);
    return failed;
}

int cli_find_image(const struct state *s, const char *ref, const char *arch,
                   char hex[65], struct err *e)
{
    int code = imagespec_lookup(s->root, ref, arch, hex, e);
    return code == -ENOENT ? err_set(e, code, "No such image: %.200s", ref)
                           : code;
}
