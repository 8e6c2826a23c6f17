// SPDX-License-Identifier: Apache-2.0
/* Inherited byte streams used without ever blocking. */
#include "vmm/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/iov.h"

/* A pipe that polls writable takes this much at once. */
#define POLLED_CHUNK 4096

void stream_open(struct stream *s, int fd, bool write)
{
    struct stat st;
    *s = (struct stream){.kind = STREAM_NONE, .fd = fd};
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (S_ISSOCK(st.st_mode)) {
        s->kind = STREAM_SOCKET;
        return;
    }
    if (!S_ISFIFO(st.st_mode) && !isatty(fd)) {
        s->kind = STREAM_FILE;
        return;
    }
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY |
                             O_CLOEXEC);
    s->kind = own < 0 ? STREAM_POLLED : STREAM_NONBLOCK;
    if (own >= 0)
        s->fd = own;
}

static int polled(const struct stream *s, short events)
{
    struct pollfd p = {.fd = s->fd, .events = events};
    const struct timespec now = {0};
    return ppoll(&p, 1, &now, NULL) > 0 ? 0 : -EAGAIN;
}

ssize_t stream_read(const struct stream *s, const struct iovec *iov,
                    unsigned count)
{
    ssize_t n;
    if (s->kind == STREAM_NONE)
        return 0;
    if (s->kind == STREAM_POLLED && polled(s, POLLIN) < 0)
        return -EAGAIN;
    if (s->kind == STREAM_SOCKET) {
        struct msghdr m = {.msg_iovlen = count};
        m.msg_iov = iov_list(iov);
        n = recvmsg(s->fd, &m, MSG_DONTWAIT);
    } else {
        n = readv(s->fd, iov, (int)count);
    }
    return n < 0 ? -errno : n;
}

ssize_t stream_write(const struct stream *s, const struct iovec *iov,
                     unsigned count)
{
    ssize_t n = 0;
    if (s->kind == STREAM_NONE) {
        for (unsigned i = 0; i < count; i++)
            n += (ssize_t)iov[i].iov_len;
        return n;
    }
    if (s->kind == STREAM_POLLED) {
        struct iovec one = iov[0];
        if (one.iov_len > POLLED_CHUNK)
            one.iov_len = POLLED_CHUNK;
        if (polled(s, POLLOUT) < 0)
            return -EAGAIN;
        n = writev(s->fd, &one, 1);
    } else if (s->kind == STREAM_SOCKET) {
        struct msghdr m = {.msg_iovlen = count};
        m.msg_iov = iov_list(iov);
        n = sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        n = writev(s->fd, iov, (int)count);
    }
    return n < 0 ? -errno : n;
}
