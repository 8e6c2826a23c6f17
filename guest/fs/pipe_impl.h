// SPDX-License-Identifier: Apache-2.0
/* Between pipe.c, pipe_ring.c and splice(2). */
#pragma once

#include "guest/core/lock.h"
#include "guest/core/types.h"
#include "guest/core/wait.h"

#define PIPE_BUF      4096u
#define PIPE_SIZE     65536u
#define PIPE_SIZE_MAX (1u << 20)

struct file;
struct uio;

struct pipe_packet { /* O_DIRECT: bytes that were one write, by `passed` */
    uint64_t start, end;
};

struct pipe {
    struct mutex lock; /* all but the queues */
    paddr_t *pages;    /* size / PAGE_SIZE, 0: not there */
    uint32_t size;     /* capacity, power of two pages */
    uint32_t start;    /* of the first byte, below size */
    uint32_t used;
    uint64_t passed; /* bytes ever taken out: number of the first in the ring */
    struct pipe_packet *packets; /* NULL, or room for one per page; owned */
    uint32_t packet_first, packet_count;
    uint32_t readers, writers; /* open files */
    uint32_t reader_opens, writer_opens;
    struct waitq read_wait, write_wait, open_wait;
};

struct pipe *pipe_of(const struct file *f); /* file_is_pipe(f) */

/* --- pipe_ring.c; p->lock held, but for alloc and free --- */
struct pipe *pipe_alloc(void); /* NULL: memory */
void pipe_destroy(struct pipe *p);
/* What a reader gets: up to the end of a packet, the rest of which is dropped.
 * Bytes, or -EFAULT. */
int64_t pipe_take(struct pipe *p, struct uio *u);
/* Up to `max` bytes into the ring: bytes, -EFAULT, -ENOMEM. `packet`: they are
 * one. */
int64_t pipe_give(struct pipe *p, struct uio *u, uint64_t max, bool packet);
/* Bytes that may be written; 0 also when there are as many packets as pages. */
uint32_t pipe_room(const struct pipe *p);
/* The first bytes, in place: how many of up to `max` lie together, at *at. */
uint32_t pipe_front(const struct pipe *p, uint64_t max, uint8_t **at);
void pipe_consume(struct pipe *p, uint32_t n); /* of what pipe_front gave */
/* Where the next bytes go, in place; 0: *error, or no room. */
uint32_t pipe_back(struct pipe *p, uint64_t max, uint8_t **at, int *error);
/* Copy up to `n` bytes behind the first `skip` of `from` to `to`. */
int64_t pipe_copy(struct pipe *from, struct pipe *to, uint32_t skip,
                  uint64_t n);
/* Contents to a ring of `size` bytes: 0, -EBUSY, -ENOMEM. */
int pipe_resize(struct pipe *p, uint32_t size);

/* --- pipe.c --- */
/* Give up the lock until *q is woken. 0 or -ERESTARTSYS. */
int pipe_sleep(struct pipe *p, struct waitq *q);
/* Nobody reads: SIGPIPE, and what was `done` or -EPIPE. */
int64_t pipe_broken(int64_t done);
void pipe_wake_readers(struct pipe *p);
void pipe_wake_writers(struct pipe *p);
