// SPDX-License-Identifier: Apache-2.0
/* Interfaces, addresses and routes of this network namespace (rtnetlink). */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

struct err;
struct nl;

enum { LINK_ALIAS_SIZE = 128, LINK_ROUTES_MAX = 512 };

struct link_info {
    int index;
    char name[IFNAMSIZ];
    int master; /* index of its bridge, or 0 */
    uint32_t mtu;
    bool up, loopback;
    uint8_t mac[6];
    char kind[16];               /* "bridge", "tun", "" */
    char alias[LINK_ALIAS_SIZE]; /* who made it, or "" */
};

/* -ENODEV without a message if there is none. */
int link_find(struct nl *n, const char *name, struct link_info *out);

/* The interface with the least index above `after` that is up and a link to
 * elsewhere: a veth, macvlan, ipvlan, netkit, VLAN or hardware, and no port of
 * a bridge. -ENODEV without a message if there is none. */
int link_find_next(struct nl *n, int after, struct link_info *out);

/* Is there an interface for which a host routes: a bridge, a tunnel? */
bool link_has_inner(struct nl *n, struct link_info *out);

/* A bridge that is up, with what only a link of ours has: `alias`. */
int link_add_bridge(struct nl *n, const char *name, const char *alias,
                    uint32_t mtu, const uint8_t mac[6], struct err *e);
int link_add_address(struct nl *n, int index, const struct net_addr *a,
                     struct err *e);
int link_delete(struct nl *n, int index, struct err *e);

/* How a VM's tap hangs on a bridge. */
struct link_port {
    const char *name, *alias;
    int bridge; /* index; 0: on none */
    uint32_t mtu;
    uint8_t mac[6]; /* of the VM: the bridge need not, and may not, learn it */
    bool isolated;  /* from other isolated ports */
    bool hairpin;   /* frames may leave where they came from */
};
/*
 * Make a tap that lives as long as its fd, with headers
 * (virtio_net_hdr_mrg_rxbuf), and put it up. Returns the fd.
 */
int link_add_tap(struct nl *n, const struct link_port *p, struct err *e);

/* What is routed here, and by which interface the world is reached. */
struct link_routes {
    unsigned count;
    struct net_addr dst[LINK_ROUTES_MAX]; /* no default routes */
    int uplink;                           /* index; 0: no default route */
    uint32_t uplink_mtu;
};
int link_read_routes(struct nl *n, struct link_routes *out, struct err *e);

/* What an interface has: addresses for the world, and its routers. */
struct link_plan {
    unsigned addr_count;
    struct net_addr addr[NET_ADDRS_MAX]; /* IPv4 first; with their prefixes */
    bool default4, default6;             /* it has a default route */
    bool has_gateway4, has_gateway6;     /* that leads to a router */
    struct net_addr gateway4, gateway6;
};
/* Of interface `index`; 0: of those that the default routes lead to. */
int link_read_plan(struct nl *n, int index, struct link_plan *out,
                   struct err *e);

/*
 * What leaves by interface `index`, of the main table, into *out, but for the
 * routes that its addresses make by themselves: out->addr is known, and those
 * that make none are marked `alone`. -E2BIG: more than NET_ROUTES_MAX.
 * -EOPNOTSUPP: one of a kind that a guest does not have.
 */
int link_read_own_routes(struct nl *n, int index, struct net_iface *out,
                         struct err *e);

/* /proc/sys/net/DIR[/NAME]/LEAF: write (0 or -errno), or read a digit (-1). */
int link_sysctl(const char *dir, const char *name, const char *leaf,
                const char *value);
int link_sysctl_get(const char *dir, const char *name, const char *leaf);
