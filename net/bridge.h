// SPDX-License-Identifier: Apache-2.0
/* Networks: planned once, and made in the kernel whenever they are needed. */
#pragma once

#include "net/nl.h"
#include "net/store.h"

struct lease;

/* What `network create` was asked for; addresses with prefix 0 are chosen. */
struct bridge_want {
    const char *name;
    const char *device; /* NULL: chosen */
    bool internal, isolated, v6;
    uint32_t mtu; /* 0: the uplink's */
    struct net_addr subnet4, gateway4, subnet6, gateway6;
    const json_t *labels; /* object, or NULL */
};

/* The kernel's two ears, for this network namespace. */
struct bridge_host {
    struct store *store;
    struct nl route, filter;
    bool new_keeper; /* keep_connect() has started one */
    bool refilled;   /* the tables had to be made anew */
};

/* *h borrows the store. -EPERM with a message without CAP_NET_ADMIN. */
int bridge_open(struct bridge_host *h, struct store *s, struct err *e);
void bridge_close(struct bridge_host *h);

/* All below under the store's lock. */

/* Plan a network that overlaps nothing, and keep it. Touches no device. */
int bridge_create(struct bridge_host *h, const struct bridge_want *want,
                  struct store_network *out, struct err *e);

/*
 * Everything the network needs is there: tables, device, addresses, sysctls.
 * Cheap when it is. *index: the device's. -EEXIST: a device of that name is
 * not ours.
 */
int bridge_up(struct bridge_host *h, const struct store_network *w, int *index,
              uint32_t *mtu, struct err *e);
/* Device and rules away; what is not ours stays. */
void bridge_down(struct bridge_host *h, const struct store_network *w);

/* The default network, made when first wanted. */
int bridge_read(struct bridge_host *h, const char *name,
                struct store_network *out, struct err *e);

/* Release every lease of this namespace whose container or tap is gone, and
 * claims without a lease. Returns how many leases remain. */
unsigned bridge_sweep(struct bridge_host *h);
