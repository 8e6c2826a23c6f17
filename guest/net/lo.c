// SPDX-License-Identifier: Apache-2.0
/*
 * lo. Packets go through a queue, so that input never runs under the sender's
 * locks nor on top of its stack. Whoever flushes empties it, in his own
 * context: no switch of tasks between a sender and its receiver's queue. One at
 * a time, or packets of a flow would overtake each other.
 */
#include "guest/net/lo.h"

#include "abi/linux/netdev.h"

#include "guest/net/ip.h"

#define LO_BUDGET 256u  /* packets that one flush takes in */
#define LO_MAX    8192u /* packets; dropped beyond */

static struct {
    struct spinlock lock;
    struct list packets;
    uint32_t count;
    bool running; /* atomic */
    struct net_work work;
} lo;

static void lo_send(struct netif *n, struct packet *p)
{
    (void)n;
    lo_queue(p);
}

static struct packet *lo_take(void)
{
    struct packet *p = NULL;
    spin_lock(&lo.lock);
    if (!list_empty(&lo.packets)) {
        p = LIST_ENTRY(lo.packets.next, struct packet, node);
        list_remove(&p->node);
        lo.count--;
    }
    spin_unlock(&lo.lock);
    return p;
}

static bool lo_waiting(void)
{
    return __atomic_load_n(&lo.count, __ATOMIC_SEQ_CST) != 0;
}

static void lo_flush(struct netif *n)
{
    uint32_t left = LO_BUDGET;
    while (lo_waiting()) {
        if (__atomic_exchange_n(&lo.running, true, __ATOMIC_SEQ_CST))
            return; /* who runs it looks again, below */
        struct packet *p;
        while (left > 0 && (p = lo_take()) != NULL) {
            left--;
            if (p->netif == n)
                netif_receive(n, p);
            else
                ip_input(p);
        }
        __atomic_store_n(&lo.running, false, __ATOMIC_SEQ_CST);
        if (left == 0) {
            net_work_queue(&lo.work);
            return;
        }
    }
}

static void lo_work(struct net_work *w)
{
    (void)w;
    lo_flush(&lo_netif);
}

void lo_queue(struct packet *p)
{
    spin_lock(&lo.lock);
    bool full = lo.count >= LO_MAX;
    if (!full) {
        list_add_tail(&lo.packets, &p->node);
        __atomic_store_n(&lo.count, lo.count + 1, __ATOMIC_SEQ_CST);
    }
    spin_unlock(&lo.lock);
    if (full) {
        netif_count_stat(&lo_netif.stats.rx_dropped, 1);
        packet_free(p);
        return;
    }
    netif_mark_flush(&lo_netif);
}

static const struct netif_ops lo_ops = {.send = lo_send, .flush = lo_flush};

struct netif lo_netif = {
    .ops = &lo_ops,
    .name = "lo",
    .index = 1,
    .flags = LX_IFF_UP | LX_IFF_LOOPBACK | LX_IFF_RUNNING,
    .mtu = 65536,
    .tx_csum = true,
    .tso4_max = 65535,
    .tso6_max = 65535,
    .uso_max = 65535,
    .addrs = {{.addr = {.b = {[10] = 0xff, 0xff, 127, 0, 0, 1}},
               .prefix = 8,
               .scope = LX_RT_SCOPE_HOST},
              {.addr = {.b = {[15] = 1}},
               .prefix = 128,
               .scope = LX_RT_SCOPE_HOST}},
    .addr_count = 2,
};

void lo_init(void)
{
    list_init(&lo.packets);
    net_work_init(&lo.work, lo_work);
}
