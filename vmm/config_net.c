// SPDX-License-Identifier: Apache-2.0
/* The "net" part of the monitor's configuration. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "vmm/config.h"

#define FD_MAX   1048576
#define MTU_MIN  68
#define MTU_MAX  65535
#define RATE_MAX UINT64_C(1000000000000)

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* "10.0.0.2/24", and without "/" all bits. */
static int parse_addr(const char *text, struct config_addr *out)
{
    char host[INET6_ADDRSTRLEN];
    size_t n = strcspn(text, "/");
    uint64_t bits = 128;
    if (n >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET6, host, out->b) != 1) {
        bits = 32;
        memcpy(out->b, mapped, sizeof(mapped));
        if (inet_pton(AF_INET, host, out->b + sizeof(mapped)) != 1)
            return -EINVAL;
    }
    if (text[n] == '/' && parse_u64(text + n + 1, 0, bits, &bits) < 0)
        return -EINVAL;
    out->prefix = (uint8_t)bits;
    return 0;
}

/* The same, perhaps with " noprefixroute" behind it. */
static int parse_own(const char *text, struct config_addr *out)
{
    char addr[64];
    size_t n = strcspn(text, " ");
    if (n >= sizeof(addr))
        return -EINVAL;
    memcpy(addr, text, n);
    addr[n] = '\0';
    out->alone = text[n] != '\0';
    if (out->alone && strcmp(text + n, " noprefixroute") != 0)
        return -EINVAL;
    return parse_addr(addr, out);
}

static bool parse_v4(const struct config_addr *a)
{
    return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

/* A route's "via" and "src": of the family of its "to". */
static int parse_hop(const json_t *o, const char *key, struct config_route *r,
                     struct config_addr *out, struct err *e)
{
    const char *text;
    if (!json_has(o, key))
        return 0;
    if (json_get_str(o, key, "net: routes", &text, e) < 0)
        return e->code;
    if (strchr(text, '/') != NULL || parse_addr(text, out) < 0 ||
        parse_v4(out) != parse_v4(&r->to))
        return err_set(e, -EINVAL, "net: routes: %s: want an address", key);
    return 0;
}

static int parse_route(const json_t *o, struct config_route *r, struct err *e)
{
    const char *to;
    uint64_t metric;
    int64_t protocol;
    int64_t scope;
    if (!json_is_object(o))
        return err_set(e, -EINVAL, "net: routes: not an object");
    if (json_get_str(o, "to", "net: routes", &to, e) < 0 ||
        json_get_u64(o, "metric", "net: routes", UINT32_MAX, &metric, e) < 0 ||
        json_get_int(o, "protocol", "net: routes", 0, 255, &protocol, e) < 0 ||
        json_get_int(o, "scope", "net: routes", 0, 255, &scope, e) < 0 ||
        json_get_bool(o, "onlink", "net: routes", &r->onlink, e) < 0)
        return e->code;
    r->metric = (uint32_t)metric;
    r->protocol = (uint8_t)protocol;
    r->scope = (uint8_t)scope;
    if (parse_addr(to, &r->to) < 0)
        return err_set(e, -EINVAL, "net: routes: to: want ADDRESS/PREFIX");
    int code = parse_hop(o, "via", r, &r->via, e);
    return code < 0 ? code : parse_hop(o, "src", r, &r->src, e);
}

static int parse_routes(const json_t *o, struct config_net *c, struct err *e)
{
    json_t *a;
    size_t i;
    json_t *v;
    if (!json_has(o, "routes"))
        return 0;
    if (json_get_arr(o, "routes", "net", &a, e) < 0)
        return e->code;
    if (json_array_size(a) > CONFIG_NET_ROUTES_MAX)
        return err_set(e, -E2BIG, "net: more than %d routes",
                       CONFIG_NET_ROUTES_MAX);
    json_array_foreach(a, i, v)
    {
        if (parse_route(v, &c->route[i], e) < 0)
            return e->code;
        c->route_count++;
    }
    return 0;
}

static int parse_addrs(const json_t *o, const char *key,
                       struct config_addr *out, unsigned max, unsigned *count,
                       struct err *e)
{
    json_t *a;
    size_t i;
    json_t *v;
    *count = 0;
    if (!json_has(o, key))
        return 0;
    if (json_get_arr(o, key, "net", &a, e) < 0)
        return e->code;
    json_array_foreach(a, i, v)
    {
        const char *text = json_string_value(v);
        if (i == max || text == NULL || parse_own(text, &out[i]) < 0)
            return err_set(e, -EINVAL, "net: %s: at most %u addresses", key,
                           max);
        (*count)++;
    }
    return 0;
}

static int parse_mac(const char *text, uint8_t out[6])
{
    unsigned b[6];
    char end;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3],
               &b[4], &b[5], &end) != 6 ||
        (b[0] & 1) != 0)
        return -EINVAL;
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)b[i];
    return 0;
}

static int parse_frames(const char *text, enum virtio_net_frames *out)
{
    static const char *const names[] = {[VIRTIO_NET_TAP] = "tap",
                                        [VIRTIO_NET_STREAM] = "stream",
                                        [VIRTIO_NET_PACKET] = "packet"};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum virtio_net_frames)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_words(const json_t *o, struct config_net *c, struct err *e)
{
    const char *frames;
    const char *name;
    const char *mac;
    if (json_get_str(o, "frames", "net", &frames, e) < 0 ||
        json_get_str(o, "name", "net", &name, e) < 0 ||
        json_get_str(o, "mac", "net", &mac, e) < 0)
        return e->code;
    if (parse_frames(frames, &c->frames) < 0)
        return err_set(e, -EINVAL, "net: frames: want tap, stream or packet");
    if (name[0] == '\0' || strlen(name) >= sizeof(c->name))
        return err_set(e, -EINVAL, "net: name: want 1 to 15 bytes");
    memcpy(c->name, name, strlen(name));
    return parse_mac(mac, c->mac) < 0
               ? err_set(e, -EINVAL, "net: mac: not a unicast address")
               : 0;
}

static int parse_net(json_t *o, struct config_net *c, struct err *e)
{
    static const char *const names[] = {
        "fd",   "frames",    "name",     "mac",    "mtu",
        "rate", "addresses", "gateways", "routes", NULL};
    const char *key;
    json_t *value;
    int64_t n;
    if (!json_is_object(o))
        return err_set(e, -EINVAL, "net: not an object");
    json_object_foreach(o, key, value)
    {
        const char *const *known = names;
        while (*known != NULL && strcmp(*known, key) != 0)
            known++;
        if (*known == NULL)
            return err_set(e, -EINVAL, "net: unknown key \"%.64s\"", key);
    }
    if (json_get_int(o, "fd", "net", -1, FD_MAX, &n, e) < 0)
        return e->code;
    c->fd = (int)n;
    if (json_get_int(o, "mtu", "net", MTU_MIN, MTU_MAX, &n, e) < 0)
        return e->code;
    c->mtu = (uint16_t)n;
    if (parse_words(o, c, e) < 0 ||
        (json_has(o, "rate") &&
         json_get_u64(o, "rate", "net", RATE_MAX, &c->rate, e) < 0) ||
        parse_addrs(o, "addresses", c->addr, CONFIG_NET_ADDRS_MAX,
                    &c->addr_count, e) < 0)
        return e->code;
    int code = parse_addrs(o, "gateways", c->gateway, ARRAY_COUNT(c->gateway),
                           &c->gateway_count, e);
    return code < 0 ? code : parse_routes(o, c, e);
}

int config_parse_nets(const json_t *root, struct vm_config *c, struct err *e)
{
    json_t *a;
    size_t i;
    json_t *v;
    uint64_t spare = 0;
    if (!json_has(root, "net"))
        return 0;
    if (json_get_arr(root, "net", "config", &a, e) < 0 ||
        (json_has(root, "net_spare") &&
         json_get_u64(root, "net_spare", "config", CONFIG_NETS_MAX, &spare, e) <
             0))
        return e->code;
    c->net_spare = (unsigned)spare;
    if (json_array_size(a) + spare > CONFIG_NETS_MAX)
        return err_set(e, -E2BIG, "config: more than %d networks",
                       CONFIG_NETS_MAX);
    json_array_foreach(a, i, v)
    {
        if (parse_net(v, &c->net[i], e) < 0)
            return e->code;
        c->net_count++;
    }
    return 0;
}
