// SPDX-License-Identifier: Apache-2.0
/* Interfaces: the table, input and output. */
#include "guest/net/netif.h"

#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/ip.h"
#include "guest/net/lo.h"

/* Interfaces never leave, and are added before programs run: no lock. */
static struct netif *table[NETIF_MAX] = {&lo_netif};
static unsigned count = 1;  /* release: entries below are there */
static uint32_t flush_mask; /* atomic: bit i: table[i] wants a flush */

unsigned netif_count(void)
{
    return __atomic_load_n(&count, __ATOMIC_ACQUIRE);
}

struct netif *netif_at(unsigned i)
{
    return i < netif_count() ? table[i] : NULL;
}

struct netif *netif_find(uint32_t index)
{
    return index == 0 ? NULL : netif_at(index - 1);
}

struct netif *netif_by_name(const char *name)
{
    for (unsigned i = 0; i < netif_count(); i++) {
        if (strncmp(table[i]->name, name, NETIF_NAME_SIZE) == 0)
            return table[i];
    }
    return NULL;
}

int netif_add(struct netif *n)
{
    int r = net_start();
    if (r < 0)
        return r;
    if (count == NETIF_MAX)
        return -ENOSPC;
    n->index = count + 1;
    if (n->name[0] == '\0')
        (void)ksnprintf(n->name, sizeof(n->name), "eth%u", count - 1);
    table[count] = n;
    __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
    return 0;
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
        __atomic_fetch_or(&flush_mask, 1u << (n->index - 1), __ATOMIC_RELEASE);
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
            struct netif *n = table[__builtin_ctz(mask)];
            n->ops->flush(n);
        }
    }
}
