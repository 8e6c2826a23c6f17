// SPDX-License-Identifier: Apache-2.0
/* The device thread's event loop: epoll, and sources that are always ready. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop_source;

/* Called on the device thread when `events` (EPOLLIN ...) are ready. Must not
 * block. It may change or remove any source. */
typedef void loop_ready_fn(struct loop_source *s, uint32_t events);

/* One fd. Embedded in its user; zero-initialise, then loop_add(). */
struct loop_source {
    int fd; /* borrowed */
    loop_ready_fn *ready;
    uint32_t events; /* wanted now; 0: none */
    bool always;     /* epoll refuses it (a file): always ready */
    bool added;
    struct loop_source *next; /* of the always-ready list */
};

struct loop {
    int epoll_fd; /* owned */
    bool stop;    /* loop_run() returns after the current round */
    struct loop_source *files;
};

int loop_init(struct loop *l, struct err *e);
void loop_fini(struct loop *l);

/* Watch s->fd for `events`. */
int loop_add(struct loop *l, struct loop_source *s, uint32_t events,
             struct err *e);
/* Change what is wanted; cheap when nothing changes. */
void loop_want(struct loop *l, struct loop_source *s, uint32_t events);
void loop_remove(struct loop *l, struct loop_source *s);

/* Run until l->stop. */
int loop_run(struct loop *l, struct err *e);
