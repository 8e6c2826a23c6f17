// SPDX-License-Identifier: Apache-2.0
/*
 * Firewall and NAT: fixed rules in two tables of our own, and what belongs to
 * one VM as elements of their sets, so that wiring one up is one transaction
 * that touches no rule. docs/network.md explains the tables.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct lease;
struct nl;
struct store_network;

/* The text for nft(8), from filter_rules.c. */
extern const char filter_frames[];  /* table bridge limpet */
extern const char filter_packets[]; /* table inet limpet */

/* Are our tables there, in this version, and filled? `n` is of
 * NETLINK_NETFILTER. */
bool filter_is_ready(struct nl *n);
/* They are filled now. */
int filter_set_ready(struct nl *n, struct err *e);
/* Is anything of a network or an interface in them, of whatever store? */
bool filter_is_used(struct nl *n);
/* Make (or make anew) the tables, empty, with nft(8). */
int filter_setup(struct err *e);
/* Remove them. */
void filter_teardown(struct nl *n);

/* Add what belongs to a network or an interface. Adding twice is no error. */
int filter_add_network(struct nl *n, const struct store_network *w,
                       struct err *e);
bool filter_has_network(struct nl *n, const struct store_network *w);
int filter_add_vm(struct nl *n, const struct lease *l, struct err *e);
/* Other traffic of a family (NFPROTO_*) that passes through this host: stops.
 */
int filter_stop_routing(struct nl *n, uint8_t family, struct err *e);
/* Port 53 of the network's gateway leads its VMs to these ports of it. */
int filter_add_names(struct nl *n, const struct store_network *w, uint16_t udp,
                     uint16_t tcp);
bool filter_has_names(struct nl *n, const struct store_network *w);
void filter_remove_names(struct nl *n, const struct store_network *w);
/* Remove it; what is missing is no error. */
void filter_remove_network(struct nl *n, const struct store_network *w);
void filter_remove_vm(struct nl *n, const struct lease *l);
