// SPDX-License-Identifier: Apache-2.0
/* Internet sockets. Source: Linux UAPI linux/{in,in6,udp,ipv6,errqueue}.h;
 * tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_AF_INET  2
#define LX_AF_INET6 10

#define LX_IPPROTO_IP     0
#define LX_IPPROTO_ICMP   1
#define LX_IPPROTO_IGMP   2
#define LX_IPPROTO_TCP    6
#define LX_IPPROTO_UDP    17
#define LX_IPPROTO_IPV6   41
#define LX_IPPROTO_ICMPV6 58
#define LX_IPPROTO_RAW    255
#define LX_IPPROTO_MAX    263

#define LX_IP_TOS                  1
#define LX_IP_TTL                  2
#define LX_IP_HDRINCL              3
#define LX_IP_OPTIONS              4
#define LX_IP_RECVOPTS             6
#define LX_IP_PKTINFO              8
#define LX_IP_MTU_DISCOVER         10
#define LX_IP_RECVERR              11
#define LX_IP_RECVTTL              12
#define LX_IP_RECVTOS              13
#define LX_IP_MTU                  14
#define LX_IP_FREEBIND             15
#define LX_IP_TRANSPARENT          19
#define LX_IP_RECVORIGDSTADDR      20
#define LX_IP_MINTTL               21
#define LX_IP_BIND_ADDRESS_NO_PORT 24
#define LX_IP_RECVFRAGSIZE         25
#define LX_IP_RECVERR_RFC4884      26
#define LX_IP_MULTICAST_IF         32
#define LX_IP_MULTICAST_TTL        33
#define LX_IP_MULTICAST_LOOP       34
#define LX_IP_ADD_MEMBERSHIP       35
#define LX_IP_DROP_MEMBERSHIP      36
#define LX_MCAST_JOIN_GROUP        42
#define LX_MCAST_LEAVE_GROUP       45
#define LX_IP_MULTICAST_ALL        49
#define LX_IP_UNICAST_IF           50

#define LX_IPV6_ADDRFORM       1
#define LX_IPV6_CHECKSUM       7
#define LX_IPV6_2292HOPLIMIT   8
#define LX_IPV6_UNICAST_HOPS   16
#define LX_IPV6_MULTICAST_IF   17
#define LX_IPV6_MULTICAST_HOPS 18
#define LX_IPV6_MULTICAST_LOOP 19
#define LX_IPV6_JOIN_GROUP     20
#define LX_IPV6_LEAVE_GROUP    21
#define LX_IPV6_MTU_DISCOVER   23
#define LX_IPV6_MTU            24
#define LX_IPV6_RECVERR        25
#define LX_IPV6_V6ONLY         26
#define LX_IPV6_RECVPKTINFO    49
#define LX_IPV6_PKTINFO        50
#define LX_IPV6_RECVHOPLIMIT   51
#define LX_IPV6_HOPLIMIT       52
#define LX_IPV6_RECVTCLASS     66
#define LX_IPV6_TCLASS         67
#define LX_IPV6_AUTOFLOWLABEL  70
#define LX_IPV6_DONTFRAG       62
#define LX_IPV6_FREEBIND       78

#define LX_IP_PMTUDISC_DONT  0
#define LX_IP_PMTUDISC_WANT  1
#define LX_IP_PMTUDISC_DO    2
#define LX_IP_PMTUDISC_PROBE 3

#define LX_UDP_CORK    1
#define LX_UDP_SEGMENT 103
#define LX_UDP_GRO     104

struct lx_sockaddr_in {
    uint16_t family;
    uint16_t port; /* network order, as addresses are */
    uint32_t addr;
    uint8_t zero[8];
};
ABI_SIZE(struct lx_sockaddr_in, 16);

struct lx_sockaddr_in6 {
    uint16_t family;
    uint16_t port;
    uint32_t flowinfo;
    uint8_t addr[16];
    uint32_t scope_id;
};
ABI_SIZE(struct lx_sockaddr_in6, 28);
#define LX_SIN6_LEN_RFC2133 24

struct lx_in_pktinfo {
    int32_t ifindex;
    uint32_t spec_dst;
    uint32_t addr;
};
ABI_SIZE(struct lx_in_pktinfo, 12);

struct lx_in6_pktinfo {
    uint8_t addr[16];
    int32_t ifindex;
};
ABI_SIZE(struct lx_in6_pktinfo, 20);

struct lx_ip_mreqn { /* without ifindex: ip_mreq; only group: in_addr */
    uint32_t group;
    uint32_t addr;
    int32_t ifindex;
};
ABI_SIZE(struct lx_ip_mreqn, 12);

struct lx_ipv6_mreq {
    uint8_t group[16];
    int32_t ifindex;
};
ABI_SIZE(struct lx_ipv6_mreq, 20);

struct lx_group_req {
    uint32_t interface;
    uint32_t pad0;
    uint8_t group[128]; /* sockaddr_in, sockaddr_in6 */
};
ABI_SIZE(struct lx_group_req, 136);

struct lx_sock_extended_err {
    uint32_t err;
    uint8_t origin;
    uint8_t type;
    uint8_t code;
    uint8_t pad;
    uint32_t info;
    uint32_t data;
};
ABI_SIZE(struct lx_sock_extended_err, 16);
#define LX_SO_EE_ORIGIN_LOCAL 1
#define LX_SO_EE_ORIGIN_ICMP  2
#define LX_SO_EE_ORIGIN_ICMP6 3

#define LX_CAP_NET_BIND_SERVICE 10
#define LX_CAP_NET_RAW          13
