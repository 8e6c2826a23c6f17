// SPDX-License-Identifier: Apache-2.0
/* /proc/sys/net: what this network does; few of it can be changed. */
#include "abi/linux/errno.h"
#include "abi/linux/socket.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/fs/procfs.h"
#include "guest/net/inet_impl.h"
#include "guest/net/socket.h"

#define NET_VALUE(fn, fmt, value)                                              \
    static int fn(struct text *t, const struct pseudo_ref *r)                  \
    {                                                                          \
        (void)r;                                                               \
        text_printf(t, fmt "\n", (value));                                     \
        return 0;                                                              \
    }

NET_VALUE(show_somaxconn, "%u", (unsigned)SOMAXCONN)
NET_VALUE(show_socket_buffer, "%u", SOCKET_BUFFER)
NET_VALUE(show_optmem_max, "%u", 131072u)
NET_VALUE(show_dgram_max, "%u", 10u)
NET_VALUE(show_backlog, "%u", 8192u)
NET_VALUE(show_zero, "%u", 0u)
NET_VALUE(show_one, "%u", 1u)
NET_VALUE(show_ttl, "%u", 64u)
NET_VALUE(show_ping_range, "%s", "0\t2147483647")
NET_VALUE(show_unprivileged, "%u", (unsigned)inet_unprivileged_port)
NET_VALUE(show_memberships, "%u", 20u)
NET_VALUE(show_frag_time, "%u", 30u)
NET_VALUE(show_frag6_time, "%u", 60u)
NET_VALUE(show_frag_high, "%u", 1u << 20)
NET_VALUE(show_cubic, "%s", "cubic")

static int show_port_range(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%u\t%u\n", (unsigned)inet_port_first,
                (unsigned)inet_port_last);
    return 0;
}

/* A number of at most 65535 at *s, which moves behind it; -1: none. */
static int32_t take_port(const char **s)
{
    uint32_t v = 0;
    const char *at = *s;
    while (*at == ' ' || *at == '\t')
        at++;
    const char *first = at;
    while (*at >= '0' && *at <= '9' && v <= 65535)
        v = v * 10 + (uint32_t)(*at++ - '0');
    *s = at;
    return at == first || v > 65535 ? -1 : (int32_t)v;
}

static bool at_end(const char *s)
{
    return *s == '\0' || (*s == '\n' && s[1] == '\0');
}

static int store_port_range(const struct pseudo_ref *r, const char *data,
                            size_t n)
{
    (void)r;
    (void)n;
    if (!cred_capable(current()->proc, LX_CAP_NET_ADMIN))
        return -EPERM;
    int32_t first = take_port(&data), last = take_port(&data);
    if (first < 1 || last < first || !at_end(data))
        return -EINVAL;
    inet_port_first = (uint16_t)first;
    inet_port_last = (uint16_t)last;
    return 0;
}

static int store_unprivileged(const struct pseudo_ref *r, const char *data,
                              size_t n)
{
    (void)r;
    (void)n;
    if (!cred_capable(current()->proc, LX_CAP_NET_ADMIN))
        return -EPERM;
    int32_t v = take_port(&data);
    if (v < 0 || !at_end(data))
        return -EINVAL;
    inet_unprivileged_port = (uint16_t)v;
    return 0;
}

static const struct pseudo_node core_nodes[] = {
    PROC_REG("somaxconn", 0444, show_somaxconn),
    PROC_REG("rmem_default", 0444, show_socket_buffer),
    PROC_REG("rmem_max", 0444, show_socket_buffer),
    PROC_REG("wmem_default", 0444, show_socket_buffer),
    PROC_REG("wmem_max", 0444, show_socket_buffer),
    PROC_REG("optmem_max", 0444, show_optmem_max),
    PROC_REG("netdev_max_backlog", 0444, show_backlog),
};
static const struct pseudo_dir core_dir = PSEUDO_DIR(core_nodes);

static const struct pseudo_node ipv4_nodes[] = {
    {.name = "ip_local_port_range",
     .mode = LX_S_IFREG | 0644,
     .show = show_port_range,
     .store = store_port_range},
    {.name = "ip_unprivileged_port_start",
     .mode = LX_S_IFREG | 0644,
     .show = show_unprivileged,
     .store = store_unprivileged},
    PROC_REG("ip_forward", 0444, show_zero),
    PROC_REG("ip_default_ttl", 0444, show_ttl),
    PROC_REG("ip_nonlocal_bind", 0444, show_zero),
    PROC_REG("ping_group_range", 0444, show_ping_range),
    PROC_REG("icmp_echo_ignore_all", 0444, show_zero),
    PROC_REG("icmp_echo_ignore_broadcasts", 0444, show_one),
    PROC_REG("igmp_max_memberships", 0444, show_memberships),
    PROC_REG("ipfrag_time", 0444, show_frag_time),
    PROC_REG("ipfrag_high_thresh", 0444, show_frag_high),
    PROC_REG("tcp_congestion_control", 0444, show_cubic),
    PROC_REG("tcp_available_congestion_control", 0444, show_cubic),
};
static const struct pseudo_dir ipv4_dir = PSEUDO_DIR(ipv4_nodes);

static const struct pseudo_node conf6_nodes[] = {
    PROC_REG("disable_ipv6", 0444, show_zero),
    PROC_REG("accept_ra", 0444, show_zero),
    PROC_REG("accept_redirects", 0444, show_zero),
    PROC_REG("forwarding", 0444, show_zero),
    PROC_REG("hop_limit", 0444, show_ttl),
};
static const struct pseudo_dir conf6_dir = PSEUDO_DIR(conf6_nodes);
static const struct pseudo_node confs6_nodes[] = {
    PROC_DIR("all", 0555, &conf6_dir),
    PROC_DIR("default", 0555, &conf6_dir),
    PROC_DIR("lo", 0555, &conf6_dir),
};
static const struct pseudo_dir confs6_dir = PSEUDO_DIR(confs6_nodes);
static const struct pseudo_node ipv6_nodes[] = {
    PROC_REG("bindv6only", 0444, show_zero),
    PROC_REG("ip_nonlocal_bind", 0444, show_zero),
    PROC_REG("ip6frag_time", 0444, show_frag6_time),
    PROC_REG("ip6frag_high_thresh", 0444, show_frag_high),
    PROC_DIR("conf", 0555, &confs6_dir),
};
static const struct pseudo_dir ipv6_dir = PSEUDO_DIR(ipv6_nodes);

static const struct pseudo_node unix_nodes[] = {
    PROC_REG("max_dgram_qlen", 0444, show_dgram_max),
};
static const struct pseudo_dir unix_dir = PSEUDO_DIR(unix_nodes);

static const struct pseudo_node net_nodes[] = {
    PROC_DIR("core", 0555, &core_dir),
    PROC_DIR("unix", 0555, &unix_dir),
    PROC_DIR("ipv4", 0555, &ipv4_dir),
    PROC_DIR("ipv6", 0555, &ipv6_dir),
};
const struct pseudo_dir proc_sys_net_dir = PSEUDO_DIR(net_nodes);
