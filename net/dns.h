// SPDX-License-Identifier: Apache-2.0
/*
 * The resolver of networks, in the keeper's child: names of containers from
 * what the keeper told, everything else from other servers. One thread. It is
 * known who asks (spoofed frames do not get through), and each may have so much
 * under way and no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dns;
struct dnszone;
struct dnszone_vm;
struct loop;

struct dns *dns_new(struct loop *l); /* NULL: memory */

/* What else is known, to be set directly. */
struct dnszone *dns_zone(struct dns *d);

void dns_set_vm(struct dns *d, const struct dnszone_vm *v);

/* Listen for a network; takes fd: UDP, or a listening TCP socket. */
void dns_listen(struct dns *d, uint32_t network, bool udp, int fd);
void dns_drop_network(struct dns *d, uint32_t network);
void dns_drop_vm(struct dns *d, uint32_t number);

/* Give up on what takes too long. Returns in how many ms to call it again; -1:
 * nothing is under way. */
int dns_tick(struct dns *d);
