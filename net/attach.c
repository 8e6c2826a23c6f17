// SPDX-License-Identifier: Apache-2.0
#include "net/attach.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "net/bridge.h"
#include "net/conntrack.h"
#include "net/filter.h"
#include "net/keep.h"
#include "net/link.h"
#include "net/plan.h"
#include "net/resolv.h"
#include "net/run.h"

/* Everything while one interface is made. */
struct attach {
    const struct attach_want *want;
    struct bridge_host *h;
    struct store_network network;
    struct lease lease;
    int bridge; /* index */
    uint32_t mtu;
    unsigned slot;
    bool more;    /* the VM runs already: `slot` is to be chosen */
    int keeper;   /* fd */
    int *sockets; /* two per port */
    bool written, ruled;
    bool named; /* the network has a resolver */
};

int attach_possible(struct err *e)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {0};
    struct run_path nft;
    if (syscall(SYS_capget, &head, caps) < 0 ||
        (caps[0].effective & (1U << CAP_NET_ADMIN)) == 0)
        return err_set(e, -EPERM,
                       "no permission to make interfaces "
                       "(CAP_NET_ADMIN)");
    if (access("/dev/net/tun", R_OK | W_OK) < 0)
        return err_set(e, -errno, "/dev/net/tun: %s (modprobe tun)",
                       strerror(errno));
    if (run_find("nft", &nft) < 0)
        return err_set(e, -ENOENT,
                       "nft is not installed (apt-get install "
                       "nftables)");
    return 0;
}

/* ---- what the container has ---- */

struct attach_slots {
    struct lease_reader r; /* first */
    const char *id;
    const char *network; /* its name; NULL: any */
    bool found;          /* on `network`, at: */
    struct attach_place at;
    uint32_t used; /* bit i: slot i */
};

static int slots_one(struct lease_reader *r, const struct lease *l)
{
    struct attach_slots *s = (struct attach_slots *)r;
    if (strcmp(l->id, s->id) != 0)
        return 0;
    s->used |= l->slot < 32 ? UINT32_C(1) << l->slot : 0;
    if (s->network != NULL && strcmp(l->network, s->network) == 0) {
        s->found = true;
        s->at = (struct attach_place){l->slot, l->ports.count > 0};
    }
    return 0;
}

static int attach_choose(struct attach *a, struct err *e)
{
    const struct attach_want *w = a->want;
    struct attach_slots s = {
        .r = {slots_one}, .id = w->id, .network = a->network.name};
    (void)bridge_sweep(a->h); /* what a crash left may be in the way */
    (void)lease_each(a->h->store, &s.r);
    if (s.found)
        return err_set(e, -EEXIST,
                       "endpoint with name %s already exists in network %s",
                       w->name, a->network.name);
    while ((s.used >> a->slot & 1) != 0)
        a->slot++;
    return a->slot < NET_IFACES_MAX
               ? 0
               : err_set(e, -E2BIG, "container %s has %d interfaces already",
                         w->name, NET_IFACES_MAX);
}

/* ---- the lease ---- */

static int lease_names(struct attach *a, struct err *e)
{
    const struct attach_want *w = a->want;
    struct lease *l = &a->lease;
    (void)snprintf(l->id, sizeof(l->id), "%s", w->id);
    (void)snprintf(l->name, sizeof(l->name), "%s", w->name);
    (void)snprintf(l->hostname, sizeof(l->hostname), "%s", w->hostname);
    (void)snprintf(l->network, sizeof(l->network), "%s", a->network.name);
    (void)snprintf(l->bridge, sizeof(l->bridge), "%s", a->network.bridge);
    l->slot = a->slot;
    l->ns = a->h->store->ns;
    lease_tap(w->id, a->slot, l->tap);
    if (w->alias_count > LEASE_ALIASES_MAX)
        return err_set(e, -E2BIG, "more than %d --network-alias",
                       LEASE_ALIASES_MAX);
    for (; l->alias_count < w->alias_count; l->alias_count++)
        (void)snprintf(l->alias[l->alias_count], LEASE_ALIAS_SIZE, "%s",
                       w->aliases[l->alias_count]);
    if (w->egress_count > LEASE_EGRESS_MAX)
        return err_set(e, -E2BIG, "more than %d --egress", LEASE_EGRESS_MAX);
    if (w->dns_count > NET_DNS_MAX)
        return err_set(e, -E2BIG, "more than %d --dns", NET_DNS_MAX);
    l->dns_count = w->dns_count;
    if (w->dns_count > 0)
        memcpy(l->dns, w->dns, w->dns_count * sizeof(*w->dns));
    l->limited = w->limited;
    l->egress_count = w->egress_count;
    if (w->egress_count > 0)
        memcpy(l->egress, w->egress, w->egress_count * sizeof(*w->egress));
    return 0;
}

static int lease_said(struct attach *a, const struct net_addr *range,
                      const struct net_addr *gateway,
                      const struct net_addr *said, struct net_addr *out,
                      struct err *e)
{
    char key[LEASE_KEY_SIZE];
    lease_key(&a->lease, key);
    if (said == NULL)
        return lease_claim_any(a->h->store, a->network.name, range, key, out,
                               e);
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(said, false, text);
    const struct net_addr base = plan_base(range);
    if (!plan_contains(range, said) || plan_equal(said, &base))
        return err_set(e, -EINVAL, "address %s is not in network %s", text,
                       a->network.name);
    if (plan_equal(said, gateway))
        return err_set(e, -EEXIST, "address %s is the gateway of network %s",
                       text, a->network.name);
    *out = *said;
    out->prefix = range->prefix;
    return lease_claim(a->h->store, a->network.name, out, key, e);
}

static int lease_addresses(struct attach *a, struct err *e)
{
    const struct attach_want *w = a->want;
    const struct store_network *n = &a->network;
    struct lease *l = &a->lease;
    if (w->has6 && !n->has6)
        return err_set(e, -EINVAL,
                       "network %s has no IPv6: create it with --ipv6",
                       n->name);
    /* IPv4 first; the gateway of a network with an own --gateway may be in
     * the way of lease_claim_any(): it holds a claim like everybody. */
    (void)lease_claim(a->h->store, n->name, &n->gateway4, "gateway", NULL);
    int code = lease_said(a, &n->subnet4, &n->gateway4,
                          w->has4 ? &w->ip4 : NULL, &l->ip4, e);
    l->has4 = code == 0;
    if (code == 0 && n->has6) {
        (void)lease_claim(a->h->store, n->name, &n->gateway6, "gateway", NULL);
        code = lease_said(a, &n->subnet6, &n->gateway6,
                          w->has6 ? &w->ip6 : NULL, &l->ip6, e);
        l->has6 = code == 0;
    }
    if (w->has_mac)
        memcpy(l->mac, w->mac, sizeof(l->mac));
    else
        plan_mac(&l->ip4, l->mac);
    return code;
}

/* A VM that ended a moment ago may still have its ports: with `run --rm -p`
 * twice in a row, the second need not know. */
static int lease_retake(struct attach *a, struct port *p, int *fds,
                        struct err *e)
{
    (void)bridge_sweep(a->h);
    keep_forget(a->keeper);
    return port_take(p, fds, e);
}

/* A VM that runs, and has one of the wanted ports by its rules. */
struct port_owner {
    struct lease_reader r; /* first */
    const struct attach *a;
    const struct port *found; /* the wanted one */
};

static int owner_one(struct lease_reader *r, const struct lease *l)
{
    struct port_owner *o = (struct port_owner *)r;
    const struct port_list *want = o->a->want->ports;
    if (strcmp(l->id, o->a->want->id) == 0 || l->ns != o->a->h->store->ns ||
        !lease_is_alive(o->a->h->store, l))
        return 0;
    for (unsigned i = 0; i < l->ports.count; i++)
        for (unsigned k = 0; k < want->count; k++)
            if (port_overlaps(&l->ports.port[i], &want->port[k]))
                o->found = &want->port[k];
    return o->found != NULL;
}

/* After a keeper's or helper's death the sockets of a port are not there for a
 * moment: who has it by its rules keeps it. */
static int lease_refuse_owned(const struct attach *a, struct err *e)
{
    struct port_owner o = {.r = {owner_one}, .a = a};
    return a->want->ports == NULL || lease_each(a->h->store, &o.r) == 0
               ? 0
               : port_refused(o.found, -EADDRINUSE, e);
}

static int lease_ports(struct attach *a, struct err *e)
{
    struct port_list *p = a->want->ports;
    unsigned count = p != NULL ? p->count : 0;
    int code = 0;
    if (count == 0 || a->network.internal)
        return 0;
    a->sockets = calloc((size_t)count * 2, sizeof(int));
    a->lease.ports.port = calloc(count, sizeof(struct port));
    if (a->sockets == NULL || a->lease.ports.port == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < 2 * count; i++)
        a->sockets[i] = -1;
    if (a->h->new_keeper) /* else the sockets say it */
        code = lease_refuse_owned(a, e);
    for (unsigned i = 0; i < count && code == 0; i++) {
        int *fds = &a->sockets[(size_t)2 * i];
        code = port_take(&p->port[i], fds, e);
        if (code == -EADDRINUSE)
            code = lease_retake(a, &p->port[i], fds, e);
    }
    memcpy(a->lease.ports.port, p->port, count * sizeof(struct port));
    a->lease.ports.count = count;
    return code;
}

/* ---- the interface ---- */

static int attach_tap(struct attach *a, struct net_iface *out, struct err *e)
{
    char alias[LINK_ALIAS_SIZE];
    struct link_port p = {
        .name = a->lease.tap,
        .alias = alias,
        .bridge = a->bridge,
        .mtu = a->mtu,
        .isolated = a->network.isolated,
        /* Only then redirected frames go back where they came from without
         * having been the host's. */
        .hairpin =
            link_sysctl_get("bridge", NULL, "bridge-nf-call-iptables") == 1,
    };
    (void)snprintf(alias, sizeof(alias), "limpet %s %.12s", a->h->store->tag,
                   a->lease.id);
    memcpy(p.mac, a->lease.mac, sizeof(p.mac));
    out->fd = link_add_tap(&a->h->route, &p, e);
    return out->fd < 0 ? out->fd : 0;
}

/* Servers for /etc/resolv.conf. Loopback ones are the container's own: the
 * resolver, which is on the host, cannot ask them. */
static void attach_fill_dns(const struct attach *a, struct net_iface *out)
{
    const struct lease *l = &a->lease;
    bool own = false;
    for (unsigned i = 0; i < l->dns_count; i++)
        own = own || resolv_is_loopback(&l->dns[i]);
    if (a->named && !own) {
        out->resolver = true;
        out->dns_count = 1;
        out->dns[0] = a->network.gateway4;
    } else if (l->dns_count > 0) {
        out->dns_count = l->dns_count;
        memcpy(out->dns, l->dns, sizeof(out->dns));
    } else {
        out->dns_count = resolv_host_servers(out->dns);
    }
    for (unsigned i = 0; i < out->dns_count; i++)
        out->dns[i].prefix = out->dns[i].v6 ? 128 : 32;
}

static void attach_fill(const struct attach *a, struct net_iface *out)
{
    const struct lease *l = &a->lease;
    const struct store_network *n = &a->network;
    out->frames = NET_FRAMES_TAP;
    (void)snprintf(out->name, sizeof(out->name), "eth%u", a->slot);
    memcpy(out->mac, l->mac, sizeof(out->mac));
    out->mtu = a->mtu;
    out->addr[out->addr_count++] = l->ip4;
    out->has_gateway4 = !n->internal;
    out->gateway4 = n->gateway4;
    if (l->has6) {
        out->addr[out->addr_count++] = l->ip6;
        out->has_gateway6 = !n->internal;
        out->gateway6 = n->gateway6;
    }
    attach_fill_dns(a, out);
    if (a->want->internal != NULL)
        *a->want->internal = n->internal;
}

/* The keeper need not be waited for where it serves names already: it hears of
 * this VM long before the VM asks, and a question that is earlier yet is kept
 * until then. */
static int attach_tell(struct attach *a, struct err *e)
{
    const bool names = store_is_made(&a->network);
    const bool first = names && (a->h->new_keeper ||
                                 !filter_has_names(&a->h->filter, &a->network));
    const struct keep_add add = {.lease = &a->lease,
                                 .fds = a->sockets,
                                 .wait = first || a->lease.ports.count > 0,
                                 .refilled = a->h->refilled};
    int code = keep_add(a->keeper, &add, e);
    a->named = names && (!add.wait || code == KEEP_NAMES);
    if (code >= 0 && names && !a->named)
        log_warn("network %s: names of containers are not served; why is in "
                 "keeper.log of the networks' directory",
                 a->network.name);
    return code < 0 ? code : 0;
}

static int attach_make(struct attach *a, struct net_iface *out, struct err *e)
{
    int code = keep_connect(a->h, a->want->libexec, e);
    a->keeper = code;
    if (code >= 0)
        code = bridge_read(a->h, a->want->network, &a->network, e);
    if (code == 0)
        code = bridge_up(a->h, &a->network, &a->bridge, &a->mtu, e);
    if (code == 0 && a->more)
        code = attach_choose(a, e);
    if (code == 0)
        code = lease_names(a, e);
    /* Before the addresses: its sweep takes claims without a lease. */
    if (code == 0)
        code = lease_ports(a, e);
    if (code == 0)
        code = lease_addresses(a, e);
    if (code == 0)
        code = lease_write(a->h->store, &a->lease, e);
    if (code == 0)
        code = attach_tap(a, out, e);
    if (code == 0) {
        code = filter_add_vm(&a->h->filter, &a->lease, e);
        a->ruled = code == 0; /* all or nothing: else they are another VM's */
        if (code == -EEXIST && lease_refuse_owned(a, e) < 0)
            code = e->code;
    }
    if (code == 0) {
        conntrack_forget_host(&a->lease);
        code = attach_tell(a, e);
    }
    if (code == 0)
        attach_fill(a, out);
    return code;
}

static void attach_fini(struct attach *a)
{
    if (a->keeper >= 0)
        (void)close(a->keeper);
    for (unsigned i = 0; a->sockets != NULL && i < 2 * a->lease.ports.count;
         i++)
        if (a->sockets[i] >= 0)
            (void)close(a->sockets[i]);
    free(a->sockets);
    lease_fini(&a->lease);
    store_network_fini(&a->network);
}

/* The store, locked, and the kernel's ears. */
static int attach_open(int root, struct store *s, struct bridge_host *h,
                       struct err *e)
{
    int code = store_open(s, root, e);
    if (code < 0)
        return code;
    code = bridge_open(h, s, e);
    if (code < 0) {
        store_fini(s);
        return code;
    }
    code = store_lock(s, e);
    if (code < 0) {
        bridge_close(h);
        store_fini(s);
    }
    return code;
}

static int attach_once(int root, struct attach *a, struct net_iface *out,
                       struct err *e)
{
    struct store s;
    struct bridge_host h;
    out->fd = -1;
    int code = attach_possible(e);
    if (code == 0)
        code = attach_open(root, &s, &h, e);
    if (code < 0)
        return code;
    a->h = &h;
    code = attach_make(a, out, e);
    if (code < 0) {
        if (out->fd >= 0)
            (void)close(out->fd);
        out->fd = -1;
        if (a->ruled) {
            filter_remove_vm(&h.filter, &a->lease);
            conntrack_forget_vm(&a->lease);
        }
        lease_remove(&s, &a->lease);
    }
    attach_fini(a);
    bridge_close(&h);
    store_fini(&s);
    return code < 0 ? code : 0;
}

/* A keeper that ends meanwhile is nobody's fault here: the next one. */
static int attach_twice(int root, const struct attach *want,
                        struct net_iface *out, unsigned *slot, struct err *e)
{
    struct attach a = *want;
    int code = attach_once(root, &a, out, e);
    if (code == -EPIPE || code == -ECONNRESET) {
        a = *want;
        code = attach_once(root, &a, out, e);
    }
    *slot = a.slot;
    return code;
}

int attach_bridge(int root, const struct attach_want *w, struct net_iface *out,
                  struct err *e)
{
    const struct attach a = {.want = w, .slot = w->slot, .keeper = -1};
    unsigned slot;
    return attach_twice(root, &a, out, &slot, e);
}

int attach_more(int root, const struct attach_want *w, struct net_iface *out,
                unsigned *slot, struct err *e)
{
    const struct attach a = {.want = w, .more = true, .keeper = -1};
    return attach_twice(root, &a, out, slot, e);
}

int attach_find(int root, const char *id, const char *network,
                struct attach_place *out, struct err *e)
{
    struct store s;
    struct bridge_host h;
    struct store_network n;
    struct attach_slots look = {.r = {slots_one}, .id = id};
    int code = attach_open(root, &s, &h, e);
    if (code < 0)
        return code;
    code = store_read(&s, network, &n, e);
    if (code == 0) {
        look.network = n.name;
        (void)lease_each(&s, &look.r);
        *out = look.at;
        if (!look.found)
            code = err_set(e, -ENOENT,
                           "container %.12s is not connected to network %s", id,
                           n.name);
        store_network_fini(&n);
    }
    bridge_close(&h);
    store_fini(&s);
    return code;
}

int attach_sweep(int root, const char *libexec, struct err *e)
{
    struct store s;
    struct bridge_host h;
    int code = attach_open(root, &s, &h, e);
    if (code < 0)
        return code;
    (void)bridge_sweep(&h);
    int keeper = keep_connect(&h, libexec, e);
    bridge_close(&h);
    store_fini(&s); /* the keeper looks, too */
    if (keeper < 0)
        return keeper;
    keep_forget(keeper);
    (void)close(keeper);
    return 0;
}
