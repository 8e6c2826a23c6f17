// SPDX-License-Identifier: Apache-2.0
/* rtnetlink(7). Source: Linux UAPI linux/{netlink,rtnetlink,if_link,if_addr,
 * neighbour}.h; tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_AF_NETLINK    16
#define LX_NETLINK_ROUTE 0
#define LX_SOL_NETLINK   270

#define LX_NETLINK_ADD_MEMBERSHIP  1
#define LX_NETLINK_DROP_MEMBERSHIP 2
#define LX_NETLINK_GET_STRICT_CHK  12

struct lx_sockaddr_nl {
    uint16_t family;
    uint16_t pad;
    uint32_t pid;
    uint32_t groups;
};
ABI_SIZE(struct lx_sockaddr_nl, 12);

struct lx_nlmsghdr {
    uint32_t size;
    uint16_t type;
    uint16_t flags;
    uint32_t seq;
    uint32_t pid;
};
ABI_SIZE(struct lx_nlmsghdr, 16);

#define LX_NLM_F_REQUEST 0x1u
#define LX_NLM_F_MULTI   0x2u
#define LX_NLM_F_ACK     0x4u
#define LX_NLM_F_REPLACE 0x100u
#define LX_NLM_F_EXCL    0x200u
#define LX_NLM_F_CREATE  0x400u
#define LX_NLM_F_DUMP    0x300u
#define LX_NLMSG_ERROR   2
#define LX_NLMSG_DONE    3

#define LX_RTM_NEWLINK  16
#define LX_RTM_GETLINK  18
#define LX_RTM_SETLINK  19
#define LX_RTM_NEWADDR  20
#define LX_RTM_DELADDR  21
#define LX_RTM_GETADDR  22
#define LX_RTM_NEWROUTE 24
#define LX_RTM_DELROUTE 25
#define LX_RTM_GETROUTE 26
#define LX_RTM_NEWNEIGH 28
#define LX_RTM_DELNEIGH 29
#define LX_RTM_GETNEIGH 30

struct lx_rtattr {
    uint16_t size; /* with this header; the next at NLA_ALIGN */
    uint16_t type;
};
ABI_SIZE(struct lx_rtattr, 4);
#define LX_NLA_ALIGN(n)  (((n) + 3u) & ~3u)
#define LX_NLA_TYPE_MASK 0x3fffu

struct lx_ifinfomsg {
    uint8_t family, pad;
    uint16_t type;
    int32_t index;
    uint32_t flags;
    uint32_t change;
};
ABI_SIZE(struct lx_ifinfomsg, 16);
#define LX_IFLA_ADDRESS   1
#define LX_IFLA_BROADCAST 2
#define LX_IFLA_IFNAME    3
#define LX_IFLA_MTU       4
#define LX_IFLA_QDISC     6
#define LX_IFLA_TXQLEN    13
#define LX_IFLA_OPERSTATE 16
#define LX_IFLA_LINKMODE  17
#define LX_IFLA_STATS64   23
#define LX_IFLA_GROUP     27
#define LX_IFLA_CARRIER   33

struct lx_ifaddrmsg {
    uint8_t family, prefix, flags, scope;
    uint32_t index;
};
ABI_SIZE(struct lx_ifaddrmsg, 8);
#define LX_IFA_ADDRESS         1
#define LX_IFA_LOCAL           2
#define LX_IFA_LABEL           3
#define LX_IFA_BROADCAST       4
#define LX_IFA_CACHEINFO       6
#define LX_IFA_FLAGS           8
#define LX_IFA_F_PERMANENT     0x80u
#define LX_IFA_F_NOPREFIXROUTE 0x200u

struct lx_rtmsg {
    uint8_t family, dst_bits, src_bits, tos;
    uint8_t table, protocol, scope, type;
    uint32_t flags;
};
ABI_SIZE(struct lx_rtmsg, 12);
#define LX_RTA_DST       1
#define LX_RTA_OIF       4
#define LX_RTA_GATEWAY   5
#define LX_RTA_PRIORITY  6
#define LX_RTA_PREFSRC   7
#define LX_RTA_TABLE     15
#define LX_RT_TABLE_MAIN 254
#define LX_RTNH_F_ONLINK 4u /* in flags */

struct lx_ndmsg {
    uint8_t family, pad1;
    uint16_t pad2;
    int32_t index;
    uint16_t state;
    uint8_t flags, type;
};
ABI_SIZE(struct lx_ndmsg, 12);
#define LX_NDA_DST        1
#define LX_NDA_LLADDR     2
#define LX_NUD_INCOMPLETE 0x01u
#define LX_NUD_REACHABLE  0x02u
#define LX_NUD_STALE      0x04u
#define LX_NUD_DELAY      0x08u
#define LX_NUD_PROBE      0x10u
#define LX_NUD_FAILED     0x20u
#define LX_NUD_PERMANENT  0x80u
