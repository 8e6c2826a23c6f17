// SPDX-License-Identifier: Apache-2.0
/* --network NAME: an interface on a network of ours (net/attach.h). */
#pragma once

struct err;
struct net_iface;
struct network_vm;
struct network_want;

int network_attach_bridge(const struct network_want *w,
                          const struct network_vm *vm, struct net_iface *i,
                          struct err *e);
