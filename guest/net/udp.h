// SPDX-License-Identifier: Apache-2.0
/* Between UDP and who shows it. */
#pragma once

#include "guest/net/inet.h"

struct udp_counters { /* /proc/net/snmp; atomic */
    uint64_t in, no_ports, in_errors, out;
};
extern struct udp_counters udp_counters;
extern struct inet_table udp_table;

/* --- udp_option.c: socket_io_ops.option --- */
int udp_option(struct socket *s, struct socket_option *o);
