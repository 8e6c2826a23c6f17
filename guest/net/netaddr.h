// SPDX-License-Identifier: Apache-2.0
/* Addresses and state of interfaces, as an administrator changes them. */
#pragma once

#include "guest/net/netif.h"

/* 0, -EEXIST, -ENOSPC, -EINVAL. It is announced if the interface is up. */
int netif_addr_add(struct netif *n, const struct netif_addr *a);
int netif_addr_del(struct netif *n, const struct ip_addr *a);
/* The i-th address of `n`, a copy. false: no more. */
bool netif_addr_at(struct netif *n, unsigned i, struct netif_addr *out);
/* Was it taken so recently that its owner may still object? RFC 4862, 5.4. */
bool netif_addr_tentative(struct netif *n, const struct ip_addr *a);
int netif_set_mtu(struct netif *n, uint32_t mtu); /* -EINVAL */
/* LX_IFF_UP and LX_IFF_PROMISC of `flags`. Addresses of an interface that
 * comes up are announced; routes through one that goes down are removed. */
void netif_set_flags(struct netif *n, uint32_t flags);
