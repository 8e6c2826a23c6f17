// SPDX-License-Identifier: Apache-2.0
/* Interfaces as programs see them. Source: Linux UAPI linux/{if,rtnetlink,
 * sockios,route,if_arp}.h; tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_IFF_UP          0x1u
#define LX_IFF_BROADCAST   0x2u
#define LX_IFF_LOOPBACK    0x8u
#define LX_IFF_POINTOPOINT 0x10u
#define LX_IFF_RUNNING     0x40u
#define LX_IFF_NOARP       0x80u
#define LX_IFF_PROMISC     0x100u
#define LX_IFF_ALLMULTI    0x200u
#define LX_IFF_MULTICAST   0x1000u
#define LX_IFF_LOWER_UP    0x10000u

#define LX_ARPHRD_ETHER    1
#define LX_ARPHRD_LOOPBACK 772

#define LX_RT_SCOPE_UNIVERSE 0
#define LX_RT_SCOPE_SITE     200
#define LX_RT_SCOPE_LINK     253
#define LX_RT_SCOPE_HOST     254
#define LX_RT_SCOPE_NOWHERE  255

#define LX_RTPROT_KERNEL 2
#define LX_RTPROT_BOOT   3
#define LX_RTPROT_STATIC 4

#define LX_RTN_UNICAST 1
#define LX_RTN_LOCAL   2

#define LX_SIOCADDRT      0x890bu
#define LX_SIOCDELRT      0x890cu
#define LX_SIOCGIFNAME    0x8910u
#define LX_SIOCGIFCONF    0x8912u
#define LX_SIOCGIFFLAGS   0x8913u
#define LX_SIOCSIFFLAGS   0x8914u
#define LX_SIOCGIFADDR    0x8915u
#define LX_SIOCSIFADDR    0x8916u
#define LX_SIOCGIFDSTADDR 0x8917u
#define LX_SIOCGIFBRDADDR 0x8919u
#define LX_SIOCSIFBRDADDR 0x891au
#define LX_SIOCGIFNETMASK 0x891bu
#define LX_SIOCSIFNETMASK 0x891cu
#define LX_SIOCGIFMETRIC  0x891du
#define LX_SIOCGIFMTU     0x8921u
#define LX_SIOCSIFMTU     0x8922u
#define LX_SIOCGIFHWADDR  0x8927u
#define LX_SIOCGIFINDEX   0x8933u
#define LX_SIOCGIFTXQLEN  0x8942u

struct lx_ifreq {
    char name[16];
    uint8_t data[24];
};
ABI_SIZE(struct lx_ifreq, 40);

struct lx_ifconf {
    int32_t size;
    uint32_t pad0;
    uint64_t buffer;
};
ABI_SIZE(struct lx_ifconf, 16);

struct lx_rtentry {
    uint64_t pad1;
    uint8_t dst[16], gateway[16], mask[16];
    uint16_t flags;
    uint16_t pad2;
    uint32_t pad3;
    uint64_t pad4, pad5;
    int16_t metric;
    uint16_t pad6;
    uint32_t pad7;
    uint64_t dev;
    uint64_t mtu, window;
    uint16_t irtt;
    uint16_t pad8;
    uint32_t pad9;
};
ABI_SIZE(struct lx_rtentry, 120);
#define LX_RTF_UP      0x1u
#define LX_RTF_GATEWAY 0x2u
#define LX_RTF_HOST    0x4u
