// SPDX-License-Identifier: Apache-2.0
/*
 * The networks of one VM: from what the user said (--network and its like) to
 * fds and addresses. docs/network.md. Every mode is one line of the table in
 * network.c.
 */
#pragma once

#include <jansson.h>

#include "net/net.h"
#include "net/port.h"
#include "net/user.h"

struct err;

enum { NETWORK_MODE_SIZE = 128 };

/* One --network, as the user said it. */
struct network_want {
    char mode[NETWORK_MODE_SIZE]; /* "none", "user", "tap:NAME", a network */
    bool has_mac;
    struct net_iface said; /* what is not 0 was said; fd is not used */
};

enum {
    NETWORK_ALIASES_MAX = 16,
    NETWORK_EGRESS_MAX = 32,
    NETWORK_SEARCH_MAX = 16,
    NETWORK_HOSTS_MAX = 256,
};

/* What was said of all networks of a container. */
struct network_options {
    struct port_list ports; /* -p; host ports that were left open are set */
    unsigned alias_count;
    const char *alias[NETWORK_ALIASES_MAX]; /* borrowed */
    bool limited;                           /* --egress: only these */
    unsigned egress_count;
    struct net_addr egress[NETWORK_EGRESS_MAX];
    unsigned dns_count;
    struct net_addr dns[NET_DNS_MAX];
    /* Of /etc/resolv.conf; borrowed. None said: as the host's. */
    unsigned search_count, dns_option_count;
    const char *search[NETWORK_SEARCH_MAX]; /* "." alone: none */
    const char *dns_option[NETWORK_SEARCH_MAX];
    /* Of /etc/hosts. */
    unsigned host_count;
    struct network_host {
        const char *name; /* borrowed; not terminated */
        int name_size;
        struct net_addr addr;
    } host[NETWORK_HOSTS_MAX];
    bool published; /* an interface has taken the ports */
    bool internal;  /* one is on an internal network, which takes none */
};

/* Whose network it is; strings are borrowed. */
struct network_vm {
    const char *id;
    const char *name;
    const char *hostname;
    const char *libexec; /* directory of our programs */
    int root;            /* directory fd of ROOT */
    struct network_options *options;
    unsigned slot; /* number of the interface; network_attach() counts */
    int after;     /* what the mode returned for the one before, or 0 */
    struct user_start *passt; /* network_attach()'s */
};

/* The network of a run without --network: LIMPET_NETWORK; else bridge, where
 * this process may make it; else user, where passt can be; else none: then *e
 * says why. */
const char *network_default(struct err *e);

/* --network-alias NAME, --egress CIDR|none. -EINVAL with a message. */
int network_add_alias(struct network_options *o, const char *text,
                      struct err *e);
int network_add_egress(struct network_options *o, const char *text,
                       struct err *e);

struct network {
    unsigned count;
    struct net_iface iface[NET_IFACES_MAX];       /* fds owned */
    char mode[NET_IFACES_MAX][NETWORK_MODE_SIZE]; /* as said */
    struct user_start passt;                      /* of --network user */
};

/* "MODE[,KEY=VALUE...]" of --network. -EINVAL with a message. */
int network_parse(struct network_want *w, const char *text, struct err *e);

/*
 * One KEY: ip, ip6 (ADDRESS/PREFIX), gateway (of either family), mac-address,
 * mtu, rate (bits a second: 10M), dns. -EINVAL if the value is wrong, or was
 * said before.
 */
int network_set(struct network_want *w, const char *key, const char *value,
                struct err *e);

/* Make what was wanted; on failure nothing is left. `count` may be 0. Ports
 * that only internal networks could take are dropped, with a warning. */
int network_attach(struct network *n, const struct network_want *w,
                   unsigned count, const struct network_vm *vm, struct err *e);
/* Everything works: what starts beside the VM (passt) has started. */
int network_wait(struct network *n, struct err *e);
/* The launcher's part ends: fds are closed, what they stand for stays. */
void network_detach(struct network *n);

/* Places for interfaces that the VM has besides, for `network connect`: where
 * all it has are on networks of ours (as docker has it). */
unsigned network_spare(const struct network *n);

/* What holds for every network of the container, for config.json. */
json_t *network_options_json(const struct network_options *o);

/* Array of objects for config.json and for the monitor, where each has its
 * fd besides. NULL: memory. */
json_t *network_json(const struct network *n, bool monitor);
