// SPDX-License-Identifier: Apache-2.0
/* limpet network: the verbs of networks, as docker has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/network_connect.h"
#include "cli/table.h"
#include "cli/verb_args.h"
#include "net/bridge.h"
#include "net/filter.h"
#include "net/forward.h"
#include "net/keep.h"
#include "net/lease.h"

enum { NETWORK_SHORT_ID = 12 };

static const struct opt create_flags[] = {
    {"attachable", 0, false, 0, "there are no swarms"},
    {"driver", 'd', true, 'd', "bridge, the only one"},
    {"gateway", 0, true, 'g', "address of the host on it"},
    {"help", 0, false, 'h', "print this"},
    {"internal", 0, false, 'i', "no way out of it"},
    {"ipv6", 0, false, '6', "IPv6, too"},
    {"label", 0, true, 'l', "KEY=VALUE, shown by inspect"},
    {"opt", 'o', true, 'o', "mtu=N, isolation=true, name=INTERFACE"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"subnet", 0, true, 's', "range like 10.5.0.0/24; of each family"},
    {0},
};
static const struct opt ls_flags[] = {
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"quiet", 'q', false, 'q', "IDs only"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};
static const struct opt plain_flags[] = {
    {"force", 'f', false, 'f', "do not ask (nor does it without)"},
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

/* The store, locked, and the kernel. */
struct network_cli {
    struct state state;
    struct store store;
    struct bridge_host host;
};

static int network_open(struct network_cli *n, const char *root, struct err *e)
{
    n->state.root = -1;
    n->store = (struct store){.dir = -1, .lock = -1};
    n->host = (struct bridge_host){.route.fd = -1, .filter.fd = -1};
    int code = cli_open_state(root, &n->state, e);
    if (code == 0)
        code = store_open(&n->store, n->state.root, e);
    if (code == 0)
        code = bridge_open(&n->host, &n->store, e);
    return code < 0 ? code : store_lock(&n->store, e);
}

static void network_close(struct network_cli *n)
{
    bridge_close(&n->host);
    store_fini(&n->store);
    state_fini(&n->state);
}

/* ---- create ---- */

static void create_address(struct verb_args *a, const char *value,
                           struct net_addr *v4, struct net_addr *v6)
{
    struct net_addr x;
    if (net_addr_parse(value, &x) < 0 || x.prefix == 0)
        (void)err_set(&a->e, -EINVAL, "--%s %.64s: no address",
                      v4 != NULL ? "subnet" : "gateway", value);
    else if (x.v6)
        *v6 = x;
    else
        *v4 = x;
}

static void create_option(struct verb_args *a, const char *text,
                          struct bridge_want *w)
{
    uint64_t mtu;
    const char *eq = strchr(text, '=');
    const char *value = eq != NULL ? eq + 1 : "";
    size_t n = eq != NULL ? (size_t)(eq - text) : strlen(text);
    const char *dot = memrchr(text, '.', n); /* com.docker.network... */
    const char *key = dot != NULL ? dot + 1 : text;
    n -= (size_t)(key - text);
    if (n == 3 && strncmp(key, "mtu", n) == 0 &&
        parse_u64(value, NET_MTU_MIN, NET_MTU_MAX, &mtu) == 0)
        w->mtu = (uint32_t)mtu;
    else if (n == 9 && strncmp(key, "isolation", n) == 0)
        w->isolated = strcmp(value, "false") != 0;
    else if (n == 10 && strncmp(key, "enable_icc", n) == 0)
        w->isolated = strcmp(value, "false") == 0;
    else if (n == 4 && strncmp(key, "name", n) == 0)
        w->device = value;
    else
        (void)err_set(&a->e, -EINVAL,
                      "--opt %.64s: there are mtu=N, isolation=true and "
                      "name=INTERFACE",
                      text);
}

static void create_take(struct verb_args *a, const struct opt_seen *f,
                        struct bridge_want *w, json_t *labels)
{
    const bool on = f->value[0] == 't';
    switch (f->id) {
    case 'g': create_address(a, f->value, &w->gateway4, &w->gateway6); break;
    case 's': create_address(a, f->value, &w->subnet4, &w->subnet6); break;
    case 'i': w->internal = on; break;
    case '6': w->v6 = on; break;
    case 'o': create_option(a, f->value, w); break;
    case 'l': {
        char key[256];
        size_t n = strcspn(f->value, "=");
        (void)snprintf(key, sizeof(key), "%.*s", (int)n, f->value);
        (void)json_object_set_new(
            labels, key, json_string(f->value + n + (f->value[n] == '=')));
        break;
    }
    default:
        if (strcmp(f->value, "bridge") != 0)
            (void)err_set(&a->e, -EINVAL,
                          "--driver %.32s: there is only bridge", f->value);
    }
}

static int network_create(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "network create", .table = create_flags, .min = 1, .max = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct bridge_want w = {0};
    struct store_network made;
    struct network_cli n;
    struct opt_seen f;
    json_t *labels = json_object();
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        create_take(&a, &f, &w, labels);
    int status = a.status;
    if (!a.done) {
        w.name = rest[0];
        w.labels = labels;
        int code = network_open(&n, a.root, &a.e);
        if (code == 0)
            code = bridge_create(&n.host, &w, &made, &a.e);
        if (code == 0) {
            (void)printf("%s\n", made.id);
            store_network_fini(&made);
        }
        network_close(&n);
        status = code < 0 ? cli_error(&a.e) : 0;
    }
    json_decref(labels);
    return status;
}

/* ---- ls ---- */

static void ls_print(const struct store_network *list, size_t count, bool json)
{
    AUTO_FREE struct table_row *rows = calloc(count + 1, sizeof(*rows));
    AUTO_FREE char(*ids)[16] = calloc(count + 1, sizeof(*ids));
    if (rows == NULL || ids == NULL)
        return;
    rows[0] = (struct table_row){
        .cell = {"NETWORK ID", "NAME", "DRIVER", "SCOPE", "SUBNET"}};
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%.*s", NETWORK_SHORT_ID,
                       list[i].id);
        char subnet[NET_ADDR_TEXT_SIZE];
        net_addr_text(&list[i].subnet4, true, subnet);
        rows[i + 1] = (struct table_row){
            .cell = {ids[i], list[i].name, "bridge", "local"}};
        if (!json)
            continue;
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "ID",
                              ids[i], "Name", list[i].name, "Driver", "bridge",
                              "Scope", "local", "Subnet", subnet, "CreatedAt",
                              list[i].created, "Internal", list[i].internal);
        AUTO_FREE char *text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        if (text != NULL)
            (void)printf("%s\n", text);
    }
    if (!json)
        table_print(rows, count + 1, 4, table_colours());
}

static int network_ls(int argc, char **argv)
{
    struct verb_args a = {.verb = "network ls", .table = ls_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct store_network *list;
    struct network_cli n;
    struct opt_seen f;
    size_t count;
    bool quiet = false;
    bool json = false;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 'q')
            quiet = f.value[0] == 't';
        else
            verb_args_format(&a, f.value, &json);
    }
    if (a.done)
        return a.status;
    int code = network_open(&n, a.root, &a.e);
    if (code == 0)
        code = store_list(&n.store, &list, &count, &a.e);
    if (code == 0) {
        for (size_t i = 0; quiet && i < count; i++)
            (void)printf("%.*s\n", NETWORK_SHORT_ID, list[i].id);
        if (!quiet)
            ls_print(list, count, json);
        store_list_free(list, count);
    }
    network_close(&n);
    return code < 0 ? cli_error(&a.e) : 0;
}

/* ---- leases of a network ---- */

struct network_users {
    struct lease_reader r; /* first */
    const struct store *store;
    const char *name;
    json_t *list; /* object: ID -> what it has */
};

static int users_one(struct lease_reader *r, const struct lease *l)
{
    struct network_users *u = (struct network_users *)r;
    char ip4[NET_ADDR_TEXT_SIZE] = "";
    char ip6[NET_ADDR_TEXT_SIZE] = "";
    char mac[NET_MAC_TEXT_SIZE];
    if (strcmp(l->network, u->name) != 0 || !lease_is_alive(u->store, l))
        return 0;
    if (l->has4)
        net_addr_text(&l->ip4, true, ip4);
    if (l->has6)
        net_addr_text(&l->ip6, true, ip6);
    net_mac_text(l->mac, mac);
    (void)json_object_set_new(u->list, l->id,
                              json_pack("{s:s, s:s, s:s, s:s}", "Name", l->name,
                                        "MacAddress", mac, "IPv4Address", ip4,
                                        "IPv6Address", ip6));
    return 0;
}

/* Owned object. */
static json_t *network_users(const struct store *s, const char *name)
{
    struct network_users u = {
        .r = {users_one}, .store = s, .name = name, .list = json_object()};
    (void)lease_each(s, &u.r);
    return u.list;
}

/* ---- inspect, rm, prune ---- */

static json_t *inspect_range(const struct net_addr *subnet,
                             const struct net_addr *gateway)
{
    char range[NET_ADDR_TEXT_SIZE];
    char at[NET_ADDR_TEXT_SIZE];
    net_addr_text(subnet, true, range);
    net_addr_text(gateway, false, at);
    return json_pack("{s:s, s:s}", "Subnet", range, "Gateway", at);
}

static json_t *inspect_json(const struct store *s,
                            const struct store_network *w)
{
    char mtu[16];
    json_t *ranges = json_array();
    (void)json_array_append_new(ranges,
                                inspect_range(&w->subnet4, &w->gateway4));
    if (w->has6)
        (void)json_array_append_new(ranges,
                                    inspect_range(&w->subnet6, &w->gateway6));
    (void)snprintf(mtu, sizeof(mtu), "%u", w->mtu);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:o}, s:o, s:{s:s, s:s, "
        "s:s}, s:o}",
        "Name", w->name, "Id", w->id, "Created", w->created, "Scope", "local",
        "Driver", "bridge", "EnableIPv6", w->has6, "Internal", w->internal,
        "IPAM", "Driver", "default", "Config", ranges, "Containers",
        network_users(s, w->name), "Options", "name", w->bridge, "mtu", mtu,
        "isolation", w->isolated ? "true" : "false", "Labels",
        w->labels != NULL ? json_deep_copy(w->labels) : json_object());
}

static int network_remove(struct network_cli *n, struct store_network *w,
                          struct err *e)
{
    json_t *users = network_users(&n->store, w->name);
    size_t count = json_object_size(users);
    json_decref(users);
    if (count > 0)
        return err_set(e, -EBUSY,
                       "network %s is in use by %zu container%s (limpet "
                       "network inspect %s)",
                       w->name, count, count == 1 ? "" : "s", w->name);
    (void)bridge_sweep(&n->host);
    bridge_down(&n->host, w);
    return store_remove(&n->store, w, e);
}

/* `remove`: take it away, else show it (appended to `shown`). */
static int network_each(struct network_cli *n, const char *ref, json_t *shown,
                        struct err *e)
{
    struct store_network w;
    int code = shown != NULL && strcmp(ref, STORE_DEFAULT) == 0
                   ? bridge_read(&n->host, ref, &w, e)
                   : store_read(&n->store, ref, &w, e);
    if (code < 0)
        return code;
    if (shown != NULL) {
        (void)json_array_append_new(shown, inspect_json(&n->store, &w));
    } else {
        code = network_remove(n, &w, e);
        if (code == 0)
            (void)printf("%s\n", ref);
    }
    store_network_fini(&w);
    return code;
}

static int network_over(const char *verb, int argc, char **argv, bool show)
{
    struct verb_args a = {.verb = verb, .table = plain_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct network_cli n;
    struct opt_seen f;
    json_t *shown = show ? json_array() : NULL;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        continue;
    int status = a.status;
    if (!a.done) {
        status = 0;
        if (network_open(&n, a.root, &a.e) < 0)
            status = cli_error(&a.e);
        for (int i = 0; n.store.lock >= 0 && i < a.reader.rest_count; i++)
            if (network_each(&n, rest[i], shown, &a.e) < 0)
                status = cli_error(&a.e);
        network_close(&n);
    }
    AUTO_FREE char *text =
        show && !a.done ? json_dumps(shown, JSON_INDENT(4)) : NULL;
    if (text != NULL)
        (void)printf("%s\n", text);
    json_decref(shown);
    return status;
}

static int network_rm(int argc, char **argv)
{
    return network_over("network rm", argc, argv, false);
}

static int network_inspect(int argc, char **argv)
{
    return network_over("network inspect", argc, argv, true);
}

/* What nobody uses: networks that users made; the default's device; and with
 * the last of them the tables. */
static int prune_all(struct network_cli *n, struct err *e)
{
    struct store_network *list;
    size_t count;
    bool any = bridge_sweep(&n->host) > 0;
    int code = store_list(&n->store, &list, &count, e);
    for (size_t i = 0; code == 0 && i < count; i++) {
        json_t *users = network_users(&n->store, list[i].name);
        bool used = json_object_size(users) > 0;
        json_decref(users);
        any = any || used;
        if (used)
            continue;
        bridge_down(&n->host, &list[i]);
        if (!store_is_made(&list[i]))
            continue;
        code = store_remove(&n->store, &list[i], e);
        if (code == 0)
            (void)printf("%s\n", list[i].name);
    }
    if (code == 0)
        store_list_free(list, count);
    if (code == 0 && !any && !filter_is_used(&n->host.filter)) {
        forward_disable(&n->store, &n->host.route);
        filter_teardown(&n->host.filter);
    }
    return code;
}

static int network_prune(int argc, char **argv)
{
    struct verb_args a = {.verb = "network prune", .table = plain_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct network_cli n;
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        continue;
    if (a.done)
        return a.status;
    int code = network_open(&n, a.root, &a.e);
    if (code == 0)
        code = prune_all(&n, &a.e);
    network_close(&n);
    return code < 0 ? cli_error(&a.e) : 0;
}

const struct verb cli_network_verbs[] = {
    {"network create", network_create, "[FLAGS] NAME", "Make a network"},
    {"network connect", cli_network_connect, "[FLAGS] NETWORK CONTAINER",
     "Give a running container an interface on another network"},
    {"network disconnect", cli_network_disconnect, "[FLAGS] NETWORK CONTAINER",
     "Take its interface on a network away"},
    {"network ls", network_ls, "[FLAGS]", "List networks"},
    {"network inspect", network_inspect, "[FLAGS] NETWORK...",
     "Show networks and who is on them, as JSON"},
    {"network rm", network_rm, "[FLAGS] NETWORK...",
     "Remove networks that no container uses"},
    {"network prune", network_prune, "[FLAGS]",
     "Remove all of them, and what a crash left"},
    {0},
};

/* What docker has besides. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} network_others[] = {
    {"list", network_ls},
    {"remove", network_rm},
};

static int network_help(void)
{
    (void)cli_print_help("network", NULL);
    if (cli_help_printer != NULL)
        return 0;
    (void)printf("\nVerbs:\n");
    for (const struct verb *v = cli_network_verbs; v->name != NULL; v++)
        (void)printf("  %-16s %s\n", v->name, v->what);
    return 0;
}

int cli_network(int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : "--help";
    const size_t skip = strlen("network ");
    for (const struct verb *v = cli_network_verbs; v->name != NULL; v++)
        if (strcmp(v->name + skip, name) == 0)
            return v->run(argc - 1, argv + 1);
    for (size_t i = 0; i < ARRAY_COUNT(network_others); i++)
        if (strcmp(network_others[i].name, name) == 0)
            return network_others[i].run(argc - 1, argv + 1);
    if (name[0] == '-')
        return network_help();
    struct err e;
    (void)err_set(&e, -EINVAL,
                  "network %.32s: there are create, connect, disconnect, ls, "
                  "inspect, rm and prune",
                  name);
    return cli_usage_error("network", &e);
}
