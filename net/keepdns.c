// SPDX-License-Identifier: Apache-2.0
#include "net/keepdns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "net/bridge.h"
#include "net/dnszone.h"
#include "net/filter.h"
#include "net/helper.h"
#include "net/lease.h"
#include "net/resolv.h"

enum { KEEPDNS_BACKLOG = 64, KEEPDNS_SHORT_ID = 12 };

struct keepdns_net {
    struct keepdns_net *next;
    uint32_t number;
    unsigned users;
    unsigned index;         /* of its bridge: sockets are bound to that one */
    struct store_network w; /* owned */
    uint16_t port[2];       /* UDP, TCP; 0: names are not served */
};

/* ---- networks ---- */

static void net_free(struct keepdns_net *n)
{
    store_network_fini(&n->w);
    free(n);
}

/* A port of the gateway, whichever is free: 53 itself may be somebody's who
 * listens everywhere, or be published by a VM. Only from the bridge, so the
 * world cannot ask. */
static int net_socket(const struct store_network *w, bool udp, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof(a);
    const int on = 1;
    AUTO_CLOSE int fd =
        socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    memcpy(&a.sin_addr, w->gateway4.b, 4);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, w->bridge,
                   (socklen_t)strlen(w->bridge)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
        (!udp && listen(fd, KEEPDNS_BACKLOG) < 0) ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        return -errno;
    *port = ntohs(a.sin_port);
    return fd_release(&fd);
}

static int net_serve(struct keepdns *k, struct keepdns_net *n)
{
    for (int i = 0; i < 2; i++) {
        const struct helper_msg m = {
            .kind = HELPER_LISTEN, .vm = n->number, .udp = i == 0};
        AUTO_CLOSE int fd = net_socket(&n->w, i == 0, &n->port[i]);
        int code = fd < 0 ? fd : helper_send(k->helper, &m, fd);
        if (code < 0)
            return code;
    }
    return filter_add_names(&k->host->filter, &n->w, n->port[0], n->port[1]);
}

/* Takes what `w` owns. */
static struct keepdns_net *
net_make(struct keepdns *k, const struct store_network *w, unsigned index)
{
    struct keepdns_net *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return NULL;
    struct dnszone_network z = {.kind = HELPER_NETWORK,
                                .number = ++k->next_number,
                                .internal = w->internal};
    n->number = z.number;
    n->index = index;
    n->w = *w;
    (void)snprintf(z.name, sizeof(z.name), "%s", w->name);
    (void)helper_send_data(k->helper, &z, sizeof(z), -1);
    /* On the default network there are no names, as docker has it. */
    int code = store_is_made(w) ? net_serve(k, n) : 0;
    if (code < 0) {
        log_warn("network %s: names are not served: %s", w->name,
                 strerror(-code));
        memset(n->port, 0, sizeof(n->port));
    }
    n->next = k->nets;
    k->nets = n;
    return n;
}

/* One that was removed and made again is another, even before its last VM is
 * seen to have ended. */
static struct keepdns_net *net_get(struct keepdns *k, const char *name)
{
    struct store_network w;
    struct err e;
    if (store_read(k->host->store, name, &w, &e) < 0)
        return NULL;
    unsigned index = if_nametoindex(w.bridge);
    struct keepdns_net *n = k->nets;
    while (n != NULL && (n->index != index || strcmp(n->w.id, w.id) != 0))
        n = n->next;
    if (n == NULL && (n = net_make(k, &w, index)) != NULL)
        return n;
    store_network_fini(&w);
    return n;
}

/* The newest of that name. */
static struct keepdns_net *net_find(const struct keepdns *k, const char *name)
{
    struct keepdns_net *n = k->nets;
    while (n != NULL && strcmp(n->w.name, name) != 0)
        n = n->next;
    return n;
}

/* The rules of a network that has gone may be a newer one's by now. */
static void net_remove_rules(struct keepdns *k, const struct keepdns_net *gone)
{
    for (const struct keepdns_net *n = k->nets; n != NULL; n = n->next)
        if (n != gone && strcmp(n->w.bridge, gone->w.bridge) == 0)
            return;
    if (gone->port[0] != 0)
        filter_remove_names(&k->host->filter, &gone->w);
}

/* ---- interfaces ---- */

static void vm_name(struct dnszone_vm *v, const char *name)
{
    char low[LEASE_NAME_SIZE];
    if (name[0] == '\0' || v->name_count == DNSZONE_NAMES_MAX)
        return;
    (void)snprintf(low, sizeof(low), "%s", name);
    for (char *p = low; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    for (unsigned k = 0; k < v->name_count; k++)
        if (strcmp(v->name[k], low) == 0)
            return;
    memcpy(v->name[v->name_count++], low, sizeof(low));
}

static void vm_names(struct dnszone_vm *v, const struct lease *l)
{
    char id[KEEPDNS_SHORT_ID + 1];
    (void)snprintf(id, sizeof(id), "%.*s", KEEPDNS_SHORT_ID, l->id);
    vm_name(v, l->name);
    vm_name(v, id);
    vm_name(v, l->hostname);
    for (unsigned i = 0; i < l->alias_count; i++)
        vm_name(v, l->alias[i]);
}

int keepdns_join(struct keepdns *k, uint32_t vm, const struct lease *l)
{
    struct keepdns_net *n = net_get(k, l->network);
    if (n == NULL)
        return -ENOENT;
    struct dnszone_vm v = {.kind = HELPER_VM,
                           .number = vm,
                           .network = n->number,
                           .has4 = l->has4,
                           .has6 = l->has6,
                           .ip4 = l->ip4,
                           .ip6 = l->ip6,
                           .limited = l->limited,
                           .egress_count = l->egress_count,
                           .dns_count = l->dns_count};
    memcpy(v.id, l->id, sizeof(v.id));
    memcpy(v.container, l->name, sizeof(v.container));
    memcpy(v.egress, l->egress, sizeof(v.egress));
    memcpy(v.dns, l->dns, sizeof(v.dns));
    if (store_is_made(&n->w))
        vm_names(&v, l);
    n->users++;
    keepdns_tick(k);
    (void)helper_send_data(k->helper, &v, sizeof(v), -1);
    return (int)n->number;
}

void keepdns_leave(struct keepdns *k, uint32_t network)
{
    struct keepdns_net **at = &k->nets;
    while (*at != NULL && (*at)->number != network)
        at = &(*at)->next;
    struct keepdns_net *n = *at;
    if (n == NULL || --n->users > 0)
        return;
    const struct helper_msg m = {.kind = HELPER_LEAVE, .vm = network};
    (void)helper_send(k->helper, &m, -1);
    net_remove_rules(k, n);
    *at = n->next;
    net_free(n);
}

bool keepdns_serves(const struct keepdns *k, const char *network)
{
    const struct keepdns_net *n = net_find(k, network);
    return n != NULL && n->port[0] != 0;
}

void keepdns_refill(struct keepdns *k)
{
    for (const struct keepdns_net *n = k->nets; n != NULL; n = n->next)
        if (n->port[0] != 0)
            (void)filter_add_names(&k->host->filter, &n->w, n->port[0],
                                   n->port[1]);
}

void keepdns_reset(struct keepdns *k, int helper)
{
    while (k->nets != NULL) {
        struct keepdns_net *n = k->nets;
        k->nets = n->next;
        net_free(n);
    }
    k->helper = helper;
    k->told = false;
}

void keepdns_tick(struct keepdns *k)
{
    struct dnszone_servers s = {.kind = HELPER_SERVERS};
    struct stat now = {0};
    (void)stat(RESOLV_FILE, &now);
    if (k->told && now.st_ino == k->servers.st_ino &&
        memcmp(&now.st_mtim, &k->servers.st_mtim, sizeof(now.st_mtim)) == 0)
        return;
    k->servers = now;
    k->told = true;
    s.count = resolv_own_servers(s.server);
    (void)helper_send_data(k->helper, &s, sizeof(s), -1);
}
