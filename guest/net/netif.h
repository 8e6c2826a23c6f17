// SPDX-License-Identifier: Apache-2.0
/*
 * Interfaces: what a driver gives, what IP uses. Frames come in on the net
 * thread (net.h), never in an interrupt; they leave from any task.
 */
#pragma once

#include "guest/core/lock.h"
#include "guest/core/timer.h"
#include "guest/net/packet.h"

#define NETIF_MAX       8
#define NETIF_ADDRS     16
#define NETIF_NAME_SIZE 16

struct netif_stats {
    uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
    uint64_t multicast;
};

struct netif_addr {
    struct ip_addr addr;
    uint8_t prefix; /* bits; IPv4: 0..32 */
    uint8_t scope;  /* RT_SCOPE_* */
};

struct netif_ops {
    /* Takes the frame (Ethernet header in front; loopback: IP). Never blocks.
     * Full: it is dropped and counted. Offloads only as netif says. */
    void (*send)(struct netif *n, struct packet *p);
    /* Everything queued since is worth a doorbell now. NULL: nothing to do. */
    void (*flush)(struct netif *n);
    void (*groups)(
        struct netif *n); /* groups or promiscuity changed, or NULL */
};

struct netif {
    const struct netif_ops *ops;
    void *driver;
    char name[NETIF_NAME_SIZE];
    uint32_t index; /* 1: lo */
    uint32_t flags; /* LX_IFF_* */
    uint32_t mtu;   /* bytes of IP */
    uint8_t mac[6];
    bool ethernet;
    bool tx_csum;                         /* takes PACKET_CSUM_PARTIAL */
    uint32_t tso4_max, tso6_max, uso_max; /* most payload, bytes, in a packet
                                             with gso_size; 0: cannot */
    struct spinlock lock;                 /* addresses, stats of slow paths */
    struct netif_addr addrs[NETIF_ADDRS];
    unsigned addr_count;
    struct netif_stats stats;
};

/* A driver's interface appears (before programs run). 0 or -ENOSPC. */
int netif_add(struct netif *n);
struct netif *netif_find(uint32_t index); /* NULL */
struct netif *netif_by_name(const char *name);
/* A frame came in; net thread. Ethernet header (if any) in front. */
void netif_receive(struct netif *n, struct packet *p);
/* Out it goes, segmented and summed here where the device cannot. */
void netif_send(struct netif *n, struct packet *p);

/*
 * The net thread: one kernel thread that runs drivers' receive work, IP's and
 * TCP's timers and loopback. Work is queued from any context, interrupts too,
 * and runs once per queueing, without locks held, and may take spinlocks but
 * not sleep for long.
 */
struct net_work {
    struct list node;
    void (*fn)(struct net_work *w);
    bool queued;
};
void net_work_init(struct net_work *w, void (*fn)(struct net_work *w));
void net_work_queue(struct net_work *w);
/* Wait until `w` neither is queued nor runs. Not on the net thread. */
void net_work_cancel(struct net_work *w);

/* A timer whose function runs on the net thread: timer.h's, then the work. */
struct net_timer {
    struct timer timer;
    struct net_work work;
};
void net_timer_init(struct net_timer *t, void (*fn)(struct net_work *w));
void net_timer_start(struct net_timer *t, nsec_t deadline); /* or move it */
void net_timer_stop(struct net_timer *t); /* fn may still run: check state */
