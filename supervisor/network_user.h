// SPDX-License-Identifier: Apache-2.0
/* --network user (net/user.h) and --network netns:PATH (net/netns.h). */
#pragma once

struct err;
struct net_iface;
struct network_vm;
struct network_want;

int network_attach_user(const struct network_want *w, const char *argument,
                        const struct network_vm *vm, struct net_iface *i,
                        struct err *e);
int network_attach_netns(const struct network_want *w, const char *argument,
                         const struct network_vm *vm, struct net_iface *i,
                         struct err *e);
