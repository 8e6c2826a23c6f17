// SPDX-License-Identifier: Apache-2.0
#include "cli/network_connect.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/network.h"
#include "supervisor/network_connect.h"

static const struct opt connect_flags[] = {
    {"alias", 0, true, 'a', "another name of the container there; repeat"},
    {"driver-opt", 0, true, 0, "there are none"},
    {"help", 0, false, 'h', "print this"},
    {"ip", 0, true, '4', "IPv4 address there"},
    {"ip6", 0, true, '6', "IPv6 address there"},
    {"link", 0, true, 0, "use --alias"},
    {"link-local-ip", 0, true, 0, "it has one of its MAC address"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};
static const struct opt disconnect_flags[] = {
    {"force", 'f', false, 'f', "do not wait for its kernel"},
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

struct connect_args {
    struct network_connect want;
    struct network_options names; /* aliases, checked */
    bool force;
};

static void connect_address(struct verb_args *a, const struct opt_seen *f,
                            struct network_connect *w)
{
    struct net_addr x;
    const bool v6 = f->id == '6';
    if (strchr(f->value, '/') != NULL || net_addr_parse(f->value, &x) < 0 ||
        x.v6 != v6) {
        (void)err_set(&a->e, -EINVAL, "--%s %.64s: must be an address like %s",
                      v6 ? "ip6" : "ip", f->value, v6 ? "fd00::2" : "10.0.0.2");
        return;
    }
    *(v6 ? &w->has6 : &w->has4) = true;
    *(v6 ? &w->ip6 : &w->ip4) = x;
}

static void connect_take(struct verb_args *a, const struct opt_seen *f,
                         struct connect_args *c)
{
    if (f->id == 'a')
        (void)network_add_alias(&c->names, f->value, &a->e);
    else if (f->id == 'f')
        c->force = f->value[0] == 't';
    else
        connect_address(a, f, &c->want);
}

static int connect_do(const struct verb_args *a, char **rest,
                      const struct connect_args *c, bool on, struct err *e)
{
    struct network_connect want = c->want;
    struct host h;
    struct state s;
    struct state_info vm;
    char id[STATE_ID_SIZE];
    int code = host_init(&h, e);
    if (code == 0)
        code = cli_open_state(a->root, &s, e);
    if (code < 0)
        return code;
    want.libexec = h.libexec;
    want.network = rest[0];
    want.aliases = c->names.alias;
    want.alias_count = c->names.alias_count;
    code = state_find(&s, rest[1], id, e);
    if (code == 0)
        code = state_read(&s, id, &vm, e);
    if (code == 0) {
        code = on ? network_connect(&s, &vm, &want, e)
                  : network_disconnect(&s, &vm, &want, c->force, e);
        state_info_fini(&vm);
    }
    state_fini(&s);
    return code;
}

static int connect_verb(struct verb_args *a, int argc, char **argv, bool on)
{
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct connect_args c = {.force = false};
    struct opt_seen f;
    verb_args_init(a, argc, argv, rest);
    while (verb_args_next(a, &f))
        connect_take(a, &f, &c);
    if (a->done)
        return a->status;
    return connect_do(a, rest, &c, on, &a->e) < 0 ? cli_error(&a->e) : 0;
}

int cli_network_connect(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "network connect", .table = connect_flags, .min = 2, .max = 2};
    return connect_verb(&a, argc, argv, true);
}

int cli_network_disconnect(int argc, char **argv)
{
    struct verb_args a = {.verb = "network disconnect",
                          .table = disconnect_flags,
                          .min = 2,
                          .max = 2};
    return connect_verb(&a, argc, argv, false);
}
