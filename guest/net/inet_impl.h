// SPDX-License-Identifier: Apache-2.0
/* Between the files of Internet sockets. */
#pragma once

#include "guest/net/inet.h"

/* net.ipv4.*; writers hold CAP_NET_ADMIN, readers take what they see. */
extern uint16_t inet_port_first, inet_port_last; /* ip_local_port_range */
extern uint16_t inet_unprivileged_port;

/* inet_sock.recv_flags */
#define INET_PKTINFO4     (UINT64_C(1) << 0)
#define INET_RECVTTL      (UINT64_C(1) << 1)
#define INET_RECVTOS      (UINT64_C(1) << 2)
#define INET_RECVOPTS     (UINT64_C(1) << 3)
#define INET_ORIGDST      (UINT64_C(1) << 4)
#define INET_RECVERR4     (UINT64_C(1) << 5)
#define INET_RECVERR6     (UINT64_C(1) << 6)
#define INET_FREEBIND     (UINT64_C(1) << 7)
#define INET_TRANSPARENT  (UINT64_C(1) << 8)
#define INET_NO_PORT      (UINT64_C(1) << 9)
#define INET_PKTINFO6     (UINT64_C(1) << 10)
#define INET_HOPLIMIT6    (UINT64_C(1) << 11)
#define INET_TCLASS6      (UINT64_C(1) << 12)
#define INET_AUTOFLOW     (UINT64_C(1) << 13)
#define INET_DONTFRAG6    (UINT64_C(1) << 14)
#define INET_LOOP4        (UINT64_C(1) << 15)
#define INET_LOOP6        (UINT64_C(1) << 16)
#define INET_MCAST_ALL    (UINT64_C(1) << 17)
#define INET_FRAGSIZE     (UINT64_C(1) << 18)
#define INET_RFC4884      (UINT64_C(1) << 19)
#define INET_HOPLIMIT2292 (UINT64_C(1) << 20)

/* --- inet_group_option.c: -ENOPROTOOPT: not about multicast --- */
int inet_group_option(struct inet_sock *k, struct socket_option *o);
/* --- inet_ioctl.c: netdevice(7), of any socket --- */
int64_t inet_device_ioctl(struct socket *s, uint32_t cmd, uint64_t arg);

/* Take `addr`:`port` (0: any free one). -EINVAL: it has one; -EADDRINUSE. */
int inet_table_bind(struct inet_sock *k, const struct ip_addr *addr,
                    uint16_t port, uint32_t scope);
/* Call fn for every socket that a packet to a group or everybody concerns;
 * table locked: fn takes no socket's but its own lock. */
void inet_each(struct inet_table *t, const struct packet *p, uint16_t sport,
               uint16_t dport,
               void (*fn)(struct inet_sock *k, const struct packet *p));
