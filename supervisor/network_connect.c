// SPDX-License-Identifier: Apache-2.0
#include "supervisor/network_connect.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "abi/ctl.h"

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "net/attach.h"
#include "net/lease.h"
#include "supervisor/client.h"
#include "supervisor/network.h"
#include "supervisor/state.h"

enum { CONNECT_PATIENCE_MS = 10000 };

/* ---- may it? ---- */

static const char *connect_str(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

/* docker knows these, too: private (none) mode, and namespaces of others. */
static int connect_check(const struct state_info *vm, struct err *e)
{
    const json_t *list = json_object_get(vm->config, "network");
    if (vm->state != INSTANCE_RUNNING)
        return err_set(e, -ESRCH,
                       "container %s is not running: networks come and go "
                       "only while it runs (limpet run --network ...)",
                       vm->name);
    if (strcmp(connect_str(vm->config, "accel"), "kvm") != 0)
        return err_set(e, -EOPNOTSUPP,
                       "container %s runs with --accel emulate: its networks "
                       "are those of its start",
                       vm->name);
    if (json_array_size(list) == 0)
        return err_set(e, -EOPNOTSUPP,
                       "container %s cannot be connected to a network: it was "
                       "started with --network none",
                       vm->name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *mode = connect_str(json_array_get(list, i), "mode");
        if (strchr(mode, ':') != NULL || strcmp(mode, "user") == 0)
            return err_set(e, -EOPNOTSUPP,
                           "container %s cannot be connected to a network: "
                           "it was started with --network %.64s",
                           vm->name, mode);
    }
    return 0;
}

/* ---- what it gets ---- */

struct connect_lists {
    struct net_addr egress[NETWORK_EGRESS_MAX];
    struct net_addr dns[NET_DNS_MAX];
};

/* As the container was started: names, --egress, --dns. */
static void connect_want(const struct state_info *vm,
                         const struct network_connect *w,
                         struct connect_lists *l, struct attach_want *out)
{
    const json_t *o = json_object_get(vm->config, "network_options");
    *out = (struct attach_want){
        .libexec = w->libexec,
        .id = vm->id,
        .name = vm->name,
        .hostname = connect_str(vm->config, "hostname"),
        .network = w->network,
        .has4 = w->has4,
        .has6 = w->has6,
        .ip4 = w->ip4,
        .ip6 = w->ip6,
        .aliases = w->aliases,
        .alias_count = w->alias_count,
        .limited = json_is_true(json_object_get(o, "limited")),
        .egress = l->egress,
        .dns = l->dns,
    };
    out->egress_count = lease_get_addrs(json_object_get(o, "egress"), l->egress,
                                        NETWORK_EGRESS_MAX);
    out->dns_count =
        lease_get_addrs(json_object_get(o, "dns"), l->dns, NET_DNS_MAX);
}

static struct boot_addr connect_addr(const struct net_addr *a)
{
    struct boot_addr out = {.prefix = a->prefix};
    if (a->v6) {
        memcpy(out.b, a->b, sizeof(out.b));
    } else {
        out.b[10] = out.b[11] = 0xff;
        memcpy(out.b + 12, a->b, 4);
    }
    return out;
}

static void connect_fill(const struct net_iface *i, unsigned slot,
                         enum net_offload offload, struct ctl_net *out)
{
    struct boot_netif *n = &out->netif;
    *out = (struct ctl_net){.at.slot = slot, .netif.mtu = i->mtu};
    out->at.flags = offload == NET_OFFLOAD_USO   ? CTL_NET_USO | CTL_NET_OFFLOAD
                    : offload == NET_OFFLOAD_TSO ? CTL_NET_OFFLOAD
                                                 : 0;
    memcpy(n->name, i->name, sizeof(n->name));
    memcpy(n->mac, i->mac, sizeof(n->mac));
    for (unsigned k = 0; k < i->addr_count; k++)
        n->addr[n->addr_count++] = connect_addr(&i->addr[k]);
    if (i->has_gateway4)
        n->gateway[n->gateway_count++] = connect_addr(&i->gateway4);
    if (i->has_gateway6)
        n->gateway[n->gateway_count++] = connect_addr(&i->gateway6);
}

/* /etc/resolv.conf is as it was at the start: which of the networks of then,
 * but for number `but`, have a resolver that it names? */
static unsigned connect_resolvers(const struct state_info *vm, unsigned but)
{
    const json_t *list = json_object_get(vm->config, "network");
    unsigned count = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        count +=
            i != but &&
            strcmp(connect_str(json_array_get(list, i), "mode"), "bridge") != 0;
    return count;
}

/* ---- the monitor ---- */

static int connect_failed(const struct state_info *vm, int code, struct err *e)
{
    switch (code) {
    case -ETIMEDOUT:
        return err_set(e, code,
                       "container %s: its kernel did not answer within %d s",
                       vm->name, CONNECT_PATIENCE_MS / 1000);
    case -EPIPE: return err_set(e, code, "container %s has ended", vm->name);
    case -EOPNOTSUPP:
        return err_set(e, code,
                       "container %s runs with --kernel: its networks are "
                       "those of its start",
                       vm->name);
    case -ENOSPC:
        return err_set(e, code,
                       "container %s has no place for another interface: "
                       "disconnect it from a network first",
                       vm->name);
    default:
        return err_set(e, code, "container %s: its interface: %s", vm->name,
                       strerror(-code));
    }
}

static int connect_open(const struct state *s, const struct state_info *vm,
                        struct err *e)
{
    AUTO_CLOSE int dir = state_dir(s, vm->id, e);
    return dir < 0 ? dir : client_connect(dir, e);
}

/* Whatever the guest says. On a connection of its own: a monitor that waits for
 * the guest reads this first message all the same. */
static int connect_force(const struct state *s, const struct state_info *vm,
                         unsigned slot, struct err *e)
{
    const struct ctl_net m = {.at = {.slot = slot, .flags = CTL_NET_FORCE}};
    AUTO_CLOSE int fd = connect_open(s, vm, e);
    if (fd < 0)
        return fd;
    int code = client_net(fd, CTL_NET_REMOVE, &m, -1, CONNECT_PATIENCE_MS);
    return code < 0 && code != -ENODEV ? connect_failed(vm, code, e) : 0;
}

static int connect_plug(const struct state *s, const struct state_info *vm,
                        const struct net_iface *i, unsigned slot, struct err *e)
{
    enum net_offload offload;
    struct ctl_net m;
    struct err quiet;
    AUTO_CLOSE int fd = connect_open(s, vm, e);
    int code = fd < 0 ? fd : net_tap_prepare(i->fd, &offload, e);
    if (code < 0)
        return code;
    connect_fill(i, slot, offload, &m);
    code = client_net(fd, CTL_NET_ADD, &m, i->fd, CONNECT_PATIENCE_MS);
    if (code == -ETIMEDOUT)
        (void)connect_force(s, vm, slot, &quiet);
    return code < 0 ? connect_failed(vm, code, e) : 0;
}

int network_connect(const struct state *s, const struct state_info *vm,
                    const struct network_connect *w, struct err *e)
{
    struct connect_lists lists;
    struct attach_want want;
    struct net_iface i = {.fd = -1};
    struct err quiet;
    unsigned slot;
    int code = connect_check(vm, e);
    if (code < 0)
        return code;
    connect_want(vm, w, &lists, &want);
    code = attach_more(s->root, &want, &i, &slot, e);
    if (code < 0)
        return code;
    code = connect_plug(s, vm, &i, slot, e);
    (void)close(i.fd); /* the monitor's keeps it there */
    if (code < 0)
        (void)attach_sweep(s->root, w->libexec, &quiet);
    else if (connect_resolvers(vm, UINT_MAX) == 0 &&
             strcmp(w->network, "bridge") != 0)
        log_warn("container %s was started on bridge, where names of "
                 "containers are not served: its /etc/resolv.conf stays as it "
                 "is",
                 vm->name);
    return code;
}

/* Asks, and does not ask twice. */
static int disconnect_unplug(const struct state *s, const struct state_info *vm,
                             unsigned slot, bool force, struct err *e)
{
    const struct ctl_net m = {.at = {.slot = slot}};
    if (force)
        return connect_force(s, vm, slot, e);
    AUTO_CLOSE int fd = connect_open(s, vm, e);
    if (fd < 0)
        return fd;
    int code = client_net(fd, CTL_NET_REMOVE, &m, -1, CONNECT_PATIENCE_MS);
    if (code == -ETIMEDOUT || code == -EAGAIN) {
        log_warn("container %s: its kernel does not give the interface back: "
                 "it is taken away",
                 vm->name);
        return connect_force(s, vm, slot, e);
    }
    if (code == -ENODEV) /* one who was killed has done it */
        return 0;
    return code < 0 ? connect_failed(vm, code, e) : 0;
}

int network_disconnect(const struct state *s, const struct state_info *vm,
                       const struct network_connect *w, bool force,
                       struct err *e)
{
    struct attach_place at = {0};
    struct err quiet;
    int code = connect_check(vm, e);
    if (code == 0)
        code = attach_find(s->root, vm->id, w->network, &at, e);
    if (code == 0)
        code = disconnect_unplug(s, vm, at.slot, force, e);
    if (code == 0 && at.published)
        code = state_forget_ports(s, vm, e);
    if (code < 0)
        return code;
    if (connect_resolvers(vm, UINT_MAX) > 0 &&
        connect_resolvers(vm, at.slot) == 0)
        log_warn("container %s: its /etc/resolv.conf names the resolver of "
                 "network %s, which it does not reach any more",
                 vm->name, w->network);
    code = attach_sweep(s->root, w->libexec, e);
    if (code == 0 && attach_find(s->root, vm->id, w->network, &at, &quiet) == 0)
        return err_set(e, -EBUSY,
                       "container %s is just being connected to network %s",
                       vm->name, w->network);
    return code;
}
