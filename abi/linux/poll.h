// SPDX-License-Identifier: Apache-2.0
/* poll, select, epoll, eventfd, timerfd, signalfd. Source: Linux UAPI
 * asm-generic/poll.h, linux/eventpoll.h, linux/timerfd.h, linux/signalfd.h. */
#pragma once

#include "abi/abi.h"

struct lx_pollfd {
    int32_t fd;
    uint16_t events;
    uint16_t revents;
};
ABI_SIZE(struct lx_pollfd, 8);

#if defined(__x86_64__)
struct lx_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
ABI_SIZE(struct lx_epoll_event, 12);
#else
struct lx_epoll_event {
    uint32_t events;
    uint32_t pad0;
    uint64_t data;
};
ABI_SIZE(struct lx_epoll_event, 16);
#endif

#define LX_EPOLL_CTL_ADD  1
#define LX_EPOLL_CTL_DEL  2
#define LX_EPOLL_CTL_MOD  3
#define LX_EPOLLEXCLUSIVE (UINT32_C(1) << 28)
#define LX_EPOLLWAKEUP    (UINT32_C(1) << 29)
#define LX_EPOLLONESHOT   (UINT32_C(1) << 30)
#define LX_EPOLLET        (UINT32_C(1) << 31)
#define LX_EPOLL_CLOEXEC  02000000u

#define LX_EFD_SEMAPHORE 1u
#define LX_EFD_CLOEXEC   02000000u
#define LX_EFD_NONBLOCK  04000u

#define LX_TFD_TIMER_ABSTIME       1u
#define LX_TFD_TIMER_CANCEL_ON_SET 2u
#define LX_TFD_CLOEXEC             02000000u
#define LX_TFD_NONBLOCK            04000u
#define LX_TFD_IOC_SET_TICKS       0x40085400u

#define LX_SFD_CLOEXEC  02000000u
#define LX_SFD_NONBLOCK 04000u

struct lx_signalfd_siginfo {
    uint32_t signo;
    int32_t err;
    int32_t code;
    uint32_t pid;
    uint32_t uid;
    int32_t fd;
    uint32_t tid;
    uint32_t band;
    uint32_t overrun;
    uint32_t trapno;
    int32_t status;
    int32_t value_int;
    uint64_t value_ptr;
    uint64_t utime;
    uint64_t stime;
    uint64_t addr;
    uint16_t addr_lsb;
    uint16_t pad2;
    int32_t syscall;
    uint64_t call_addr;
    uint32_t arch;
    uint8_t pad[28];
};
ABI_SIZE(struct lx_signalfd_siginfo, 128);
ABI_AT(struct lx_signalfd_siginfo, value_ptr, 48);
ABI_AT(struct lx_signalfd_siginfo, addr, 72);
