// SPDX-License-Identifier: Apache-2.0
/* The loopback interface: a queue that senders and the net thread empty. */
#pragma once

#include "guest/net/netif.h"

extern struct netif lo_netif;

void lo_init(void); /* from net_start() */
/* IP header in front: comes in again, as if by p->netif (the sender's interface
 * for a copy of a multicast). Any lock of a socket may be held. Takes p. */
void lo_queue(struct packet *p);
