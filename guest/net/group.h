// SPDX-License-Identifier: Apache-2.0
/* Multicast groups: IGMPv3 (RFC 3376), MLDv2 (RFC 3810), joined by sockets. */
#pragma once

#include "guest/net/inet.h"

#define MLD_QUERY 130u

/* Interface `n` goes: nobody is in a group there any more. */
void group_forget(const struct netif *n);
/* Tell routers and switches that `n` wants a group, or no more. */
void group_report(struct netif *n, const struct ip_addr *group, bool join);
extern const struct ip_protocol igmp_protocol;
void group_query6(struct packet *p); /* takes p; an MLD query */

/* A socket joins or leaves. oif 0: by route. -EADDRINUSE, -EADDRNOTAVAIL,
 * -ENOBUFS, -ENODEV. */
int group_join(struct inet_sock *k, const struct ip_addr *group, uint32_t oif);
int group_leave(struct inet_sock *k, const struct ip_addr *group, uint32_t oif);
/* The i-th group of `n` that sockets want, with how many. false: no more. */
bool group_at(unsigned i, struct netif **n, struct ip_addr *group,
              unsigned *users);
