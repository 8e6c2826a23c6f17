// SPDX-License-Identifier: Apache-2.0
#include "net/lease.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "net/plan.h"
#include "net/store.h"

enum {
    LEASE_FILE_MAX = 256 << 10,
    LEASE_PATH_SIZE = LEASE_KEY_SIZE + 16,
    CLAIM_PATH_SIZE = STORE_NAME_SIZE + NET_ADDR_TEXT_SIZE + 16,
};

void lease_key(const struct lease *l, char out[LEASE_KEY_SIZE])
{
    (void)snprintf(out, LEASE_KEY_SIZE, "%s.%u", l->id, l->slot & 255);
}

void lease_tap(const char *id, unsigned slot, char out[IFNAMSIZ])
{
    (void)snprintf(out, IFNAMSIZ, "lp%.11s%u", id, slot % 10);
}

static void lease_path(const struct lease *l, char out[LEASE_PATH_SIZE])
{
    char key[LEASE_KEY_SIZE];
    lease_key(l, key);
    (void)snprintf(out, LEASE_PATH_SIZE, "leases/%s", key);
}

void lease_fini(struct lease *l)
{
    port_list_fini(&l->ports);
}

/* ---- JSON ---- */

static json_t *lease_addr(bool has, const struct net_addr *a)
{
    char text[NET_ADDR_TEXT_SIZE] = "";
    if (has)
        net_addr_text(a, true, text);
    return json_string(text);
}

static json_t *lease_json(const struct lease *l)
{
    char mac[NET_MAC_TEXT_SIZE];
    json_t *aliases = json_array();
    json_t *egress = json_array();
    json_t *dns = json_array();
    for (unsigned i = 0; i < l->alias_count; i++)
        (void)json_array_append_new(aliases, json_string(l->alias[i]));
    for (unsigned i = 0; i < l->egress_count; i++)
        (void)json_array_append_new(egress, lease_addr(true, &l->egress[i]));
    for (unsigned i = 0; i < l->dns_count; i++)
        (void)json_array_append_new(dns, lease_addr(true, &l->dns[i]));
    net_mac_text(l->mac, mac);
    return json_pack(
        "{s:s, s:i, s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, "
        "s:b, s:o, s:s, s:o, s:o}",
        "id", l->id, "slot", (int)l->slot, "ns", (json_int_t)l->ns, "network",
        l->network, "name", l->name, "tap", l->tap, "bridge", l->bridge, "mac",
        mac, "ip4", lease_addr(l->has4, &l->ip4), "ip6",
        lease_addr(l->has6, &l->ip6), "aliases", aliases, "limited", l->limited,
        "egress", egress, "hostname", l->hostname, "dns", dns, "ports",
        port_list_json(&l->ports));
}

static int lease_get_text(const json_t *o, const char *key, char *out,
                          size_t size, struct err *e)
{
    const char *text = "";
    int code = json_get_str(o, key, "lease", &text, e);
    if (code < 0)
        return code;
    if (strlen(text) >= size)
        return err_set(e, -EINVAL, "lease: \"%s\" is too long", key);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int lease_get_addr(const json_t *o, const char *key, bool *has,
                          struct net_addr *out, struct err *e)
{
    char text[NET_ADDR_TEXT_SIZE] = "";
    int code = lease_get_text(o, key, text, sizeof(text), e);
    *has = code == 0 && text[0] != '\0';
    if (*has && net_addr_parse(text, out) < 0)
        return err_set(e, -EINVAL, "lease: \"%s\" is no address", key);
    return code;
}

static int lease_get_names(const json_t *o, struct lease *l, struct err *e)
{
    static const struct {
        const char *key;
        size_t at, size;
    } fields[] = {
#define FIELD(key, f)                                                          \
    {key, offsetof(struct lease, f), sizeof(((struct lease *)0)->f)}
        FIELD("id", id),     FIELD("network", network),
        FIELD("name", name), FIELD("hostname", hostname),
        FIELD("tap", tap),   FIELD("bridge", bridge),
#undef FIELD
    };
    int code = 0;
    for (size_t i = 0; i < ARRAY_COUNT(fields) && code == 0; i++)
        code = lease_get_text(o, fields[i].key, (char *)l + fields[i].at,
                              fields[i].size, e);
    char mac[NET_MAC_TEXT_SIZE] = "";
    if (code == 0)
        code = lease_get_text(o, "mac", mac, sizeof(mac), e);
    if (code == 0 && net_mac_parse(mac, l->mac) < 0)
        code = err_set(e, -EINVAL, "lease: \"mac\" is none");
    return code;
}

unsigned lease_get_addrs(const json_t *list, struct net_addr *out, unsigned max)
{
    unsigned count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < max; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text != NULL && net_addr_parse(text, &out[count]) == 0)
            count++;
    }
    return count;
}

static int lease_get_lists(const json_t *o, struct lease *l, struct err *e)
{
    json_t *aliases = NULL;
    json_t *egress = NULL;
    json_t *dns = NULL;
    json_t *ports = NULL;
    int code = json_get_arr(o, "aliases", "lease", &aliases, e);
    if (code == 0)
        code = json_get_arr(o, "dns", "lease", &dns, e);
    if (code == 0)
        code = json_get_arr(o, "egress", "lease", &egress, e);
    if (code == 0)
        code = json_get_arr(o, "ports", "lease", &ports, e);
    if (code < 0)
        return code;
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        const char *text = json_string_value(json_array_get(aliases, i));
        if (text != NULL && l->alias_count < LEASE_ALIASES_MAX)
            (void)snprintf(l->alias[l->alias_count++], LEASE_ALIAS_SIZE, "%s",
                           text);
    }
    l->egress_count = lease_get_addrs(egress, l->egress, LEASE_EGRESS_MAX);
    l->dns_count = lease_get_addrs(dns, l->dns, NET_DNS_MAX);
    return port_list_from_json(&l->ports, ports, "lease", e);
}

static int lease_from_json(const json_t *o, struct lease *l, struct err *e)
{
    uint64_t slot = 0;
    int code = lease_get_names(o, l, e);
    if (code == 0)
        code = json_get_u64(o, "slot", "lease", 255, &slot, e);
    if (code == 0)
        code = json_get_u64(o, "ns", "lease", INT64_MAX, &l->ns, e);
    if (code == 0)
        code = json_get_bool(o, "limited", "lease", &l->limited, e);
    if (code == 0)
        code = lease_get_addr(o, "ip4", &l->has4, &l->ip4, e);
    if (code == 0)
        code = lease_get_addr(o, "ip6", &l->has6, &l->ip6, e);
    l->slot = (unsigned)slot;
    return code < 0 ? code : lease_get_lists(o, l, e);
}

int lease_write(const struct store *s, const struct lease *l, struct err *e)
{
    char path[LEASE_PATH_SIZE];
    json_t *o = lease_json(l);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    lease_path(l, path);
    if (text == NULL)
        return err_set(e, -EINVAL, "%s: not UTF-8, or out of memory", path);
    return path_replace(s->dir, path, text, strlen(text), 0, e);
}

int lease_read(const struct store *s, const char *key, struct lease *l,
               struct err *e)
{
    char path[LEASE_PATH_SIZE];
    AUTO_FREE char *text = NULL;
    size_t size;
    *l = (struct lease){0};
    (void)snprintf(path, sizeof(path), "leases/%s", key);
    int code = path_read(s->dir, path, LEASE_FILE_MAX, &text, &size, e);
    if (code < 0)
        return code;
    json_t *o = json_parse(text, size, path, e);
    if (o == NULL)
        return -EINVAL;
    code = lease_from_json(o, l, e);
    json_decref(o);
    if (code < 0)
        lease_fini(l);
    return code;
}

/* ---- claims ---- */

/* Numbers of hosts; 1 is the gateway's, as a rule. */
enum { CLAIM_FIRST = 2, CLAIM_END = 1 << 16 };

static void claim_path(const char *network, const struct net_addr *a,
                       char out[CLAIM_PATH_SIZE])
{
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(a, false, text);
    (void)snprintf(out, CLAIM_PATH_SIZE, "claims/%s/%s", network, text);
}

/* 0, or -EEXIST. A link is made whole or not at all. */
static int claim_make(const struct store *s, const char *network,
                      const char *path, const char *key)
{
    char dir[CLAIM_PATH_SIZE];
    if (symlinkat(key, s->dir, path) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    (void)snprintf(dir, sizeof(dir), "claims/%s", network);
    (void)mkdirat(s->dir, dir, 0700);
    return symlinkat(key, s->dir, path) == 0 ? 0 : -errno;
}

int lease_claim(const struct store *s, const char *network,
                const struct net_addr *a, const char *key, struct err *e)
{
    char path[CLAIM_PATH_SIZE];
    claim_path(network, a, path);
    int code = claim_make(s, network, path, key);
    if (code == -EEXIST)
        return err_set(e, code, "address %s of network %s is already in use",
                       strrchr(path, '/') + 1, network);
    return code < 0 ? err_set(e, code, "networks/%s: %s", path, strerror(-code))
                    : 0;
}

/* The number of the address that was given last: the text of a link. */
static uint32_t claim_last(const struct store *s, const char *network, bool v6)
{
    char path[CLAIM_PATH_SIZE];
    char text[16] = "";
    uint64_t n = 0;
    (void)snprintf(path, sizeof(path), "claims/%s/.last%d", network,
                   v6 ? 6 : 4);
    if (readlinkat(s->dir, path, text, sizeof(text) - 1) <= 0 ||
        parse_u64(text, 0, CLAIM_END, &n) < 0)
        return 0;
    return (uint32_t)n;
}

static void claim_set_last(const struct store *s, const char *network, bool v6,
                           uint32_t n)
{
    char path[CLAIM_PATH_SIZE];
    char text[16];
    (void)snprintf(path, sizeof(path), "claims/%s/.last%d", network,
                   v6 ? 6 : 4);
    (void)snprintf(text, sizeof(text), "%u", n);
    (void)unlinkat(s->dir, path, 0);
    if (symlinkat(text, s->dir, path) < 0)
        return; /* then the first free one is next */
}

int lease_claim_any(const struct store *s, const char *network,
                    const struct net_addr *range, const char *key,
                    struct net_addr *out, struct err *e)
{
    char path[CLAIM_PATH_SIZE];
    uint32_t last = claim_last(s, network, range->v6);
    uint32_t i = last < CLAIM_FIRST ? CLAIM_FIRST : last + 1;
    int code = -EEXIST;
    for (uint32_t tries = 0; code == -EEXIST && tries < CLAIM_END;
         tries++, i++) {
        if (i >= CLAIM_END || !plan_host(range, i, out)) {
            i = CLAIM_FIRST; /* around, once */
            if (tries > last || !plan_host(range, i, out))
                break;
        }
        claim_path(network, out, path);
        code = claim_make(s, network, path, key);
        if (code == 0)
            claim_set_last(s, network, range->v6, i);
    }
    if (code == -EEXIST)
        return err_set(e, -EADDRNOTAVAIL,
                       "network %s has no free address left: make one with "
                       "a larger --subnet",
                       network);
    return code < 0 ? err_set(e, code, "networks/%s: %s", path, strerror(-code))
                    : 0;
}

static void claim_release(const struct store *s, const struct lease *l,
                          const struct net_addr *a)
{
    char path[CLAIM_PATH_SIZE];
    char key[LEASE_KEY_SIZE];
    char owner[LEASE_KEY_SIZE] = "";
    lease_key(l, key);
    claim_path(l->network, a, path);
    ssize_t n = readlinkat(s->dir, path, owner, sizeof(owner) - 1);
    if (n > 0 && strcmp(owner, key) == 0)
        (void)unlinkat(s->dir, path, 0);
}

void lease_remove(const struct store *s, const struct lease *l)
{
    char path[LEASE_PATH_SIZE];
    if (l->has4)
        claim_release(s, l, &l->ip4);
    if (l->has6)
        claim_release(s, l, &l->ip6);
    lease_path(l, path);
    (void)unlinkat(s->dir, path, 0);
}

static DIR *lease_opendir(const struct store *s, const char *path)
{
    int fd = openat(s->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL && fd >= 0)
        (void)close(fd);
    return d;
}

void lease_sweep_claims(const struct store *s, const char *network)
{
    char dir[CLAIM_PATH_SIZE];
    (void)snprintf(dir, sizeof(dir), "claims/%s", network);
    DIR *d = lease_opendir(s, dir);
    const struct dirent *de;
    while (d != NULL && (de = readdir(d)) != NULL) {
        char owner[LEASE_KEY_SIZE] = "";
        char path[LEASE_PATH_SIZE + 16];
        if (de->d_name[0] == '.' ||
            readlinkat(dirfd(d), de->d_name, owner, sizeof(owner) - 1) <= 0)
            continue;
        (void)snprintf(path, sizeof(path), "leases/%s", owner);
        if (faccessat(s->dir, path, F_OK, 0) < 0 && errno == ENOENT)
            (void)unlinkat(dirfd(d), de->d_name, 0);
    }
    if (d != NULL)
        (void)closedir(d);
}

bool lease_is_alive(const struct store *s, const struct lease *l)
{
    char path[LEASE_ID_SIZE + 16];
    (void)snprintf(path, sizeof(path), "vms/%s/lock", l->id);
    AUTO_CLOSE int fd = openat(s->root, path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

int lease_each(const struct store *s, struct lease_reader *r)
{
    DIR *d = lease_opendir(s, "leases");
    const struct dirent *de;
    int code = 0;
    while (code == 0 && d != NULL && (de = readdir(d)) != NULL) {
        struct lease l;
        struct err e;
        if (de->d_name[0] == '.' || strlen(de->d_name) >= LEASE_KEY_SIZE)
            continue;
        code = lease_read(s, de->d_name, &l, &e);
        if (code == -EINVAL) /* half-written by nobody we know: of no use */
            (void)unlinkat(dirfd(d), de->d_name, 0);
        if (code == 0) {
            code = r->each(r, &l);
            lease_fini(&l);
        } else {
            code = 0;
        }
    }
    if (d != NULL)
        (void)closedir(d);
    return code;
}
