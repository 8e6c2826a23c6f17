// SPDX-License-Identifier: Apache-2.0
/* Neighbour discovery. RFC 4861, 4862. */
#include "guest/net/icmp_impl.h"

void icmp6_control(struct packet *p, uint8_t type)
{
    (void)type;
    packet_free(p);
}
