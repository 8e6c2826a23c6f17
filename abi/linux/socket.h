// SPDX-License-Identifier: Apache-2.0
/* Sockets. Source: Linux linux/socket.h, UAPI linux/{un,sockios}.h,
 * asm-generic/socket.h; tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_AF_UNSPEC 0
#define LX_AF_UNIX   1
#define LX_AF_MAX    46

#define LX_SOCK_STREAM    1
#define LX_SOCK_DGRAM     2
#define LX_SOCK_RAW       3
#define LX_SOCK_SEQPACKET 5
#define LX_SOCK_MAX       11
#define LX_SOCK_TYPE_MASK 0xfu
#define LX_SOCK_NONBLOCK  04000u
#define LX_SOCK_CLOEXEC   02000000u

#define LX_SOL_SOCKET 1

#define LX_SO_DEBUG         1
#define LX_SO_REUSEADDR     2
#define LX_SO_TYPE          3
#define LX_SO_ERROR         4
#define LX_SO_DONTROUTE     5
#define LX_SO_BROADCAST     6
#define LX_SO_SNDBUF        7
#define LX_SO_RCVBUF        8
#define LX_SO_KEEPALIVE     9
#define LX_SO_OOBINLINE     10
#define LX_SO_PRIORITY      12
#define LX_SO_LINGER        13
#define LX_SO_REUSEPORT     15
#define LX_SO_PASSCRED      16
#define LX_SO_PEERCRED      17
#define LX_SO_RCVLOWAT      18
#define LX_SO_SNDLOWAT      19
#define LX_SO_RCVTIMEO      20
#define LX_SO_SNDTIMEO      21
#define LX_SO_BINDTODEVICE  25
#define LX_SO_PEERNAME      28
#define LX_SO_TIMESTAMP     29
#define LX_SO_ACCEPTCONN    30
#define LX_SO_SNDBUFFORCE   32
#define LX_SO_RCVBUFFORCE   33
#define LX_SO_TIMESTAMPNS   35
#define LX_SO_MARK          36
#define LX_SO_PROTOCOL      38
#define LX_SO_DOMAIN        39
#define LX_SO_PEEK_OFF      42
#define LX_SO_PEERGROUPS    59
#define LX_SO_BINDTOIFINDEX 62
#define LX_SO_RCVTIMEO_NEW  66
#define LX_SO_SNDTIMEO_NEW  67

#define LX_MSG_OOB          0x1u
#define LX_MSG_PEEK         0x2u
#define LX_MSG_CTRUNC       0x8u
#define LX_MSG_TRUNC        0x20u
#define LX_MSG_DONTWAIT     0x40u
#define LX_MSG_WAITALL      0x100u
#define LX_MSG_ERRQUEUE     0x2000u
#define LX_MSG_NOSIGNAL     0x4000u
#define LX_MSG_MORE         0x8000u
#define LX_MSG_WAITFORONE   0x10000u
#define LX_MSG_FASTOPEN     0x20000000u
#define LX_MSG_CMSG_CLOEXEC 0x40000000u

#define LX_SCM_RIGHTS      1
#define LX_SCM_CREDENTIALS 2
#define LX_SCM_MAX_FD      253

#define LX_SHUT_RD   0
#define LX_SHUT_WR   1
#define LX_SHUT_RDWR 2

#define LX_SIOCINQ    0x541bu
#define LX_SIOCOUTQ   0x5411u
#define LX_SIOCATMARK 0x8905u

struct lx_sockaddr_un {
    uint16_t family;
    char path[108];
};
ABI_SIZE(struct lx_sockaddr_un, 110);

struct lx_msghdr {
    uint64_t name;
    int32_t name_size;
    uint32_t pad0;
    uint64_t iov;
    uint64_t iov_count;
    uint64_t control;
    uint64_t control_size;
    uint32_t flags;
    uint32_t pad1;
};
ABI_SIZE(struct lx_msghdr, 56);

struct lx_mmsghdr {
    struct lx_msghdr hdr;
    uint32_t size;
    uint32_t pad0;
};
ABI_SIZE(struct lx_mmsghdr, 64);

struct lx_cmsghdr {
    uint64_t size; /* with this header */
    int32_t level;
    int32_t type;
};
ABI_SIZE(struct lx_cmsghdr, 16);
#define LX_CMSG_ALIGN(n) (((n) + 7) & ~UINT64_C(7))

struct lx_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
ABI_SIZE(struct lx_ucred, 12);

struct lx_linger {
    int32_t on;
    int32_t seconds;
};
ABI_SIZE(struct lx_linger, 8);

#define LX_CAP_SETGID    6
#define LX_CAP_SETUID    7
#define LX_CAP_NET_ADMIN 12
