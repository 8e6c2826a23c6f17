// SPDX-License-Identifier: Apache-2.0
/*
 * --network netns:PATH: a VM in the place of the interfaces of another network
 * namespace, as CNI plugins prepare it. Frames go between that interface and a
 * tap beside it by tc redirection, both ways; the guest has its MAC, addresses
 * and routes.
 *
 *   host  veth <--> eth0 --ingress, mirred--> tap --fd--> monitor
 *                   eth0 <--ingress, mirred-- tap
 *
 * A guard, `limpet-net guard`, takes the redirection back when the tap is gone.
 */
#pragma once

#include "net/net.h"

struct err;

/* Strings are borrowed. */
struct netns_want {
    const char *libexec; /* where limpet-net is */
    const char *path;    /* of the namespace, or its name in /run/netns */
    const char *id;      /* of the container */
    int after;           /* the interface after that index; 0: the first */
};

/*
 * One interface; returns its index if there is another to go on to, else 0.
 * Fills *out: fd (owned; the redirection exists as long as it is open
 * somewhere), mac, mtu, addresses, routes, dns. -EINVAL: it is the namespace
 * of this process, or none; -EBUSY: another VM has it. If an error leaves this
 * process in the other namespace (code -ESTALE), it must end.
 */
int netns_attach(const struct netns_want *w, struct net_iface *out,
                 struct err *e);

/* The guard's life: interface indexes in its namespace. Returns the exit code
 * of the program. */
int netns_guard(int tap, int link);
