// SPDX-License-Identifier: Apache-2.0
/* /sys/class/net: a directory per interface. */
#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/fs/procfs.h"
#include "guest/fs/sysfs.h"
#include "guest/net/netif.h"

typedef unsigned long ul;

/* r->arg: its index; it may have gone. */
#define NET_FILE(fn, fmt, value)                                               \
    static int fn(struct text *t, const struct pseudo_ref *r)                  \
    {                                                                          \
        const struct netif *n = netif_find((uint32_t)r->arg);                  \
        if (n == NULL)                                                         \
            return -ENODEV;                                                    \
        text_printf(t, fmt "\n", (value));                                     \
        return 0;                                                              \
    }

NET_FILE(show_index, "%u", n->index)
NET_FILE(show_mtu, "%u", n->mtu)
NET_FILE(show_flags, "0x%x", n->flags & 0xffffu)
NET_FILE(show_type, "%u",
         (unsigned)(n->ethernet ? LX_ARPHRD_ETHER : LX_ARPHRD_LOOPBACK))
NET_FILE(show_carrier, "%u", (n->flags & LX_IFF_UP) != 0)
NET_FILE(show_operstate, "%s",
         !n->ethernet                  ? "unknown"
         : (n->flags & LX_IFF_UP) != 0 ? "up"
                                       : "down")
NET_FILE(show_rx_bytes, "%lu", (ul)n->stats.rx_bytes)
NET_FILE(show_rx_packets, "%lu", (ul)n->stats.rx_packets)
NET_FILE(show_rx_errors, "%lu", (ul)n->stats.rx_errors)
NET_FILE(show_rx_dropped, "%lu", (ul)n->stats.rx_dropped)
NET_FILE(show_multicast, "%lu", (ul)n->stats.multicast)
NET_FILE(show_tx_bytes, "%lu", (ul)n->stats.tx_bytes)
NET_FILE(show_tx_packets, "%lu", (ul)n->stats.tx_packets)
NET_FILE(show_tx_errors, "%lu", (ul)n->stats.tx_errors)
NET_FILE(show_tx_dropped, "%lu", (ul)n->stats.tx_dropped)

static int show_address(struct text *t, const struct pseudo_ref *r)
{
    const struct netif *n = netif_find((uint32_t)r->arg);
    if (n == NULL)
        return -ENODEV;
    const uint8_t *m = n->mac;
    text_printf(t, "%02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3],
                m[4], m[5]);
    return 0;
}

static int show_txqlen(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "1000\n");
    return 0;
}

static const struct pseudo_node statistics_nodes[] = {
    PROC_REG("rx_bytes", 0444, show_rx_bytes),
    PROC_REG("rx_packets", 0444, show_rx_packets),
    PROC_REG("rx_errors", 0444, show_rx_errors),
    PROC_REG("rx_dropped", 0444, show_rx_dropped),
    PROC_REG("multicast", 0444, show_multicast),
    PROC_REG("tx_bytes", 0444, show_tx_bytes),
    PROC_REG("tx_packets", 0444, show_tx_packets),
    PROC_REG("tx_errors", 0444, show_tx_errors),
    PROC_REG("tx_dropped", 0444, show_tx_dropped),
};
static const struct pseudo_dir statistics_dir = PSEUDO_DIR(statistics_nodes);

static const struct pseudo_node netif_nodes[] = {
    PROC_REG("address", 0444, show_address),
    PROC_REG("carrier", 0444, show_carrier),
    PROC_REG("flags", 0444, show_flags),
    PROC_REG("ifindex", 0444, show_index),
    PROC_REG("mtu", 0444, show_mtu),
    PROC_REG("operstate", 0444, show_operstate),
    PROC_REG("tx_queue_len", 0444, show_txqlen),
    PROC_REG("type", 0444, show_type),
    PROC_DIR("statistics", 0555, &statistics_dir),
};
static const struct pseudo_dir netif_dir = PSEUDO_DIR(netif_nodes);
static const struct pseudo_node netif_node = PROC_DIR("if", 0555, &netif_dir);

static const struct pseudo_node *
net_find(const struct pseudo_ref *r, const char *name, struct pseudo_ref *child)
{
    const struct netif *n = netif_by_name(name);
    (void)r;
    if (n == NULL)
        return NULL;
    *child = (struct pseudo_ref){.arg = n->index};
    return &netif_node;
}

static bool net_next(const struct pseudo_ref *r, uint64_t *cursor,
                     char name[24])
{
    unsigned at = (unsigned)MIN(*cursor, (uint64_t)NETIF_MAX);
    const struct netif *n = netif_next(&at);
    (void)r;
    if (n == NULL)
        return false;
    (void)kstrcpy(name, n->name, 24);
    *cursor = at;
    return true;
}

static const struct pseudo_dir net_dir = {
    .find = net_find,
    .next = net_next,
    .next_mode = LX_S_IFDIR,
};
static const struct pseudo_node class_nodes[] = {
    PROC_DIR("net", 0555, &net_dir),
};
const struct pseudo_dir sysfs_class_dir = PSEUDO_DIR(class_nodes);
