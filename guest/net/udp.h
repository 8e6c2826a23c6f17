// SPDX-License-Identifier: Apache-2.0
/* Between UDP and who shows it. */
#pragma once

#include "guest/net/inet.h"

struct udp_counters { /* /proc/net/snmp; atomic */
    uint64_t in, no_ports, in_errors, out;
};
extern struct udp_counters udp_counters;
extern struct inet_table udp_table;

struct dgram_send;
struct dgram_sock;
struct message;
struct packet;

#define UDP_ROOM 88 /* device, Ethernet, IPv6 and UDP headers */

/* --- udp.c: a datagram on its way out --- */
/* Where to, by which port of our own: the checks before bytes are looked at. */
int udp_send_begin(struct dgram_sock *d, const struct message *m,
                   struct dgram_send *out);
/* UDP_SEGMENT: how many of `n` bytes, and whether each fits. -EINVAL. */
int udp_check_segments(const struct dgram_send *out, uint64_t n);
/* The payload is in `p`, with UDP_ROOM in front; takes p. */
int udp_send_packet(struct dgram_sock *d, const struct dgram_send *out,
                    struct packet *p);

/* --- udp_cork.c: a datagram in pieces --- */
/* Is this message a piece? */
bool udp_cork_takes(const struct dgram_sock *d, const struct message *m);
/* Add it; the last one sends all. Its size, or -errno: then none is left. */
int64_t udp_cork_send(struct dgram_sock *d, struct message *m);
int udp_cork_set(struct dgram_sock *d, bool on); /* UDP_CORK; or -ENOMEM */
bool udp_corked(const struct dgram_sock *d);
void udp_cork_free(struct dgram_sock *d); /* nobody uses it any more */

/* --- udp_option.c: socket_io_ops.option --- */
int udp_option(struct socket *s, struct socket_option *o);
