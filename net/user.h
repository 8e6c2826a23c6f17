// SPDX-License-Identifier: Apache-2.0
/*
 * --network user: passt(1), which needs no rights, and the gate before it.
 *
 *   monitor <--socket--> limpet-net gate <--socket--> passt <--> the host's
 *                        judges frames                           own sockets
 *
 * Each ends when one of its ends closes.
 */
#pragma once

#include <stdbool.h>

#include "net/net.h"
#include "net/port.h"

struct err;

/* All borrowed. */
struct user_want {
    const char *libexec;          /* where limpet-net is */
    const struct net_iface *said; /* addresses, gateways, mtu: 0 is not said */
    bool limited;                 /* --egress was said */
    const struct net_addr *egress;
    unsigned egress_count;
    struct port_list *ports; /* host ports that are 0 are chosen, and set */
};

/* passt while it starts. Zero: there is none. */
struct user_start {
    bool going;
    int ready; /* owned: a pipe that it writes to when it is */
    int said;  /* owned: a file with its messages */
};

enum { USER_MTU = 65520 }; /* the most that passt carries */

/*
 * Start both. Fills *out: fd (owned), frames, mtu, addresses, gateways, dns.
 * Without a default route, or without passt, -ENONET and -ENOENT.
 */
int user_attach(const struct user_want *w, struct net_iface *out,
                struct user_start *start, struct err *e);
/* Ports are published when this returns 0; else passt says why not. */
int user_wait(struct user_start *start, struct err *e);
/* Are passt and a default route there? 0, or -ENOENT, -ENONET with the fix. */
int user_possible(struct err *e);
