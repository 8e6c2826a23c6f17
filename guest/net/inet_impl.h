// SPDX-License-Identifier: Apache-2.0
/* Between the files of Internet sockets. */
#pragma once

#include "guest/net/inet.h"

/* net.ipv4.*; writers hold CAP_NET_ADMIN, readers take what they see. */
extern uint16_t inet_port_first, inet_port_last; /* ip_local_port_range */
extern uint16_t inet_unprivileged_port;

/* Take `addr`:`port` (0: any free one). -EINVAL: it has one; -EADDRINUSE. */
int inet_table_bind(struct inet_sock *k, const struct ip_addr *addr,
                    uint16_t port, uint32_t scope);
/* Call fn for every socket that a packet to a group or everybody concerns;
 * table locked: fn takes no socket's but its own lock. */
void inet_each(struct inet_table *t, const struct packet *p, uint16_t sport,
               uint16_t dport,
               void (*fn)(struct inet_sock *k, const struct packet *p));
