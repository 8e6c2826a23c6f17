// SPDX-License-Identifier: Apache-2.0
/* epoll, eventfd, timerfd and signalfd calls. */
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"
#include "abi/linux/proc.h"

#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/core/usercopy.h"
#include "guest/fs/epoll.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/inotify.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_dev.h"
#include "guest/sys/poll.h"

#define EPOLL_SMALL  24 /* events without an allocation */
#define EPOLL_MAX    (INT32_MAX / (int32_t)sizeof(struct lx_epoll_event))
#define SIGSET_BYTES 8

/* A new file becomes a descriptor. Takes the reference. */
static int64_t event_install(struct file *f, bool cloexec)
{
    int fd = fd_install(f, 0, cloexec);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* --- epoll --- */

int64_t sys_epoll_create1(const uint64_t *a)
{
    struct file *f;
    uint32_t flags = (uint32_t)a[0];
    if ((flags & ~LX_EPOLL_CLOEXEC) != 0)
        return -EINVAL;
    int r = epoll_file_new(&f);
    return r < 0 ? r : event_install(f, flags != 0);
}

int64_t sys_epoll_create(const uint64_t *a)
{
    const uint64_t b[6] = {0};
    return (int32_t)a[0] <= 0 ? -EINVAL : sys_epoll_create1(b);
}

int64_t sys_epoll_ctl(const uint64_t *a)
{
    struct lx_epoll_event ev = {0};
    int op = (int32_t)a[1], fd = (int32_t)a[2];
    if (op != LX_EPOLL_CTL_DEL &&
        copy_from_user(&ev, uptr(a[3]), sizeof(ev)) < 0)
        return -EFAULT;
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    struct file *target = fd_get(fd);
    int64_t r = -EBADF;
    if (target != NULL) {
        r = epoll_control(f, op, fd, target, &ev);
        file_put(target);
    }
    file_put(f);
    return r;
}

static int64_t epoll_wait_user(struct file *f, uptr_t out, int max,
                               nsec_t deadline)
{
    struct lx_epoll_event small[EPOLL_SMALL];
    struct epoll_events e = {.at = small,
                             .room = (unsigned)MIN(max, EPOLL_SMALL),
                             .max = (unsigned)max};
    int64_t n = epoll_wait_events(f, &e, deadline);
    if (n > 0 && copy_to_user(out, e.at, (size_t)n * sizeof(*e.at)) < 0)
        n = -EFAULT;
    kfree(e.grown);
    return n;
}

static int64_t do_epoll_wait(const uint64_t *a, nsec_t deadline)
{
    int max = (int32_t)a[2];
    if (max <= 0 || max > EPOLL_MAX)
        return -EINVAL;
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    int64_t r = epoll_wait_user(f, uptr(a[1]), max, deadline);
    file_put(f);
    return r;
}

int64_t sys_epoll_wait(const uint64_t *a)
{
    return do_epoll_wait(a, deadline_from_ms((int32_t)a[3]));
}

static int64_t do_epoll_pwait(const uint64_t *a, nsec_t deadline)
{
    int64_t r = temp_mask_begin(uptr(a[4]), a[5]);
    if (r < 0)
        return r;
    r = do_epoll_wait(a, deadline);
    temp_mask_end(uptr(a[4]), r);
    return r;
}

int64_t sys_epoll_pwait(const uint64_t *a)
{
    return do_epoll_pwait(a, deadline_from_ms((int32_t)a[3]));
}

int64_t sys_epoll_pwait2(const uint64_t *a)
{
    nsec_t deadline;
    int r = deadline_from_timespec(uptr(a[3]), &deadline);
    return r < 0 ? r : do_epoll_pwait(a, deadline);
}

/* --- eventfd --- */

int64_t sys_eventfd2(const uint64_t *a)
{
    struct file *f;
    uint32_t flags = (uint32_t)a[1];
    if ((flags & ~(LX_EFD_SEMAPHORE | LX_EFD_CLOEXEC | LX_EFD_NONBLOCK)) != 0)
        return -EINVAL;
    int r = eventfd_new((uint32_t)a[0], flags, &f);
    return r < 0 ? r : event_install(f, (flags & LX_EFD_CLOEXEC) != 0);
}

int64_t sys_eventfd(const uint64_t *a)
{
    const uint64_t b[6] = {a[0]};
    return sys_eventfd2(b);
}

/* --- timerfd --- */

int64_t sys_timerfd_create(const uint64_t *a)
{
    struct file *f;
    int clock = (int32_t)a[0];
    uint32_t flags = (uint32_t)a[1];
    if ((flags & ~(LX_TFD_CLOEXEC | LX_TFD_NONBLOCK)) != 0)
        return -EINVAL;
    if (clock != LX_CLOCK_REALTIME && clock != LX_CLOCK_MONOTONIC &&
        clock != LX_CLOCK_BOOTTIME && clock != LX_CLOCK_REALTIME_ALARM &&
        clock != LX_CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    int r = timerfd_new(clock, flags, &f);
    return r < 0 ? r : event_install(f, (flags & LX_TFD_CLOEXEC) != 0);
}

int64_t sys_timerfd_settime(const uint64_t *a)
{
    struct lx_itimerspec to, old;
    uint32_t flags = (uint32_t)a[1];
    if ((flags & ~(LX_TFD_TIMER_ABSTIME | LX_TFD_TIMER_CANCEL_ON_SET)) != 0)
        return -EINVAL;
    if (copy_from_user(&to, uptr(a[2]), sizeof(to)) < 0)
        return -EFAULT;
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    int r = timerfd_set(f, flags, &to, &old);
    file_put(f);
    if (r == 0 && a[3] != 0)
        r = copy_to_user(uptr(a[3]), &old, sizeof(old));
    return r;
}

int64_t sys_timerfd_gettime(const uint64_t *a)
{
    struct lx_itimerspec now;
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    int r = timerfd_get(f, &now);
    file_put(f);
    return r < 0 ? r : copy_to_user(uptr(a[1]), &now, sizeof(now));
}

/* --- signalfd --- */

static int64_t do_signalfd(const uint64_t *a, uint32_t flags)
{
    uint64_t mask;
    if (a[2] != SIGSET_BYTES ||
        (flags & ~(LX_SFD_CLOEXEC | LX_SFD_NONBLOCK)) != 0)
        return -EINVAL;
    if (get_user_u64(&mask, uptr(a[1])) < 0)
        return -EFAULT;
    int fd = (int32_t)a[0];
    if (fd == -1) {
        struct file *f;
        int r = signalfd_new(mask, flags, &f);
        return r < 0 ? r : event_install(f, (flags & LX_SFD_CLOEXEC) != 0);
    }
    struct file *f = fd_get(fd);
    if (f == NULL)
        return -EBADF;
    int r = signalfd_set(f, mask);
    file_put(f);
    return r < 0 ? r : fd;
}

int64_t sys_signalfd4(const uint64_t *a)
{
    return do_signalfd(a, (uint32_t)a[3]);
}

int64_t sys_signalfd(const uint64_t *a)
{
    return do_signalfd(a, 0);
}

/* --- inotify --- */

int64_t sys_inotify_init1(const uint64_t *a)
{
    struct file *f;
    uint32_t flags = (uint32_t)a[0];
    if ((flags & ~(LX_O_CLOEXEC | LX_O_NONBLOCK)) != 0)
        return -EINVAL;
    int r = inotify_new(flags, &f);
    return r < 0 ? r : event_install(f, (flags & LX_O_CLOEXEC) != 0);
}

int64_t sys_inotify_init(const uint64_t *a)
{
    (void)a;
    const uint64_t b[6] = {0};
    return sys_inotify_init1(b);
}

static int64_t inotify_add_path(struct file *f, uint64_t name, uint32_t mask)
{
    struct path p;
    unsigned flags = (mask & IN_DONT_FOLLOW) == 0 ? PATH_FOLLOW : 0;
    if ((mask & IN_ONLYDIR) != 0)
        flags |= PATH_DIR;
    int r = path_walk_user(AT_FDCWD, uptr(name), flags, &p);
    if (r < 0)
        return r;
    r = path_access(&p, 4);
    if (r == 0)
        r = inotify_add(f, &p, mask);
    path_put(&p);
    return r;
}

int64_t sys_inotify_add_watch(const uint64_t *a)
{
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    /* What the mask alone makes wrong comes before the name. */
    int64_t r = inotify_check(f, (uint32_t)a[2]);
    if (r == 0)
        r = inotify_add_path(f, a[1], (uint32_t)a[2]);
    file_put(f);
    return r;
}

int64_t sys_inotify_rm_watch(const uint64_t *a)
{
    struct file *f = fd_get((int32_t)a[0]);
    if (f == NULL)
        return -EBADF;
    int64_t r = inotify_remove(f, (int32_t)a[1]);
    file_put(f);
    return r;
}
