// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

int loop_open(struct loop *l, struct err *e)
{
    l->fd = epoll_create1(EPOLL_CLOEXEC);
    return l->fd < 0 ? err_set(e, -errno, "epoll: %s", strerror(errno)) : 0;
}

void loop_close(struct loop *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
}

int loop_watch(struct loop *l, struct loop_fd *f, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = f};
    if (epoll_ctl(l->fd, EPOLL_CTL_MOD, f->fd, &ev) == 0 ||
        (errno == ENOENT && epoll_ctl(l->fd, EPOLL_CTL_ADD, f->fd, &ev) == 0)) {
        f->events = events;
        return 0;
    }
    return -errno;
}

void loop_forget(struct loop *l, struct loop_fd *f)
{
    (void)epoll_ctl(l->fd, EPOLL_CTL_DEL, f->fd, NULL);
    f->events = 0;
}

void loop_run(struct loop *l, int timeout_ms)
{
    /* One at a time: what a function frees can be in no later event. */
    struct epoll_event ev;
    int timeout = timeout_ms;
    for (int n = 0; n < 64 && epoll_wait(l->fd, &ev, 1, timeout) == 1; n++) {
        struct loop_fd *f = ev.data.ptr;
        f->ready(f, ev.events);
        timeout = 0;
    }
}

int64_t loop_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
