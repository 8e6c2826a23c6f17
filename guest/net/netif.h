// SPDX-License-Identifier: Apache-2.0
/*
 * Interfaces: what a driver gives, what IP uses. Frames come in on the net
 * thread (net.h), never in an interrupt; they leave from any task.
 */
#pragma once

#include "guest/core/lock.h"
#include "guest/core/timer.h"
#include "guest/net/packet.h"

#define NETIF_MAX       16
#define NETIF_ADDRS     16
#define NETIF_NAME_SIZE 16

struct netif_stats {
    uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
    uint64_t multicast;
};

struct netif_addr {
    struct ip_addr addr;
    uint8_t prefix;         /* bits; IPv4: 0..32 */
    uint8_t scope;          /* RT_SCOPE_* */
    bool alone;             /* its prefix is not on the link */
    uint32_t broadcast;     /* IPv4, as configured, network order; 0: none */
    nsec_t tentative_until; /* IPv6: somebody may still object */
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

/*
 * A driver never frees one, and ops stay callable: packets, sockets and whoever
 * has just looked one up know it by its address after netif_remove(), too. What
 * is sent there then is dropped by IFF_UP, or by the driver.
 */
struct netif {
    const struct netif_ops *ops;
    void *driver;
    char name[NETIF_NAME_SIZE];
    uint32_t index;   /* 1: lo; never given twice */
    uint32_t place;   /* in the table */
    uint32_t flags;   /* LX_IFF_* */
    uint32_t mtu;     /* bytes of IP */
    uint32_t mtu_max; /* 0: any */
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

/* A driver's interface appears (before programs run, or on the net thread);
 * gets its index and, if it has none, a name (eth0 ...). The net thread runs
 * from then on. 0, -ENOSPC, -ENOMEM. */
int netif_add(struct netif *n);
/* Net thread: it is down, and nobody finds it any more; its addresses, routes,
 * neighbours and groups are gone. netif_add() may have it again. */
void netif_remove(struct netif *n);
struct netif *netif_find(uint32_t index); /* NULL */
struct netif *netif_by_name(const char *name);
/* The next one from *at (0: lo) on, and *at behind it; NULL: no more. */
struct netif *netif_next(unsigned *at);
void netif_count_stat(uint64_t *stat, uint64_t n); /* any context */
void netif_mark_flush(struct netif *n); /* the next net_flush() calls ops */
/* A frame came in; net thread, no locks. Ethernet header (if any) in front. */
void netif_receive(struct netif *n, struct packet *p);
/* Out it goes, segmented and summed here where the device cannot. Sockets and
 * tables may be locked: who sent calls net_flush() when nothing is. */
void netif_send(struct netif *n, struct packet *p);

/* --- ether.c: frames of Ethernet. RFC 894, 2464 --- */
void ether_input(struct packet *p); /* takes p; header in front */

/* --- gso.c --- */
bool gso_fits(const struct netif *n, const struct packet *p);
/* Cut p (IP header in front, after an Ethernet header if n has them) into
 * packets of gso_size; each goes to `send`. Takes p. */
void gso_segment(struct netif *n, struct packet *p,
                 void (*send)(struct netif *n, struct packet *p));

/* --- network.c --- */
/* lo, the protocols and the net thread are there: at the first need (a socket,
 * an interface), so that a VM without network pays nothing. 0 or -ENOMEM. */
int net_start(void);
/* Rings the doorbells of what was sent, and runs what is queued at lo: input of
 * protocols runs here, too, in the task that sent, one task at a time. No
 * locks held, not in interrupts. The net thread does it after each work. */
void net_flush(void);

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
bool net_on_thread(void); /* this is the net thread */
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
