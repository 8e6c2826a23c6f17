// SPDX-License-Identifier: Apache-2.0
/*
 * Inherited byte streams (stdin, stdout, stderr) used without ever blocking
 * and without changing the flags of a description we share with a shell.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum stream_kind {
    STREAM_NONE = 0, /* no fd: end of file, or everything is swallowed */
    STREAM_FILE,     /* regular file: always ready */
    STREAM_NONBLOCK, /* our own description with O_NONBLOCK */
    STREAM_SOCKET,   /* MSG_DONTWAIT */
    STREAM_POLLED,   /* shared description: poll first, short transfers */
};

struct stream {
    enum stream_kind kind;
    int fd; /* borrowed, or our own reopened description */
};

/* Look at `fd` (-1: none) and reopen pipes and terminals through /proc; call
 * before the jail. Never fails: at worst the stream is STREAM_POLLED. */
void stream_open(struct stream *s, int fd, bool write);

/* Bytes moved; 0 at end of file (read); -EAGAIN; or another negative errno. */
ssize_t stream_read(const struct stream *s, const struct iovec *iov,
                    unsigned count);
ssize_t stream_write(const struct stream *s, const struct iovec *iov,
                     unsigned count);
