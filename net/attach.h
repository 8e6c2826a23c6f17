// SPDX-License-Identifier: Apache-2.0
/* One interface of one VM on a network of ours. */
#pragma once

#include "net/lease.h"
#include "net/net.h"

struct err;

/* Strings are borrowed. */
struct attach_want {
    const char *libexec; /* where limpet-net is */
    const char *id;      /* of the container, whose vms/ID/lock is held */
    const char *name;
    const char *hostname;
    const char *network; /* name or ID; STORE_DEFAULT is made if needed */
    unsigned slot;       /* 0: the first interface */
    bool has_mac;
    uint8_t mac[6];
    bool has4, has6; /* --ip, --ip6 */
    struct net_addr ip4, ip6;
    const struct net_addr *dns; /* --dns; none: the host's */
    unsigned dns_count;
    const char *const *aliases;
    unsigned alias_count;
    bool limited; /* --egress was said; `egress` may be empty: none */
    const struct net_addr *egress;
    unsigned egress_count;
    struct port_list *ports; /* host ports that are 0 are chosen, and set */
    bool *internal; /* or NULL; set: on such a network ports are not taken */
};

/*
 * Wire it up: `root` is a directory fd of ROOT. Fills *out (fd owned by the
 * caller; the interface exists as long as it is open somewhere). On failure
 * nothing is left.
 */
int attach_bridge(int root, const struct attach_want *w, struct net_iface *out,
                  struct err *e);

/*
 * The same for a container that runs already: `slot` is chosen (the lowest that
 * no lease has), *slot says it. -EEXIST with docker's message: it is on this
 * network. -E2BIG: it has NET_IFACES_MAX.
 */
int attach_more(int root, const struct attach_want *w, struct net_iface *out,
                unsigned *slot, struct err *e);
/* Which interface of a container is on a network. */
struct attach_place {
    unsigned slot;
    bool published; /* ports lead there */
};
/* The one of container `id` on `network` (name or ID). -ENOENT: there is no
 * such network, or the container is not on it. */
int attach_find(int root, const char *id, const char *network,
                struct attach_place *out, struct err *e);
/* Interfaces have ended: their rules, addresses and names go, and their ports
 * are closed when it returns. */
int attach_sweep(int root, const char *libexec, struct err *e);

/* Can this process make taps and rules? 0, or why not. */
int attach_possible(struct err *e);
