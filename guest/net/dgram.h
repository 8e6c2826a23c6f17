// SPDX-License-Identifier: Apache-2.0
/* What UDP, ping and raw sockets share: a queue of packets and its readers. */
#pragma once

#include "guest/core/lock.h"
#include "guest/net/inet.h"

#define DGRAM_SHUT_RECV 1u
#define DGRAM_SHUT_SEND 2u

struct dgram_sock {
    struct inet_sock k;     /* first; its lock guards what follows */
    struct mutex read_lock; /* who looks at the first packet in the queue */
    struct list queue;      /* struct packet */
    uint32_t count, charge; /* packets, bytes of memory */
    struct list errors;     /* struct dgram_report: inet_errqueue.c */
    uint32_t error_count;
    uint64_t drops;
    uint32_t shut;        /* DGRAM_SHUT_* */
    uint16_t segment;     /* UDP_SEGMENT: bytes; 0: off */
    bool accept_segments; /* UDP_GRO */
    bool dead;
    struct udp_cork *cork;   /* atomic; udp_cork.c: NULL: never used */
    struct list raw_node;    /* raw.c */
    uint32_t icmp_filter[8]; /* ICMP_FILTER: bit set: not wanted */
};

static inline struct dgram_sock *dgram_of(struct socket *s)
{
    return CONTAINER_OF(inet_of(s), struct dgram_sock, k);
}

/* 0 or -ENOMEM. `t` NULL: no ports. */
int dgram_new(uint16_t family, uint16_t type, struct inet_table *t,
              struct dgram_sock **out);
/* What a packet carries for the program is in front. Takes p. */
void dgram_push(struct dgram_sock *d, struct packet *p);
void dgram_error(struct dgram_sock *d, int error); /* SO_ERROR, and wakes */

/* socket_ops, socket_io_ops */
extern const struct socket_ops dgram_ops; /* the four below, inet_bind ... */
int dgram_connect(struct socket *s, const struct net_addr *a, bool nonblock);
int dgram_listen(struct socket *s, int backlog);
int dgram_accept(struct socket *s, bool nonblock, struct socket **out);
int dgram_shutdown(struct socket *s, int how);
int64_t dgram_recv(struct socket *s, struct message *m);
uint32_t dgram_poll(struct socket *s, struct poll_table *pt);
int64_t dgram_ioctl(struct socket *s, uint32_t cmd, uint64_t arg);
void dgram_release(struct socket *s);

struct dgram_send { /* a message on its way out */
    struct ip_route route;
    struct ip_send how;
    uint16_t port;    /* destination */
    uint16_t segment; /* 0: whole */
};
/* Destination, options and route of `m`. 0 or -errno. */
int dgram_send_begin(struct dgram_sock *d, const struct message *m,
                     struct dgram_send *out);
/* The bytes of `u` in a packet with `room` bytes before them. -EFAULT,
 * -ENOBUFS. */
int dgram_packet(struct uio *u, uint16_t room, struct packet **out);
/* --- inet_errqueue.c: MSG_ERRQUEUE, ip(7) --- */
/* Keep what was reported about a datagram of `d` to `port`; its payload is what
 * follows the first `head` bytes of `p`, which stays the caller's. */
void dgram_report(struct dgram_sock *d, const struct packet *p, uint32_t head,
                  uint16_t port, const struct ip_report *r);
int64_t dgram_recv_error(struct dgram_sock *d, struct message *m);
void dgram_free_errors(struct dgram_sock *d);
/* --- inet_control.c --- */
/* Control messages of a message to be sent. -EINVAL. */
int inet_control_parse(const struct inet_sock *k, const struct message *m,
                       struct dgram_send *out, uint32_t *oif,
                       struct ip_addr *src);
/* Those that go with a received packet, into m->control. */
void inet_control_give(const struct inet_sock *k, const struct packet *p,
                       struct message *m);
