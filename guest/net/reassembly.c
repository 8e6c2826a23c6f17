// SPDX-License-Identifier: Apache-2.0
/* Fragments become packets again. RFC 791, 8200 4.5, 5722. */
#include "guest/net/ip_impl.h"

struct packet *reassemble(struct packet *p, uint32_t id, uint32_t off,
                          bool more)
{
    (void)id, (void)off, (void)more;
    netif_count_stat(&ip_counters.reasm_fail, 1);
    packet_free(p);
    return NULL;
}
