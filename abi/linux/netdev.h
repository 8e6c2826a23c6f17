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
