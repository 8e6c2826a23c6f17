// SPDX-License-Identifier: Apache-2.0
/*
 * What one interface of a VM holds on this host, written down before it is
 * made, so that whoever comes after a crash can take it back (docs/network.md).
 * ROOT/networks/leases/ID.SLOT, and a claim per address.
 */
#pragma once

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"
#include "net/port.h"

struct err;
struct store;

enum {
    LEASE_ID_SIZE = 65,
    LEASE_NAME_SIZE = 128,
    LEASE_KEY_SIZE = LEASE_ID_SIZE + 4,
    LEASE_ALIASES_MAX = 16,
    LEASE_ALIAS_SIZE = 64,
    LEASE_EGRESS_MAX = 32,
};

struct lease {
    char id[LEASE_ID_SIZE]; /* of the container */
    unsigned slot;          /* interface number */
    uint64_t ns;            /* inode of the network namespace it is in */
    char network[LEASE_ALIAS_SIZE];
    char name[LEASE_NAME_SIZE]; /* of the container */
    char hostname[LEASE_ALIAS_SIZE];
    char tap[IFNAMSIZ];
    char bridge[IFNAMSIZ];
    uint8_t mac[6];
    bool has4, has6;
    struct net_addr ip4, ip6;
    unsigned alias_count;
    char alias[LEASE_ALIASES_MAX][LEASE_ALIAS_SIZE];
    bool limited; /* reaches only `egress` */
    unsigned egress_count;
    struct net_addr egress[LEASE_EGRESS_MAX];
    unsigned dns_count; /* servers for what is no container's name */
    struct net_addr dns[NET_DNS_MAX];
    struct port_list ports;
};

void lease_key(const struct lease *l, char out[LEASE_KEY_SIZE]);
/* The name of its tap: from the ID, so that nothing must be searched. */
void lease_tap(const char *id, unsigned slot, char out[IFNAMSIZ]);

/* All under the store's lock. */
int lease_write(const struct store *s, const struct lease *l, struct err *e);
int lease_read(const struct store *s, const char *key, struct lease *l,
               struct err *e);
void lease_remove(const struct store *s, const struct lease *l);
void lease_fini(struct lease *l);

/* The addresses among the texts of a list, the first `max`; what is none is
 * left out. Returns how many. */
unsigned lease_get_addrs(const json_t *list, struct net_addr *out,
                         unsigned max);

/* Claim an address of `network` for `key`: -EEXIST if it has another owner. */
int lease_claim(const struct store *s, const char *network,
                const struct net_addr *a, const char *key, struct err *e);
/* A free address of `range`: the next after the last one given, so that what
 * the host still knows of a VM (connections) does not meet another's soon. */
int lease_claim_any(const struct store *s, const char *network,
                    const struct net_addr *range, const char *key,
                    struct net_addr *out, struct err *e);
/* Claims without a lease, left by a crash. */
void lease_sweep_claims(const struct store *s, const char *network);

/* Does its container run (or is being started)? By the flock of its state
 * directory, docs/state.md. */
bool lease_is_alive(const struct store *s, const struct lease *l);

/* Every lease; stops when `each` returns non-zero and returns that. */
struct lease_reader {
    int (*each)(struct lease_reader *r, const struct lease *l);
};
int lease_each(const struct store *s, struct lease_reader *r);
