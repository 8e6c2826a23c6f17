// SPDX-License-Identifier: Apache-2.0
/* The device thread's event loop. */
#include "vmm/loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"

int loop_init(struct loop *l, struct err *e)
{
    *l = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (l->epoll_fd < 0)
        return err_set(e, -errno, "epoll_create1: %s", strerror(errno));
    return 0;
}

void loop_fini(struct loop *l)
{
    if (l->epoll_fd > 0)
        (void)close(l->epoll_fd);
    *l = (struct loop){.epoll_fd = -1};
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events,
             struct err *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};
    s->events = events;
    s->always = false;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0) {
        if (errno != EPERM)
            return err_set(e, -errno, "watch fd %d: %s", s->fd,
                           strerror(errno));
        s->always = true;
        s->next = l->files;
        l->files = s;
    }
    s->added = true;
    return 0;
}

void loop_want(struct loop *l, struct loop_source *s, uint32_t events)
{
    if (!s->added || s->events == events)
        return;
    /* An fd that nobody wants leaves the set: epoll would report its hang-up
     * for ever. */
    int op = s->events == 0 ? EPOLL_CTL_ADD
             : events == 0  ? EPOLL_CTL_DEL
                            : EPOLL_CTL_MOD;
    s->events = events;
    if (s->always)
        return;
    struct epoll_event ev = {.events = events, .data.ptr = s};
    (void)epoll_ctl(l->epoll_fd, op, s->fd, &ev);
}

void loop_remove(struct loop *l, struct loop_source *s)
{
    if (!s->added)
        return;
    uint32_t events = s->events;
    s->added = false;
    s->events = 0;
    if (!s->always) {
        if (events != 0)
            (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        return;
    }
    for (struct loop_source **p = &l->files; *p != NULL; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            return;
        }
    }
}

/* Returns whether any file wanted something, so the loop must not sleep. */
static bool run_files(struct loop *l)
{
    bool busy = false;
    struct loop_source *next;
    for (struct loop_source *s = l->files; s != NULL; s = next) {
        next = s->next;
        if (s->events == 0)
            continue;
        busy = true;
        s->ready(s, s->events);
    }
    return busy;
}

int loop_run(struct loop *l, struct err *e)
{
    bool busy = false;
    while (!l->stop) {
        struct epoll_event ev[16];
        int n = epoll_pwait(l->epoll_fd, ev, (int)ARRAY_COUNT(ev),
                            busy ? 0 : -1, NULL);
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "epoll_pwait: %s", strerror(errno));
        for (int i = 0; i < n && !l->stop; i++) {
            struct loop_source *s = ev[i].data.ptr;
            /* An earlier handler of this round may have lost interest. */
            if (s->events != 0)
                s->ready(s, ev[i].events);
        }
        busy = !l->stop && run_files(l);
    }
    return 0;
}
