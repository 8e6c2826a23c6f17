// SPDX-License-Identifier: Apache-2.0
/* Interfaces: the table, input and output. */
#include "guest/net/netif.h"

#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/group.h"
#include "guest/net/ip.h"
#include "guest/net/lo.h"
#include "guest/net/netaddr.h"

/* Changed on the net thread only, and before programs run; read without a lock:
 * what an entry points to stays (netif.h). */
static struct netif *table[NETIF_MAX] = {&lo_netif};
static unsigned places = 1; /* release: all are below; never fewer */
static uint32_t last_index = 1;
static uint32_t flush_mask; /* atomic: bit i: table[i] wants a flush */

struct netif *netif_next(unsigned *at)
{
    const unsigned end = __atomic_load_n(&places, __ATOMIC_ACQUIRE);
    struct netif *n = NULL;
    while (n == NULL && *at < end)
        n = __atomic_load_n(&table[(*at)++], __ATOMIC_ACQUIRE);
    return n;
}

struct netif *netif_find(uint32_t index)
{
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;) {
        if (n->index == index)
            return n;
    }
    return NULL;
}

struct netif *netif_by_name(const char *name)
{
    struct netif *n;
    for (unsigned at = 0; (n = netif_next(&at)) != NULL;) {
        if (strncmp(n->name, name, NETIF_NAME_SIZE) == 0)
            return n;
    }
    return NULL;
}

int netif_add(struct netif *n)
{
    unsigned place = 1;
    int r = net_start();
    if (r < 0)
        return r;
    while (place < NETIF_MAX && table[place] != NULL)
        place++;
    if (place == NETIF_MAX)
        return -ENOSPC;
    n->index = ++last_index;
    n->place = place;
    if (n->name[0] == '\0')
        (void)ksnprintf(n->name, sizeof(n->name), "eth%u", place - 1);
    __atomic_store_n(&table[place], n, __ATOMIC_RELEASE);
    if (place >= places)
        __atomic_store_n(&places, place + 1, __ATOMIC_RELEASE);
    return 0;
}

void netif_remove(struct netif *n)
{
    struct netif_addr a;
    __atomic_store_n(&table[n->place], NULL, __ATOMIC_RELEASE);
    netif_set_flags(n, 0);
    while (netif_addr_at(n, 0, &a))
        (void)netif_addr_del(n, &a.addr);
    group_forget(n);
}

void netif_count_stat(uint64_t *stat, uint64_t n)
{
    __atomic_fetch_add(stat, n, __ATOMIC_RELAXED);
}

/* --- frames --- */

void netif_receive(struct netif *n, struct packet *p)
{
    p->netif = n;
    netif_count_stat(&n->stats.rx_packets, 1);
    netif_count_stat(&n->stats.rx_bytes, p->size);
    if ((n->flags & LX_IFF_UP) == 0) {
        netif_count_stat(&n->stats.rx_dropped, 1);
        packet_free(p);
    } else if (n->ethernet) {
        ether_input(p);
    } else {
        ip_input(p);
    }
}

static void send_one(struct netif *n, struct packet *p)
{
    p->netif = n;
    if (!n->tx_csum)
        packet_csum_finish(p);
    netif_count_stat(&n->stats.tx_packets, 1);
    netif_count_stat(&n->stats.tx_bytes, p->size);
    n->ops->send(n, p);
}

void netif_send(struct netif *n, struct packet *p)
{
    if ((n->flags & LX_IFF_UP) == 0) {
        netif_count_stat(&n->stats.tx_dropped, 1);
        packet_free(p);
        return;
    }
    if (p->gso_size != 0 && !gso_fits(n, p))
        gso_segment(n, p, send_one);
    else
        send_one(n, p);
    netif_mark_flush(n);
}

void netif_mark_flush(struct netif *n)
{
    if (n->ops->flush != NULL)
        __atomic_fetch_or(&flush_mask, 1u << n->place, __ATOMIC_RELEASE);
}

void net_flush(void)
{
    /* What comes in at lo may send elsewhere: look again. Bits that are set
     * after that are others', who flush themselves. */
    for (unsigned round = 0; round < 3; round++) {
        if (__atomic_load_n(&flush_mask, __ATOMIC_RELAXED) == 0)
            return;
        uint32_t mask = __atomic_exchange_n(&flush_mask, 0, __ATOMIC_ACQ_REL);
        for (; mask != 0; mask &= mask - 1) {
            struct netif *n =
                __atomic_load_n(&table[__builtin_ctz(mask)], __ATOMIC_ACQUIRE);
            if (n != NULL)
                n->ops->flush(n);
        }
    }
}
