// SPDX-License-Identifier: Apache-2.0
/* What the keeper does for names: sockets and redirections of networks, and
 * telling its child who is called what. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct bridge_host;
struct keepdns_net;
struct lease;

struct keepdns {
    struct bridge_host *host; /* borrowed */
    int helper;               /* borrowed */
    struct keepdns_net *nets; /* owned */
    uint32_t next_number;
    bool told;           /* the host's servers */
    struct stat servers; /* of /etc/resolv.conf, as last told */
};

/* A new child at `helper`, which knows nothing. */
void keepdns_reset(struct keepdns *k, int helper);

/* Interface `vm` is there. Returns the number of its network for
 * keepdns_leave(), or a negative errno. */
int keepdns_join(struct keepdns *k, uint32_t vm, const struct lease *l);
void keepdns_leave(struct keepdns *k, uint32_t network);
/* Can VMs there ask for names? */
bool keepdns_serves(const struct keepdns *k, const char *network);

/* The tables are new and empty. */
void keepdns_refill(struct keepdns *k);
/* Look whether the host has other servers now. */
void keepdns_tick(struct keepdns *k);
