// SPDX-License-Identifier: Apache-2.0
#include "net/bridge.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "net/conntrack.h"
#include "net/filter.h"
#include "net/forward.h"
#include "net/lease.h"
#include "net/link.h"
#include "net/plan.h"

enum { BRIDGE_NAMES = 100 };

int bridge_open(struct bridge_host *h, struct store *s, struct err *e)
{
    *h = (struct bridge_host){.store = s, .route.fd = -1, .filter.fd = -1};
    int code = nl_open(&h->route, NETLINK_ROUTE, e);
    if (code == 0)
        code = nl_open(&h->filter, NETLINK_NETFILTER, e);
    if (code == -EPROTONOSUPPORT)
        return err_set(e, code,
                       "this kernel has no nf_tables: modprobe nf_tables, or "
                       "use --network user");
    return code;
}

void bridge_close(struct bridge_host *h)
{
    nl_close(&h->route);
    nl_close(&h->filter);
}

static void bridge_alias(const struct store *s, const char *name,
                         char out[LINK_ALIAS_SIZE])
{
    (void)snprintf(out, LINK_ALIAS_SIZE, "limpet %s %.80s", s->tag, name);
}

/* ---- planning ---- */

/* Everything that a new network must not overlap. Freed by the caller. */
struct bridge_taken {
    struct link_routes routes;
    struct net_addr *all;
    size_t count;
};

static int taken_read(struct bridge_host *h, struct bridge_taken *t,
                      struct err *e)
{
    struct store_network *list = NULL;
    size_t count = 0;
    int code = link_read_routes(&h->route, &t->routes, e);
    if (code == 0)
        code = store_list(h->store, &list, &count, e);
    if (code < 0)
        return code;
    t->all = calloc(t->routes.count + 2 * count + 1, sizeof(*t->all));
    for (size_t i = 0; t->all != NULL && i < count; i++) {
        t->all[t->count++] = list[i].subnet4;
        if (list[i].has6)
            t->all[t->count++] = list[i].subnet6;
    }
    for (unsigned i = 0; t->all != NULL && i < t->routes.count; i++)
        t->all[t->count++] = t->routes.dst[i];
    store_list_free(list, count);
    return t->all == NULL ? err_set(e, -ENOMEM, "out of memory") : 0;
}

static int bridge_check_subnet(const struct net_addr *range,
                               const struct bridge_taken *t, struct err *e)
{
    char mine[NET_ADDR_TEXT_SIZE];
    char theirs[NET_ADDR_TEXT_SIZE];
    net_addr_text(range, true, mine);
    for (size_t i = 0; i < t->count; i++) {
        if (!plan_overlaps(range, &t->all[i]))
            continue;
        net_addr_text(&t->all[i], true, theirs);
        return err_set(e, -EEXIST,
                       "subnet %s overlaps %s, which is routed here or "
                       "belongs to another network: choose another --subnet",
                       mine, theirs);
    }
    return 0;
}

static int bridge_gateway(const struct net_addr *range,
                          const struct net_addr *said, struct net_addr *out,
                          struct err *e)
{
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(range, true, text);
    if (said->prefix == 0) {
        if (range->prefix > (range->v6 ? 126 : 30) || !plan_host(range, 1, out))
            return err_set(e, -EINVAL, "subnet %s is too small", text);
        return 0;
    }
    *out = *said;
    if (!plan_contains(range, said))
        return err_set(e, -EINVAL, "the gateway is not in subnet %s", text);
    out->prefix = range->prefix;
    return 0;
}

static int bridge_plan4(const struct bridge_want *want,
                        const struct bridge_taken *t, struct store_network *w,
                        struct err *e)
{
    if (want->subnet4.prefix == 0 && !plan_pick4(t->all, t->count, &w->subnet4))
        return err_set(e, -EADDRNOTAVAIL,
                       "every address pool overlaps a route of this host: "
                       "name a free one with --subnet");
    if (want->subnet4.prefix != 0) {
        w->subnet4 = plan_base(&want->subnet4);
        int code = bridge_check_subnet(&w->subnet4, t, e);
        if (code < 0)
            return code;
    }
    return bridge_gateway(&w->subnet4, &want->gateway4, &w->gateway4, e);
}

static int bridge_plan6(const struct bridge_want *want,
                        const struct bridge_taken *t, struct store_network *w,
                        struct err *e)
{
    uint8_t random[7];
    if (!want->v6 && want->subnet6.prefix == 0)
        return 0;
    w->has6 = true;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    w->subnet6 = want->subnet6.prefix != 0 ? plan_base(&want->subnet6)
                                           : plan_ula(random);
    int code = bridge_check_subnet(&w->subnet6, t, e);
    return code < 0
               ? code
               : bridge_gateway(&w->subnet6, &want->gateway6, &w->gateway6, e);
}

/* The default's is limpet0 where nobody has that name; others have their ID's,
 * as docker's br-ID. */
static int bridge_choose_device(struct bridge_host *h,
                                const struct bridge_want *want,
                                struct store_network *w, struct err *e)
{
    struct link_info i;
    if (want->device != NULL) {
        if (want->device[0] == '\0' || strlen(want->device) >= IFNAMSIZ ||
            strpbrk(want->device, "/ :") != NULL)
            return err_set(e, -EINVAL, "%.32s: not a name of an interface",
                           want->device);
        if (link_find(&h->route, want->device, &i) == 0)
            return err_set(e, -EEXIST,
                           "interface %s exists and is not limpet's: choose "
                           "another name",
                           want->device);
        (void)snprintf(w->bridge, IFNAMSIZ, "%s", want->device);
        return 0;
    }
    (void)snprintf(w->bridge, IFNAMSIZ, "lb-%.12s", w->id);
    for (unsigned k = 0; !store_is_made(w) && k < BRIDGE_NAMES; k++) {
        (void)snprintf(w->bridge, IFNAMSIZ, "limpet%u", k);
        if (link_find(&h->route, w->bridge, &i) == -ENODEV)
            break;
    }
    return 0;
}

static int bridge_identify(struct store_network *w, struct err *e)
{
    uint8_t raw[(STORE_ID_SIZE - 1) / 2];
    struct timespec now;
    struct tm tm;
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    for (size_t i = 0; i < ARRAY_COUNT(raw); i++)
        (void)snprintf(w->id + 2 * i, 3, "%02x", raw[i]);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t n =
        strftime(w->created, sizeof(w->created), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(w->created + n, sizeof(w->created) - n, ".%09ldZ",
                   now.tv_nsec);
    return 0;
}

int bridge_create(struct bridge_host *h, const struct bridge_want *want,
                  struct store_network *out, struct err *e)
{
    struct err quiet;
    struct bridge_taken taken = {0};
    int code = store_check_name(want->name, e);
    if (code < 0)
        return code;
    if (store_read(h->store, want->name, out, &quiet) == 0) {
        store_network_fini(out);
        return err_set(e, -EEXIST, "network with name %s already exists",
                       want->name);
    }
    *out = (struct store_network){.internal = want->internal,
                                  .isolated = want->isolated,
                                  .mtu = want->mtu};
    (void)snprintf(out->name, sizeof(out->name), "%s", want->name);
    out->labels = want->labels != NULL ? json_deep_copy(want->labels) : NULL;
    code = bridge_identify(out, e);
    if (code == 0)
        code = taken_read(h, &taken, e);
    if (code == 0)
        code = bridge_plan4(want, &taken, out, e);
    if (code == 0)
        code = bridge_plan6(want, &taken, out, e);
    if (code == 0)
        code = bridge_choose_device(h, want, out, e);
    if (code == 0)
        code = store_write(h->store, out, e);
    free(taken.all);
    if (code < 0)
        store_network_fini(out);
    return code;
}

int bridge_read(struct bridge_host *h, const char *name,
                struct store_network *out, struct err *e)
{
    const struct bridge_want want = {.name = STORE_DEFAULT};
    int code = store_read(h->store, name, out, e);
    if (code == -ENOENT && strcmp(name, STORE_DEFAULT) == 0)
        code = bridge_create(h, &want, out, e);
    return code;
}

/* ---- the kernel ---- */

/* Whatever should be in fresh tables. */
struct refill {
    struct lease_reader r; /* first */
    struct bridge_host *h;
};

static int refill_vm(struct lease_reader *r, const struct lease *l)
{
    struct bridge_host *h = ((struct refill *)r)->h;
    if (l->ns == h->store->ns && lease_is_alive(h->store, l)) {
        (void)filter_add_vm(&h->filter, l, NULL);
        conntrack_forget_host(l);
    }
    return 0;
}

static int bridge_make(struct bridge_host *h, const struct store_network *w,
                       const char *alias, struct link_info *i, struct err *e)
{
    struct link_routes routes;
    uint8_t mac[6];
    uint32_t mtu = w->mtu;
    if (mtu == 0) {
        int code = link_read_routes(&h->route, &routes, e);
        if (code < 0)
            return code;
        mtu = routes.uplink_mtu;
    }
    plan_mac(&w->gateway4, mac);
    int code = link_add_bridge(&h->route, w->bridge, alias, mtu, mac, e);
    if (code == 0)
        code = link_find(&h->route, w->bridge, i);
    return code < 0 ? e->code : 0;
}

/* All that a bridge needs before a VM hangs on it. Its rules are last: a bridge
 * that has them is complete, whoever made it and was killed. */
static int bridge_complete(struct bridge_host *h, const struct store_network *w,
                           int index, struct err *e)
{
    /* No route may lead around the rules, and none to host addresses. */
    (void)link_sysctl("ipv4/conf", w->bridge, "route_localnet", "0");
    (void)link_sysctl("ipv6/conf", w->bridge, "accept_ra", "0");
    if (!w->has6)
        (void)link_sysctl("ipv6/conf", w->bridge, "disable_ipv6", "1");
    int code = link_add_address(&h->route, index, &w->gateway4, e);
    if (code == 0 && w->has6)
        code = link_add_address(&h->route, index, &w->gateway6, e);
    if (code == 0)
        code = forward_enable(h->store, &h->filter, w->has6, e);
    return code < 0 ? code : filter_add_network(&h->filter, w, e);
}

/* -ENODEV without a message if there is none. */
static int bridge_find(struct bridge_host *h, const struct store_network *w,
                       struct link_info *i, struct err *e)
{
    char alias[LINK_ALIAS_SIZE];
    int code = link_find(&h->route, w->bridge, i);
    bridge_alias(h->store, w->name, alias);
    if (code == 0 && strcmp(i->alias, alias) != 0)
        return err_set(e, -EEXIST,
                       "interface %s exists and is not limpet's: remove it, "
                       "or the network (limpet network rm %s)",
                       w->bridge, w->name);
    return code < 0 && code != -ENODEV ? err_set(e, code, "interface %s: %s",
                                                 w->bridge, strerror(-code))
                                       : code;
}

/* What this store has in the kernel, into tables that lack it: after a boot, a
 * flush of the ruleset by somebody else, or when another store was first. */
static int bridge_refill(struct bridge_host *h, struct err *e)
{
    struct store_network *list = NULL;
    size_t count = 0;
    struct link_info i;
    struct refill r = {.r = {refill_vm}, .h = h};
    int code = forward_restore(h->store, &h->filter, e);
    h->refilled = true;
    if (code == 0)
        code = store_list(h->store, &list, &count, e);
    if (code < 0)
        return code;
    for (size_t k = 0; k < count && code == 0; k++)
        if (bridge_find(h, &list[k], &i, NULL) == 0)
            code = bridge_complete(h, &list[k], i.index, e);
    store_list_free(list, count);
    if (code == 0)
        (void)lease_each(h->store, &r.r);
    return code;
}

static int bridge_fill_tables(struct bridge_host *h, struct err *e)
{
    int code = filter_setup(e);
    if (code == 0)
        code = bridge_refill(h, e);
    return code < 0 ? code : filter_set_ready(&h->filter, e);
}

int bridge_up(struct bridge_host *h, const struct store_network *w, int *index,
              uint32_t *mtu, struct err *e)
{
    char alias[LINK_ALIAS_SIZE];
    struct link_info i = {0};
    int code = 0;
    if (!filter_is_ready(&h->filter))
        code = bridge_fill_tables(h, e);
    if (code < 0)
        return code;
    code = bridge_find(h, w, &i, e);
    if (code == -ENODEV) {
        bridge_alias(h->store, w->name, alias);
        code = bridge_make(h, w, alias, &i, e);
        if (code == 0)
            code = bridge_complete(h, w, i.index, e);
        if (code < 0)
            bridge_down(h, w);
    } else if (code == 0 && !filter_has_network(&h->filter, w)) {
        code = bridge_refill(h, e);
    }
    *index = i.index;
    *mtu = i.mtu;
    return code;
}

void bridge_down(struct bridge_host *h, const struct store_network *w)
{
    char alias[LINK_ALIAS_SIZE];
    struct link_info i;
    bridge_alias(h->store, w->name, alias);
    if (link_find(&h->route, w->bridge, &i) == 0 &&
        strcmp(i.kind, "bridge") == 0 && strcmp(i.alias, alias) == 0)
        (void)link_delete(&h->route, i.index, NULL);
    filter_remove_network(&h->filter, w);
}

/* Give up a lease: rules, address, the record; the tap if it still is there. */
static void bridge_release(struct bridge_host *h, const struct lease *l)
{
    struct link_info i;
    if (l->ns == h->store->ns) {
        filter_remove_vm(&h->filter, l);
        conntrack_forget_vm(l);
        /* It has gone with its fd, unless somebody made it persist. */
        if (link_find(&h->route, l->tap, &i) == 0 &&
            !lease_is_alive(h->store, l))
            (void)link_delete(&h->route, i.index, NULL);
    }
    lease_remove(h->store, l);
}

struct sweep {
    struct lease_reader r; /* first */
    struct bridge_host *h;
    unsigned left;
};

/* Its VM lives, but this interface of it has gone (network disconnect, or a
 * connect that was killed): whoever makes one holds the lock until it is there.
 */
static bool sweep_is_gone(struct bridge_host *h, const struct lease *l)
{
    struct link_info i;
    return l->ns == h->store->ns && link_find(&h->route, l->tap, &i) == -ENODEV;
}

static int sweep_one(struct lease_reader *r, const struct lease *l)
{
    struct sweep *s = (struct sweep *)r;
    if (lease_is_alive(s->h->store, l) && !sweep_is_gone(s->h, l))
        s->left += l->ns == s->h->store->ns;
    else
        bridge_release(s->h, l);
    return 0;
}

unsigned bridge_sweep(struct bridge_host *h)
{
    struct sweep s = {.r = {sweep_one}, .h = h};
    struct store_network *list = NULL;
    size_t count = 0;
    (void)lease_each(h->store, &s.r);
    if (store_list(h->store, &list, &count, NULL) == 0) {
        for (size_t i = 0; i < count; i++)
            lease_sweep_claims(h->store, list[i].name);
        store_list_free(list, count);
    }
    return s.left;
}
