// SPDX-License-Identifier: Apache-2.0
#include "supervisor/network.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "net/attach.h"
#include "supervisor/network_bridge.h"
#include "supervisor/network_user.h"

enum { NETWORK_SPARE = 3 }; /* 18 us of a start each */

#define RATE_MIN UINT64_C(8000) /* bits a second */
#define RATE_MAX UINT64_C(1000000000000)

/* ---- what was said ---- */

static int set_bad(const char *key, const char *value, const char *want,
                   struct err *e)
{
    return err_set(e, -EINVAL, "--network %s=%.64s: must be %s", key, value,
                   want);
}

static int set_twice(const char *key, struct err *e)
{
    return err_set(e, -EINVAL, "--network %s: said twice", key);
}

static int set_address(struct net_iface *i, const char *value, bool v6,
                       struct err *e)
{
    struct net_addr a;
    const char *key = v6 ? "ip6" : "ip";
    if (net_addr_parse(value, &a) < 0 || a.v6 != v6)
        return set_bad(key, value,
                       v6 ? "an address like fd00::2/64"
                          : "an address like 10.0.0.2/24",
                       e);
    if (i->addr_count == NET_ADDRS_MAX)
        return err_set(e, -EINVAL, "--network %s: more than %d addresses", key,
                       NET_ADDRS_MAX);
    i->addr[i->addr_count++] = a;
    return 0;
}

static int set_gateway(struct net_iface *i, const char *value, struct err *e)
{
    struct net_addr a;
    if (strchr(value, '/') != NULL || net_addr_parse(value, &a) < 0)
        return set_bad("gateway", value, "an address like 10.0.0.1", e);
    bool *has = a.v6 ? &i->has_gateway6 : &i->has_gateway4;
    if (*has)
        return set_twice("gateway", e);
    *has = true;
    *(a.v6 ? &i->gateway6 : &i->gateway4) = a;
    return 0;
}

static int set_dns(struct net_iface *i, const char *value, struct err *e)
{
    struct net_addr a;
    if (strchr(value, '/') != NULL || net_addr_parse(value, &a) < 0)
        return set_bad("dns", value, "an address", e);
    if (i->dns_count == NET_DNS_MAX)
        return err_set(e, -EINVAL, "--network dns: more than %d", NET_DNS_MAX);
    i->dns[i->dns_count++] = a;
    return 0;
}

/* "10M": SI units, as everywhere with bits. */
static int set_rate(struct net_iface *i, const char *value, struct err *e)
{
    static const char units[] = "kmgt";
    char digits[24];
    uint64_t n;
    size_t len = strspn(value, "0123456789");
    const char *unit = NULL;
    if (len > 0 && len < sizeof(digits) && value[len] != '\0')
        unit = strchr(units, value[len] | 0x20);
    uint64_t scale = 1;
    for (const char *u = units; unit != NULL && u <= unit; u++)
        scale *= 1000;
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)len, value);
    if (len == 0 || len >= sizeof(digits) ||
        (value[len] != '\0' && (unit == NULL || value[len + 1] != '\0')) ||
        parse_u64(digits, 0, RATE_MAX, &n) < 0 || n > RATE_MAX / scale ||
        n * scale < RATE_MIN)
        return set_bad("rate", value,
                       "bits a second like 10M, from 8k to 1000G", e);
    if (i->rate != 0)
        return set_twice("rate", e);
    i->rate = n * scale;
    return 0;
}

static int set_mac(struct network_want *w, const char *value, struct err *e)
{
    if (net_mac_parse(value, w->said.mac) < 0)
        return set_bad("mac-address", value,
                       "a unicast address like 02:42:ac:11:00:02", e);
    if (w->has_mac)
        return set_twice("mac-address", e);
    w->has_mac = true;
    return 0;
}

int network_set(struct network_want *w, const char *key, const char *value,
                struct err *e)
{
    uint64_t n;
    if (strcmp(key, "ip") == 0 || strcmp(key, "ip6") == 0)
        return set_address(&w->said, value, key[2] != '\0', e);
    if (strcmp(key, "gateway") == 0)
        return set_gateway(&w->said, value, e);
    if (strcmp(key, "dns") == 0)
        return set_dns(&w->said, value, e);
    if (strcmp(key, "rate") == 0)
        return set_rate(&w->said, value, e);
    if (strcmp(key, "mac-address") == 0)
        return set_mac(w, value, e);
    if (strcmp(key, "mtu") != 0)
        return err_set(e, -EINVAL,
                       "--network: unknown key \"%.32s\": there are ip, ip6, "
                       "gateway, mac-address, mtu, rate and dns",
                       key);
    if (parse_u64(value, NET_MTU_MIN, NET_MTU_MAX, &n) < 0)
        return set_bad("mtu", value, "a number from 68 to 65535", e);
    w->said.mtu = (uint32_t)n;
    return 0;
}

int network_parse(struct network_want *w, const char *text, struct err *e)
{
    char part[NETWORK_MODE_SIZE];
    *w = (struct network_want){0};
    for (bool first = true;; first = false) {
        size_t n = strcspn(text, ",");
        if (n == 0 || n >= sizeof(part))
            return err_set(e, -EINVAL,
                           "--network \"%.64s\": want MODE[,KEY=VALUE...]",
                           text);
        memcpy(part, text, n);
        part[n] = '\0';
        char *value = strchr(part, '=');
        if (first) {
            memcpy(w->mode, part, n + 1);
        } else if (value == NULL) {
            return err_set(e, -EINVAL, "--network: \"%.64s\" is no KEY=VALUE",
                           part);
        } else {
            *value = '\0';
            if (network_set(w, part, value + 1, e) < 0)
                return e->code;
        }
        if (text[n] == '\0')
            return 0;
        text += n + 1;
    }
}

const char *network_default(struct err *e)
{
    const char *env = getenv("LIMPET_NETWORK");
    struct err bridge = {0};
    if (env != NULL && env[0] != '\0')
        return env;
    if (attach_possible(&bridge) == 0)
        return "bridge";
    if (user_possible(e) == 0)
        return "user";
    (void)err_wrap(e, "bridge: %s; user", bridge.msg);
    return "none";
}

int network_add_alias(struct network_options *o, const char *text,
                      struct err *e)
{
    size_t n = strlen(text);
    if (n == 0 || n > 63 || strpbrk(text, " \t\n/.") != NULL)
        return err_set(e, -EINVAL,
                       "--network-alias %.64s: must be one DNS label of at "
                       "most 63 bytes",
                       text);
    if (o->alias_count == NETWORK_ALIASES_MAX)
        return err_set(e, -E2BIG, "--network-alias: more than %d",
                       NETWORK_ALIASES_MAX);
    o->alias[o->alias_count++] = text;
    return 0;
}

int network_add_egress(struct network_options *o, const char *text,
                       struct err *e)
{
    o->limited = true;
    if (strcmp(text, "none") == 0)
        return 0;
    if (o->egress_count == NETWORK_EGRESS_MAX)
        return err_set(e, -E2BIG, "--egress: more than %d", NETWORK_EGRESS_MAX);
    if (net_addr_parse(text, &o->egress[o->egress_count]) < 0)
        return err_set(e, -EINVAL,
                       "--egress %.64s: must be none, or a range like "
                       "10.1.0.0/16",
                       text);
    o->egress_count++;
    return 0;
}

/* ---- modes ---- */

static int attach_tap(const struct network_want *w, const char *name,
                      const struct network_vm *vm, struct net_iface *i,
                      struct err *e)
{
    (void)w;
    (void)vm;
    i->frames = NET_FRAMES_TAP;
    i->fd = net_tap_open(name, &i->mtu, e);
    return i->fd < 0 ? i->fd : 0;
}

static int attach_fd(const struct network_want *w, const char *number,
                     const struct network_vm *vm, struct net_iface *i,
                     struct err *e)
{
    uint64_t n;
    (void)w;
    (void)vm;
    if (parse_u64(number, 3, INT32_MAX, &n) < 0)
        return err_set(e, -EINVAL,
                       "--network fd:%.16s: must be the number of an open "
                       "file from 3 on",
                       number);
    /* The number stays the caller's; programs that we start get this one. */
    i->fd = fcntl((int)n, F_DUPFD_CLOEXEC, 3);
    if (i->fd < 0)
        return err_set(e, -errno, "--network fd:%s: %s", number,
                       strerror(errno));
    if (net_fd_frames(i->fd, &i->frames, &i->mtu, e) < 0)
        return err_wrap(e, "--network fd:%s", number);
    return 0;
}

/*
 * Makes an interface of what follows "NAME:" (or "", without a colon): fd,
 * frames, mtu (the default it has when nothing was said), and whatever
 * addresses the mode knows: those that were said replace them. Returns 0, or
 * more than 0 if the mode has another interface, of which `vm->after` tells it.
 */
static const struct network_mode {
    const char *name;
    bool argument;
    bool egress; /* it holds what --egress says */
    int (*attach)(const struct network_want *w, const char *argument,
                  const struct network_vm *vm, struct net_iface *i,
                  struct err *e);
} network_modes[] = {
    {"user", false, true, network_attach_user},
    {"tap", true, false, attach_tap},
    {"fd", true, false, attach_fd},
    {"netns", true, false, network_attach_netns},
};

static const struct network_mode *mode_find(const char *text,
                                            const char **argument)
{
    size_t n = strcspn(text, ":");
    *argument = text[n] == ':' ? text + n + 1 : "";
    for (size_t i = 0; i < ARRAY_COUNT(network_modes); i++) {
        const struct network_mode *m = &network_modes[i];
        if (strlen(m->name) == n && strncmp(m->name, text, n) == 0 &&
            m->argument == (text[n] == ':'))
            return m;
    }
    return NULL;
}

/* What holds whoever gives the addresses. */
static void take_common(struct net_iface *i, const struct network_want *w)
{
    const struct net_iface *s = &w->said;
    if (s->mtu != 0)
        i->mtu = s->mtu;
    if (s->rate != 0)
        i->rate = s->rate;
}

/* What the user said wins over what the mode found. */
static int take_said(struct net_iface *i, const struct network_want *w,
                     struct err *e)
{
    const struct net_iface *s = &w->said;
    if (s->addr_count > 0) {
        i->addr_count = s->addr_count;
        memcpy(i->addr, s->addr, sizeof(i->addr));
    }
    if (s->dns_count > 0) {
        i->dns_count = s->dns_count;
        memcpy(i->dns, s->dns, sizeof(i->dns));
    }
    if (s->has_gateway4) {
        i->has_gateway4 = true;
        i->gateway4 = s->gateway4;
    }
    if (s->has_gateway6) {
        i->has_gateway6 = true;
        i->gateway6 = s->gateway6;
    }
    static const uint8_t none[6];
    if (w->has_mac)
        memcpy(i->mac, s->mac, sizeof(i->mac));
    return memcmp(i->mac, none, sizeof(none)) == 0 ? net_mac_random(i->mac, e)
                                                   : 0;
}

/* One interface; returns as network_mode.attach. m: NULL for a network. */
static int attach_iface(struct network *n, const struct network_want *w,
                        const struct network_mode *m, const char *argument,
                        struct network_vm *vm, struct err *e)
{
    if (n->count == NET_IFACES_MAX)
        return err_set(e, -E2BIG, "--network: more than %d", NET_IFACES_MAX);
    struct net_iface *i = &n->iface[n->count];
    *i = (struct net_iface){.fd = -1};
    vm->slot = n->count;
    (void)snprintf(i->name, sizeof(i->name), "eth%u", n->count);
    memcpy(n->mode[n->count++], w->mode, sizeof(w->mode));
    int code = m != NULL ? m->attach(w, argument, vm, i, e)
                         : network_attach_bridge(w, vm, i, e);
    if (code < 0)
        return code;
    take_common(i, w);
    if (m != NULL && take_said(i, w, e) < 0)
        return e->code;
    return code;
}

static int attach_one(struct network *n, const struct network_want *w,
                      const struct network_vm *vm, struct err *e)
{
    const char *argument;
    const struct network_mode *m = mode_find(w->mode, &argument);
    if (m == NULL && strchr(w->mode, ':') != NULL)
        return err_set(e, -EINVAL,
                       "--network %s: there are none, user, tap:NAME, fd:N, "
                       "netns:PATH and the names of networks",
                       w->mode);
    if (m != NULL && !m->egress && vm->options->limited)
        return err_set(e, -EINVAL,
                       "--egress: nothing of limpet's holds it on --network "
                       "%s: use bridge or user",
                       w->mode);
    struct network_vm own = *vm;
    own.passt = &n->passt;
    own.after = 0;
    do
        own.after = attach_iface(n, w, m, argument, &own, e);
    while (own.after > 0);
    return own.after;
}

/* No interface has taken the ports: as in docker, those of internal networks
 * are said in vain. */
static int attach_unpublished(struct network_options *o, struct err *e)
{
    if (!o->internal)
        return err_set(e, -EINVAL,
                       "-p: ports can be published on bridge, on networks "
                       "made by limpet network create, and on user: use "
                       "--network bridge, or user without root");
    log_warn("-p: the ports are not published and cannot be reached, because "
             "the network is internal (network create --internal): add "
             "--network bridge");
    port_list_fini(&o->ports);
    return 0;
}

int network_attach(struct network *n, const struct network_want *w,
                   unsigned count, const struct network_vm *vm, struct err *e)
{
    *n = (struct network){0};
    for (unsigned i = 0; i < count; i++) {
        bool none = strcmp(w[i].mode, "none") == 0;
        if (none && count > 1) {
            network_detach(n);
            return err_set(e, -EINVAL, "--network none: goes alone");
        }
        if (!none && attach_one(n, &w[i], vm, e) < 0) {
            network_detach(n);
            return e->code;
        }
    }
    if (vm->options->ports.count > 0 && !vm->options->published &&
        attach_unpublished(vm->options, e) < 0) {
        network_detach(n);
        return e->code;
    }
    return 0;
}

int network_wait(struct network *n, struct err *e)
{
    return user_wait(&n->passt, e);
}

void network_detach(struct network *n)
{
    for (unsigned i = 0; i < n->count; i++) {
        if (n->iface[i].fd >= 0)
            (void)close(n->iface[i].fd);
        n->iface[i].fd = -1;
    }
    (void)user_wait(&n->passt, NULL); /* it ends with its socket */
    n->count = 0;
}

unsigned network_spare(const struct network *n)
{
    const char *argument;
    unsigned room = NET_IFACES_MAX - n->count;
    for (unsigned i = 0; i < n->count; i++)
        if (mode_find(n->mode[i], &argument) != NULL)
            return 0;
    return n->count == 0 ? 0 : room < NETWORK_SPARE ? room : NETWORK_SPARE;
}

/* ---- as JSON ---- */

static json_t *json_addrs(const struct net_addr *a, unsigned count, bool prefix)
{
    char text[NET_ADDR_TEXT_SIZE];
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        net_addr_text(&a[i], prefix, text);
        (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

/* Its own, with prefixes. */
static json_t *json_own(const struct net_iface *i)
{
    char text[NET_ADDR_TEXT_SIZE];
    json_t *list = json_array();
    for (unsigned k = 0; k < i->addr_count; k++) {
        net_addr_text(&i->addr[k], true, text);
        (void)json_array_append_new(
            list,
            json_sprintf("%s%s", text, i->alone[k] ? " noprefixroute" : ""));
    }
    return list;
}

static json_t *json_route(const struct net_route *r)
{
    char to[NET_ADDR_TEXT_SIZE];
    char via[NET_ADDR_TEXT_SIZE];
    char src[NET_ADDR_TEXT_SIZE];
    net_addr_text(&r->to, true, to);
    net_addr_text(&r->via, false, via);
    net_addr_text(&r->src, false, src);
    return json_pack("{s:s, s:s*, s:s*, s:I, s:i, s:i, s:b}", "to", to, "via",
                     r->has_via ? via : NULL, "src", r->has_src ? src : NULL,
                     "metric", (json_int_t)r->metric, "protocol", r->protocol,
                     "scope", r->scope, "onlink", r->onlink);
}

static json_t *json_routes(const struct net_iface *i)
{
    json_t *list = json_array();
    for (unsigned k = 0; k < i->route_count; k++)
        (void)json_array_append_new(list, json_route(&i->route[k]));
    return list;
}

static json_t *json_iface(const struct net_iface *i)
{
    static const char *const frames[] = {[NET_FRAMES_TAP] = "tap",
                                         [NET_FRAMES_STREAM] = "stream",
                                         [NET_FRAMES_PACKET] = "packet"};
    char mac[NET_MAC_TEXT_SIZE];
    struct net_addr gateways[2];
    unsigned count = 0;
    if (i->has_gateway4)
        gateways[count++] = i->gateway4;
    if (i->has_gateway6)
        gateways[count++] = i->gateway6;
    net_mac_text(i->mac, mac);
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "name", i->name, "frames",
        frames[i->frames], "mac", mac, "mtu", (int)i->mtu, "rate",
        (json_int_t)i->rate, "addresses", json_own(i), "gateways",
        json_addrs(gateways, count, false), "routes", json_routes(i));
}

json_t *network_json(const struct network *n, bool monitor)
{
    json_t *list = json_array();
    for (unsigned k = 0; k < n->count; k++) {
        const struct net_iface *i = &n->iface[k];
        json_t *o = json_iface(i);
        if (monitor) {
            (void)json_object_set_new(o, "fd", json_integer(i->fd));
        } else {
            (void)json_object_set_new(o, "mode", json_string(n->mode[k]));
            (void)json_object_set_new(o, "dns",
                                      json_addrs(i->dns, i->dns_count, false));
        }
        (void)json_array_append_new(list, o);
    }
    return list;
}

json_t *network_options_json(const struct network_options *o)
{
    return json_pack("{s:b, s:o, s:o}", "limited", o->limited, "egress",
                     json_addrs(o->egress, o->egress_count, true), "dns",
                     json_addrs(o->dns, o->dns_count, false));
}
