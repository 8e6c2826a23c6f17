// SPDX-License-Identifier: Apache-2.0
/* System calls of waiting for events: X(name). */
#pragma once

#include "guest/sys/sys.h"

/* clang-format off */
#define SYS_CALLS_DEV(X) \
    X(ppoll) X(pselect6) \
    X(epoll_create1) X(epoll_ctl) X(epoll_pwait) X(epoll_pwait2) \
    X(eventfd2) X(timerfd_create) X(timerfd_settime) X(timerfd_gettime) \
    X(signalfd4) X(inotify_init1) X(inotify_add_watch) X(inotify_rm_watch)

#define SYS_CALLS_DEV_LEGACY(X) \
    X(poll) X(select) X(epoll_create) X(epoll_wait) X(eventfd) X(signalfd) X(inotify_init)
/* clang-format on */

SYS_CALLS_DEV(SYS_DECLARE)
SYS_CALLS_DEV_LEGACY(SYS_DECLARE)
