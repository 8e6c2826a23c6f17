// SPDX-License-Identifier: Apache-2.0
/* What the monitor says about an interface (abi/boot.h). */
#pragma once

struct boot_netif;
struct boot_route;

/* The interface with its MAC address gets its name, MTU, addresses and routes.
 * Before programs run, or on the net thread. `routes`: b->route_count of them,
 * or NULL: none. 0, or the first of its errors: -ENODEV, what netif_addr_add()
 * and route_add() say. */
int netif_configure(const struct boot_netif *b,
                    const struct boot_route *routes);
