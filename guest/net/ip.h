// SPDX-License-Identifier: Apache-2.0
/* IP for the transports: routes, output, input by protocol. RFC 791, 8200. */
#pragma once

#include "guest/net/netif.h"

struct ip_route {
    struct netif *netif;
    struct ip_addr src; /* to use if the socket has none */
    struct ip_addr hop; /* next: the destination itself, or a gateway */
    uint32_t mtu;       /* bytes of IP: the interface's, or the path's */
    bool local;         /* to ourselves */
    bool broadcast, multicast;
};

struct ip_send { /* how one goes out */
    struct ip_addr src, dst;
    uint8_t protocol;
    uint8_t ttl, tos;
    bool ttl_set; /* ttl 0 is meant; without it: the default */
    bool dont_fragment;
    bool mtu_probe;      /* with it: the interface's MTU counts, not the path's
                            (IP_PMTUDISC_PROBE) */
    bool multicast_loop; /* a copy for ourselves */
    bool router_alert;   /* RFC 2113, 2711: reports of groups */
};

/* Where `dst` goes from `src` (any: chosen) through interface `oif` (0: any).
 * -ENETUNREACH, -EHOSTUNREACH, -EINVAL, -ENODEV. */
int ip_route(struct ip_route *r, const struct ip_addr *dst,
             const struct ip_addr *src, uint32_t oif);
/* Transport header and payload in `p`; IP header, neighbour and device follow.
 * With gso_size set it may exceed the MTU. 0 or -errno (told at once, e.g.
 * -EMSGSIZE); later losses are silent. May run under a socket's spinlock. */
int ip_output(struct packet *p, const struct ip_route *r,
              const struct ip_send *how);
/* The same with an IPv4 header in front, by its program (IP_HDRINCL). */
void ip_output_headed(struct packet *p, const struct ip_route *r,
                      const struct ip_send *how);
bool ip_is_ours(const struct ip_addr *a); /* an address of this machine */
struct netif *ip_owner(const struct ip_addr *a); /* whose it is, or NULL */
/* 255.255.255.255, or all ones in a prefix of `only`, or of any if NULL. */
bool ip_is_broadcast(const struct ip_addr *a, const struct netif *only);

struct ip_report {           /* an ICMP error, or one of our own */
    struct ip_addr src, dst; /* as we sent it */
    struct ip_addr offender; /* who says so; any: we */
    int error;               /* positive errno */
    uint32_t info;           /* MTU for EMSGSIZE */
    uint8_t origin, type, code;
};

/* A protocol's input: `p` starts at its header, addresses are in it; its IP
 * header was checked; IP's own is p->net_off. On the net thread or in
 * net_flush(), several CPUs at once, no locks held. Takes p. */
struct ip_protocol {
    uint8_t number;
    void (*input)(struct packet *p);
    /* An ICMP error about what we sent: addresses as we sent them, `head` its
     * first bytes. error: positive errno; info: MTU for EMSGSIZE. true: a
     * socket of ours may well have sent it (RFC 5927, 4). */
    bool (*error)(const struct ip_addr *src, const struct ip_addr *dst,
                  const uint8_t *head, uint32_t size, int error, bool hard,
                  uint32_t info);
    /* The same for who has an error queue (IP_RECVERR), or NULL: `p` starts
     * with the transport header that was sent and stays the caller's. */
    void (*report)(const struct packet *p, const struct ip_report *r);
};
extern const struct ip_protocol tcp_protocol, udp_protocol; /* their files */
void ip_input(struct packet *p);   /* IP header in front */
void ip_deliver(struct packet *p); /* transport header in front */

/* Nobody wanted `p` (UDP): tell its sender, by RFC 1122 and 4443. Takes p. */
void icmp_port_unreachable(struct packet *p);
