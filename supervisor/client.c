// SPDX-License-Identifier: Apache-2.0
#include "supervisor/client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/fdsend.h"
#include "supervisor/instance.h"

int client_connect(int dir, struct err *e)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path),
                   "/proc/self/fd/%d/ctl.sock", dir);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
        return err_set(e, -errno, "ctl.sock: %s", strerror(errno));
    return fd_release(&fd);
}

static int client_send(int fd, uint32_t type, const void *payload,
                       uint32_t size)
{
    struct ctl_header h = {.type = type, .size = size};
    uint8_t frame[sizeof(h) + 64];
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), payload, size);
    ssize_t n = send(fd, frame, sizeof(h) + size, MSG_NOSIGNAL);
    return n < 0 ? -errno : 0;
}

int client_send_signal(int fd, unsigned signo)
{
    struct ctl_signal s = {.signo = signo};
    return client_send(fd, CTL_SIGNAL, &s, sizeof(s));
}

int client_send_winsize(int fd, unsigned rows, unsigned cols)
{
    struct ctl_winsize w = {.rows = (uint16_t)rows, .cols = (uint16_t)cols};
    return client_send(fd, CTL_WINSIZE, &w, sizeof(w));
}

int client_read(int fd, struct instance_exit *out, struct err *e)
{
    uint8_t frame[CTL_FRAME_MAX];
    ssize_t n = recv(fd, frame, sizeof(frame), 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return CLIENT_NOTHING;
    if (n <= 0)
        return err_set(e, -EPIPE, "the monitor closed its control socket");
    struct ctl_header h;
    if ((size_t)n < sizeof(h))
        return err_set(e, -EPROTO, "control frame of %zd bytes", n);
    memcpy(&h, frame, sizeof(h));
    if (h.size > (size_t)n - sizeof(h))
        return err_set(e, -EPROTO, "control frame says %u bytes, has %zu",
                       h.size, (size_t)n - sizeof(h));
    if (h.type == CTL_STARTED)
        return CLIENT_STARTED;
    if (h.type == CTL_KILLED) {
        instance_copy_msg(out, (const char *)frame + sizeof(h), h.size);
        return CLIENT_KILLED;
    }
    if (h.type != CTL_EXIT)
        return CLIENT_NOTHING;
    int code = instance_exit_decode(frame + sizeof(h), h.size, out, e);
    return code < 0 ? code : CLIENT_EXIT;
}

static int64_t client_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int client_wait_exit(int fd, int timeout_ms, struct instance_exit *out,
                     struct err *e)
{
    int64_t end = client_now_ms() + timeout_ms;
    for (;;) {
        int64_t left = timeout_ms < 0 ? -1 : end - client_now_ms();
        if (timeout_ms >= 0 && left <= 0)
            return err_set(e, -ETIMEDOUT, "still running");
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, (int)left);
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "poll: %s", strerror(errno));
        if (n <= 0)
            continue;
        int code = client_read(fd, out, e);
        if (code < 0 || code == CLIENT_EXIT)
            return code < 0 ? code : 0;
    }
}

static int client_send_net(int fd, uint32_t type, const struct ctl_net *m,
                           int tap)
{
    struct {
        struct ctl_header h;
        struct ctl_net m;
    } frame = {{.type = type}, *m};
    frame.h.size = type == CTL_NET_ADD ? sizeof(frame.m) : sizeof(frame.m.at);
    return fd_send(fd, &frame, sizeof(frame.h) + frame.h.size, &tap, tap >= 0);
}

/* One message: 1 and *error, 0: not this one, -EPIPE. */
static int client_recv_net(int fd, int *error)
{
    struct {
        struct ctl_header h;
        struct ctl_net_done d;
        uint8_t rest[CTL_FRAME_MAX];
    } in;
    ssize_t got = recv(fd, &in, sizeof(in), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < (ssize_t)sizeof(in.h) || in.h.type == CTL_EXIT)
        return -EPIPE;
    if (in.h.type != CTL_NET_DONE ||
        got < (ssize_t)(sizeof(in.h) + sizeof(in.d)))
        return 0;
    *error = in.d.error <= 0 ? in.d.error : -EPROTO;
    return 1;
}

int client_net(int fd, uint32_t type, const struct ctl_net *m, int tap,
               int timeout_ms)
{
    const int64_t end = client_now_ms() + timeout_ms;
    int error = 0;
    int code = client_send_net(fd, type, m, tap);
    while (code == 0) {
        int64_t left = end - client_now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return -ETIMEDOUT;
        int n = poll(&p, 1, (int)left);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            code = client_recv_net(fd, &error);
    }
    return code < 0 ? code : error;
}
