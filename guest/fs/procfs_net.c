// SPDX-License-Identifier: Apache-2.0
/* /proc/net: of networks there are headings only yet. */
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/fs/procfs.h"
#include "guest/net/tcp.h"
#include "guest/net/unix.h"

#define NET_HEADING(fn, heading)                                               \
    static int fn(struct text *t, const struct pseudo_ref *r)                  \
    {                                                                          \
        (void)r;                                                               \
        text_add(t, (heading), strlen(heading));                               \
        return 0;                                                              \
    }

NET_HEADING(show_dev,
            "Inter-|   Receive                                                "
            "|  Transmit\n"
            " face |bytes    packets errs drop fifo frame compressed multicast"
            "|bytes    packets errs drop fifo colls carrier compressed\n")
NET_HEADING(
    show_tcp,
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
    "retrnsmt   uid  timeout inode\n")
NET_HEADING(
    show_tcp6,
    "  sl  local_address                         remote_address         "
    "               st tx_queue rx_queue tr tm->when retrnsmt   uid  "
    "timeout inode\n")
NET_HEADING(show_route,
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
            "MTU\tWindow\tIRTT\n")
NET_HEADING(show_if_inet6, "")

static const struct pseudo_node net_nodes[] = {
    PROC_REG("dev", 0444, show_dev),
    PROC_REG("tcp", 0444, tcp_show),
    PROC_REG("tcp6", 0444, tcp6_show),
    PROC_REG("udp", 0444, show_tcp),
    PROC_REG("udp6", 0444, show_tcp6),
    PROC_REG("unix", 0444, unix_show),
    PROC_REG("route", 0444, show_route),
    PROC_REG("if_inet6", 0444, show_if_inet6),
};
const struct pseudo_dir proc_net_dir = PSEUDO_DIR(net_nodes);
