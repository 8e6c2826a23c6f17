// SPDX-License-Identifier: Apache-2.0
/* Control messages of IP and UDP. ip(7), RFC 3542. */
#include "guest/net/dgram.h"

int inet_control_parse(const struct inet_sock *k, const struct message *m,
                       struct dgram_send *out, uint32_t *oif,
                       struct ip_addr *src)
{
    (void)k, (void)m, (void)out, (void)oif, (void)src;
    return 0;
}

void inet_control_give(const struct inet_sock *k, const struct packet *p,
                       struct message *m)
{
    (void)k, (void)p, (void)m;
}
