// SPDX-License-Identifier: Apache-2.0
/*
 * Internet sockets: what UDP, TCP and raw ones share. ip(7), ipv6(7).
 * Lock order: table > inet_sock.lock > netif, neighbours, routes > page, kmem.
 * All are plain spinlocks: nothing here runs in interrupts.
 */
#pragma once

#include "guest/net/ip.h"
#include "guest/net/socket.h"

struct inet_table;

struct inet_sock {
    struct socket s; /* first */
    struct spinlock lock;
    uint32_t refs; /* atomic: the file, tables, whoever found it */
    void (*free)(struct inet_sock *k); /* with the last reference */
    struct ip_addr local, remote;      /* any: not bound, not connected */
    uint16_t lport, rport;             /* host order; 0: none */
    uint32_t oif;                      /* SO_BINDTODEVICE, scope id; 0: any */
    bool v6only, connected;
    bool bound; /* by bind(2); and what it named: not taken back by connect */
    bool addr_locked, port_locked;
    uint8_t ttl, tos, mcast_ttl, pmtu_mode;       /* of IPv4; ttl 0: default */
    uint8_t hops, tclass, mcast_hops, pmtu_mode6; /* the same of IPv6 */
    uint8_t min_ttl;
    bool hops_set;
    bool mcast_loop, mcast_loop6, mcast_all;
    bool recv_error, hdr_included, transparent;
    uint64_t recv_flags;            /* IP_PKTINFO, RECVTTL ...: inet_option.c */
    uint32_t uid;                   /* who made it: SO_REUSEPORT, /proc/net */
    uint32_t mcast_oif, mcast_oif6; /* IP_MULTICAST_IF; 0: by route */
    struct ip_addr mcast_src;       /* any: by route */
    struct inet_table *table;
    struct list bound_node, hash_node; /* in `table` */
    struct list groups;                /* multicast memberships */
};

/* Sockets of a protocol by port and by (addresses, ports). */
struct inet_table {
    struct spinlock lock;
    struct list *bound;     /* by local port */
    struct list *connected; /* by the four of them */
    uint32_t bits;          /* log2 of the buckets of each */
    uint16_t next_port;     /* ephemeral, where the search goes on */
};

static inline struct inet_sock *inet_of(struct socket *s)
{
    return CONTAINER_OF(s, struct inet_sock, s);
}

extern const struct net_family inet_family, inet6_family;

/* --- inet_table.c --- */
int inet_table_init(struct inet_table *t, uint32_t bits); /* or -ENOMEM */

/* --- inet.c, inet_table.c --- */
void inet_init(struct inet_sock *k, uint16_t family, uint16_t type,
               struct inet_table *t);
void inet_get(struct inet_sock *k);
void inet_put(struct inet_sock *k);
/* sockaddr_in, sockaddr_in6 (v4-mapped too) of this socket's family, and back.
 * -EINVAL, -EAFNOSUPPORT, -ENETUNREACH (v4-mapped with v6only). */
int inet_addr_get(const struct inet_sock *k, const struct net_addr *a,
                  struct ip_addr *addr, uint16_t *port, uint32_t *scope);
void inet_addr_put(const struct inet_sock *k, const struct ip_addr *addr,
                   uint16_t port, uint32_t scope, struct net_addr *out);
/* socket_ops.bind and .name for all. */
int inet_bind(struct socket *s, const struct net_addr *a);
int inet_name(struct socket *s, bool peer, struct net_addr *out);
/* A free port of net.ipv4.ip_local_port_range, if it has none. -EADDRINUSE,
 * -EAGAIN. For connect the remote side may already be set: TCP only needs the
 * four to be unique. */
int inet_autobind(struct inet_sock *k);
/* Into `connected` by its four; -EADDRNOTAVAIL: they exist. */
int inet_hash(struct inet_sock *k);
void inet_unhash(struct inet_sock *k); /* out of both, idempotent */
/* Its peer is gone (rport is 0), its port may be: to where it belongs now. */
void inet_disconnected(struct inet_sock *k);
/* TCP's listen(2): s.listening is set, unless another one listens there:
 * -EADDRINUSE. */
int inet_listen_check(struct inet_sock *k);
/* Best match with a reference: connected, else listening or bound (exact
 * address before any; SO_REUSEPORT spreads by hash). NULL. */
struct inet_sock *inet_find(struct inet_table *t, const struct packet *p,
                            uint16_t sport, uint16_t dport);
/* The connected one of these four, with a reference: ICMP errors. NULL. */
struct inet_sock *inet_find_four(struct inet_table *t,
                                 const struct ip_addr *local,
                                 const struct ip_addr *remote, uint16_t lport,
                                 uint16_t rport);
/* One without a peer that sends from there, with a reference. NULL. */
struct inet_sock *inet_find_local(struct inet_table *t,
                                  const struct ip_addr *local, uint16_t lport);
uint16_t inet_port_random(const struct inet_sock *k); /* RFC 6056 */

/* Where to: `to` any becomes loopback. Interface and source by the socket, its
 * multicast options for groups. -EACCES: broadcast without SO_BROADCAST. */
int inet_route(const struct inet_sock *k, const struct ip_addr *to,
               uint32_t oif, struct ip_route *r, struct ip_send *how);

/* --- group.c --- */
void inet_leave_groups(struct inet_sock *k);
/* Does it want what came for a group (IP_MULTICAST_ALL)? */
bool inet_group_accepts(struct inet_sock *k, const struct packet *p);

/* --- inet_option.c: IPPROTO_IP, IPPROTO_IPV6, SO_BINDTODEVICE --- */
int inet_option(struct socket *s, struct socket_option *o);
int64_t inet_ioctl(struct socket *s, uint32_t cmd, uint64_t arg); /* SIOC* */

/* --- each protocol's file --- */
int tcp_create(uint16_t family, int protocol, struct socket **out);
int udp_create(uint16_t family, int protocol, struct socket **out);
int raw_create(uint16_t family, int type, int protocol, struct socket **out);
/* From net_start(), once, before the first socket: tables. 0 or -ENOMEM. */
int tcp_init(void);
/* Around frames that came in together; net thread. */
void tcp_batch_begin(void);
void tcp_batch_end(void);
int udp_init(void);
int raw_init(void);
