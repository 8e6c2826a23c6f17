// SPDX-License-Identifier: Apache-2.0
/* limpet port: where a container's ports are. */
#include "net/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/verb_args.h"

static const struct opt port_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

/* One line; only the address if one port was asked for. */
static void port_line(const struct port *p, const char *at, bool one)
{
    if (!one)
        (void)printf("%u/%s -> ", p->guest, p->udp ? "udp" : "tcp");
    (void)printf(p->any || !p->at.v6 || at[0] == '[' ? "%s:%u\n" : "[%s]:%u\n",
                 at, p->host);
}

/* "80" or "80/udp" against a port. */
static bool port_wanted(const struct port *p, const char *want)
{
    char text[16];
    if (want == NULL)
        return true;
    (void)snprintf(text, sizeof(text), "%u/%s", p->guest,
                   p->udp ? "udp" : "tcp");
    size_t n = strlen(want);
    return strcmp(text, want) == 0 ||
           (!p->udp && strncmp(text, want, n) == 0 && text[n] == '/');
}

static int port_print(const struct state_info *i, const char *want,
                      struct err *e)
{
    struct port_list l = {0};
    unsigned shown = 0;
    int code = port_list_from_json(&l, json_object_get(i->config, "ports"),
                                   "config.json", e);
    for (unsigned k = 0; code == 0 && k < l.count; k++) {
        const struct port *p = &l.port[k];
        char at[NET_ADDR_TEXT_SIZE];
        if (!port_wanted(p, want))
            continue;
        shown++;
        net_addr_text(&p->at, false, at);
        port_line(p, p->any ? "0.0.0.0" : at, want != NULL);
        if (p->any)
            port_line(p, "[::]", want != NULL);
    }
    port_list_fini(&l);
    if (code == 0 && want != NULL && shown == 0)
        return err_set(e, -ENOENT, "No public port '%.32s' published for %.12s",
                       want, i->id);
    return code;
}

int cli_port(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "port", .table = port_flags, .min = 1, .max = 2};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    struct state s;
    struct state_info info;
    char id[STATE_ID_SIZE];
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        continue;
    if (a.done)
        return a.status;
    int code = cli_open_state(a.root, &s, &a.e);
    if (code < 0)
        return cli_error(&a.e);
    code = state_find(&s, rest[0], id, &a.e);
    if (code == 0)
        code = state_read(&s, id, &info, &a.e);
    if (code == 0) {
        code =
            port_print(&info, a.reader.rest_count > 1 ? rest[1] : NULL, &a.e);
        state_info_fini(&info);
    }
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
