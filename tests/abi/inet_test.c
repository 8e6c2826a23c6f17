// SPDX-License-Identifier: Apache-2.0
/* Our Internet, interface and netlink structs and numbers against the headers
 * of the building machine. */
#define _GNU_SOURCE
#include "abi/linux/inet.h"

#include <assert.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "abi/linux/netdev.h"
#include "abi/linux/netlink.h"

#define SAME(ours, theirs, member, their_member)                               \
    static_assert(offsetof(struct ours, member) ==                             \
                          offsetof(struct theirs, their_member) &&             \
                      sizeof(((struct ours *)0)->member) ==                    \
                          sizeof(((struct theirs *)0)->their_member),          \
                  #ours "." #member)
#define SIZE(ours, theirs)                                                     \
    static_assert(sizeof(struct ours) == sizeof(struct theirs), #ours)
#define VALUE(name) static_assert(LX_##name == name, #name)

SIZE(lx_sockaddr_in, sockaddr_in);
SAME(lx_sockaddr_in, sockaddr_in, addr, sin_addr);
SIZE(lx_sockaddr_in6, sockaddr_in6);
SAME(lx_sockaddr_in6, sockaddr_in6, addr, sin6_addr);
SAME(lx_sockaddr_in6, sockaddr_in6, scope_id, sin6_scope_id);
SIZE(lx_in_pktinfo, in_pktinfo);
SAME(lx_in_pktinfo, in_pktinfo, spec_dst, ipi_spec_dst);
SIZE(lx_in6_pktinfo, in6_pktinfo);
SIZE(lx_ip_mreqn, ip_mreqn);
SAME(lx_ip_mreqn, ip_mreqn, ifindex, imr_ifindex);
SIZE(lx_ipv6_mreq, ipv6_mreq);
SIZE(lx_group_req, group_req);
SAME(lx_group_req, group_req, group, gr_group);
SIZE(lx_ifreq, ifreq);
SIZE(lx_ifconf, ifconf);
SIZE(lx_rtentry, rtentry);
SAME(lx_rtentry, rtentry, gateway, rt_gateway);
SAME(lx_rtentry, rtentry, flags, rt_flags);
SAME(lx_rtentry, rtentry, metric, rt_metric);
SAME(lx_rtentry, rtentry, dev, rt_dev);
SAME(lx_rtentry, rtentry, mtu, rt_mtu);
SIZE(lx_sockaddr_nl, sockaddr_nl);
SIZE(lx_nlmsghdr, nlmsghdr);
SIZE(lx_rtattr, rtattr);
SIZE(lx_ifinfomsg, ifinfomsg);
SAME(lx_ifinfomsg, ifinfomsg, change, ifi_change);
SIZE(lx_ifaddrmsg, ifaddrmsg);
SIZE(lx_rtmsg, rtmsg);
SAME(lx_rtmsg, rtmsg, table, rtm_table);
SAME(lx_rtmsg, rtmsg, type, rtm_type);
SIZE(lx_ndmsg, ndmsg);
SAME(lx_ndmsg, ndmsg, state, ndm_state);

VALUE(IP_TOS);
VALUE(IP_TTL);
VALUE(IP_HDRINCL);
VALUE(IP_PKTINFO);
VALUE(IP_MTU_DISCOVER);
VALUE(IP_RECVERR);
VALUE(IP_MTU);
VALUE(IP_MINTTL);
VALUE(IP_BIND_ADDRESS_NO_PORT);
VALUE(IP_RECVFRAGSIZE);
VALUE(IP_MULTICAST_IF);
VALUE(IP_MULTICAST_ALL);
VALUE(IP_ADD_MEMBERSHIP);
VALUE(MCAST_JOIN_GROUP);
VALUE(MCAST_LEAVE_GROUP);
VALUE(IPV6_UNICAST_HOPS);
VALUE(IPV6_MULTICAST_IF);
VALUE(IPV6_JOIN_GROUP);
VALUE(IPV6_MTU_DISCOVER);
VALUE(IPV6_RECVPKTINFO);
VALUE(IPV6_HOPLIMIT);
VALUE(IPV6_TCLASS);
VALUE(IPV6_DONTFRAG);
VALUE(IPV6_V6ONLY);
VALUE(IPV6_FREEBIND);
VALUE(UDP_SEGMENT);
VALUE(UDP_GRO);
VALUE(IFF_UP);
VALUE(IFF_RUNNING);
VALUE(IFF_MULTICAST);
VALUE(ARPHRD_LOOPBACK);
VALUE(SIOCADDRT);
VALUE(SIOCGIFCONF);
VALUE(SIOCGIFHWADDR);
VALUE(SIOCGIFINDEX);
VALUE(SIOCGIFTXQLEN);
VALUE(RTF_GATEWAY);
VALUE(NLM_F_DUMP);
VALUE(NLMSG_DONE);
VALUE(RTM_NEWADDR);
VALUE(RTM_GETROUTE);
VALUE(RTM_DELNEIGH);
VALUE(IFLA_TXQLEN);
VALUE(IFLA_OPERSTATE);
VALUE(IFLA_STATS64);
VALUE(IFLA_CARRIER);
VALUE(IFA_FLAGS);
VALUE(IFA_F_NOPREFIXROUTE);
VALUE(RTNH_F_ONLINK);
VALUE(IFA_CACHEINFO);
VALUE(RTA_PREFSRC);
VALUE(RTA_TABLE);
VALUE(NUD_PERMANENT);
VALUE(NDA_LLADDR);
VALUE(RT_SCOPE_HOST);
VALUE(RTPROT_BOOT);

int main(void)
{
    return 0;
}
