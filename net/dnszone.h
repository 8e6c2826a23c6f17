// SPDX-License-Identifier: Apache-2.0
/*
 * Who is called what on which network, as the keeper tells the resolver: plain
 * memory, no files. A VM is found by the address it asks from, and finds those
 * that share a network with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/lease.h"
#include "net/net.h"
#include "net/store.h"

enum {
    DNSZONE_NAMES_MAX = LEASE_ALIASES_MAX + 3, /* its name, ID, host name */
    DNSZONE_ADDRS_MAX = 1024,                  /* in one answer */
};

/* What follows is sent between processes, so flat. */

/* A network with a resolver. */
struct dnszone_network {
    uint32_t kind; /* enum helper_kind */
    uint32_t number;
    bool internal; /* nothing is forwarded */
    char name[STORE_NAME_SIZE];
};

/* An interface on such a network. */
struct dnszone_vm {
    uint32_t kind;
    uint32_t number; /* of the interface */
    uint32_t network;
    char id[LEASE_ID_SIZE]; /* of the container: interfaces of one share it */
    char container[LEASE_NAME_SIZE]; /* its name as written: unique; or "" */
    unsigned name_count;
    char name[DNSZONE_NAMES_MAX][LEASE_NAME_SIZE]; /* lower case */
    bool has4, has6;
    struct net_addr ip4, ip6;
    bool limited; /* forwarded only to servers that `egress` has */
    unsigned egress_count;
    struct net_addr egress[LEASE_EGRESS_MAX];
    unsigned dns_count; /* its own servers, instead of the host's */
    struct net_addr dns[NET_DNS_MAX];
};

/* The host's servers. */
struct dnszone_servers {
    uint32_t kind;
    unsigned count;
    struct net_addr server[NET_DNS_MAX];
};

/* One as it is kept; each begins with its place in a list. */
struct dnszone_node {
    struct dnszone_node *next;
    uint32_t number;
};

struct dnszone_host {
    struct dnszone_node node;
    unsigned asks; /* queries of its that are forwarded now */
    unsigned conns;
    struct dnszone_vm vm;
};

struct dnszone_net {
    struct dnszone_node node;
    struct dnszone_network n;
};

/* Zero-initialise. */
struct dnszone {
    struct dnszone_node *hosts; /* owned, as the rest */
    struct dnszone_node *nets;
    struct dnszone_servers servers;
};

/* Add, or replace. What lacks memory is missing from then on. */
void dnszone_set_network(struct dnszone *z, const struct dnszone_network *n);
void dnszone_set_vm(struct dnszone *z, const struct dnszone_vm *v);
void dnszone_drop_network(struct dnszone *z, uint32_t number);
void dnszone_drop_vm(struct dnszone *z, uint32_t number);
void dnszone_fini(struct dnszone *z);

/* Who asks from that IPv4 address of a network; NULL: nobody we know. */
struct dnszone_host *dnszone_asker(const struct dnszone *z, uint32_t network,
                                   const uint8_t ip4[4]);
struct dnszone_host *dnszone_by_number(const struct dnszone *z,
                                       uint32_t number);

/*
 * Addresses of `name` (lower case; NAME or NAME.NETWORK) for who asks, `v6`
 * ones or others. Returns how many, in the order they have; -ENOENT: nobody is
 * called that; 0: nobody of that family.
 */
int dnszone_find(const struct dnszone *z, const struct dnszone_host *asker,
                 const char *name, bool v6,
                 struct net_addr out[DNSZONE_ADDRS_MAX]);

/* NAME.NETWORK of an address. -ENOENT. */
int dnszone_reverse(const struct dnszone *z, const struct dnszone_host *asker,
                    const struct net_addr *a,
                    char out[LEASE_NAME_SIZE + STORE_NAME_SIZE]);

/* Servers that other names are asked from; 0: they must not be. */
unsigned dnszone_servers(const struct dnszone *z,
                         const struct dnszone_host *asker,
                         struct net_addr out[NET_DNS_MAX]);
