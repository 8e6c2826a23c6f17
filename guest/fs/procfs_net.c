// SPDX-License-Identifier: Apache-2.0
/* /proc/net: connections and what carries them. */
#include "abi/linux/stat.h"

#include "guest/fs/procfs.h"
#include "guest/net/show.h"
#include "guest/net/tcp.h"
#include "guest/net/unix.h"

static const struct pseudo_node net_nodes[] = {
    PROC_REG("dev", 0444, net_show_dev),
    PROC_REG("tcp", 0444, tcp_show),
    PROC_REG("tcp6", 0444, tcp6_show),
    PROC_REG("udp", 0444, net_show_udp),
    PROC_REG("udp6", 0444, net_show_udp6),
    PROC_REG("unix", 0444, unix_show),
    PROC_REG("route", 0444, net_show_route),
    PROC_REG("ipv6_route", 0444, net_show_route6),
    PROC_REG("if_inet6", 0444, net_show_if_inet6),
    PROC_REG("arp", 0444, net_show_arp),
    PROC_REG("igmp", 0444, net_show_igmp),
    PROC_REG("snmp", 0444, net_show_snmp),
};
const struct pseudo_dir proc_net_dir = PSEUDO_DIR(net_nodes);
