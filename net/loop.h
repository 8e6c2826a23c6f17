// SPDX-License-Identifier: Apache-2.0
/* epoll with a function per fd, for one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

/* Embed it in what the fd belongs to. `fd` is the owner's. */
struct loop_fd {
    int fd;
    uint32_t events; /* registered: EPOLLIN ... */
    void (*ready)(struct loop_fd *f, uint32_t events);
};

struct loop {
    int fd; /* owned */
};

int loop_open(struct loop *l, struct err *e);
void loop_close(struct loop *l);
/* Register, or change what is waited for. 0 or -errno. */
int loop_watch(struct loop *l, struct loop_fd *f, uint32_t events);
void loop_forget(struct loop *l, struct loop_fd *f);
/* Wait once, at most timeout_ms (-1: for ever), and call who is ready. A
 * function may free any loop_fd after loop_forget(). */
void loop_run(struct loop *l, int timeout_ms);
/* Milliseconds since some moment, steadily. */
int64_t loop_now_ms(void);
