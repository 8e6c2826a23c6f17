// SPDX-License-Identifier: Apache-2.0
/* Control frames between guest, monitor and clients. */
#include "vmm/ctl.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "vmm/report.h"

/* ---- guest ---- */

/* Pass CTL_STARTED or CTL_KILLED on; whoever prints the text cleans it. */
static void notice(struct ctl *c, uint32_t type, const void *payload,
                   size_t size)
{
    uint8_t frame[sizeof(struct ctl_header) + CTL_MSG_MAX];
    if (size > CTL_MSG_MAX || c->notices == CTL_NOTICES_MAX)
        return;
    c->notices++;
    struct ctl_header h = {.type = type, .size = (uint32_t)size};
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), payload, size);
    ctl_broadcast(c, frame, sizeof(h) + size);
}

static void frame_from_guest(struct ctl *c, uint32_t type, const void *payload,
                             size_t size)
{
    struct report r;
    if (type == CTL_EXIT && report_from_guest(&r, payload, size))
        c->ops->exited(c, &r);
    if (type == CTL_LOG)
        c->ops->logged(c, payload, size);
    if (type == CTL_STARTED || type == CTL_KILLED)
        notice(c, type, payload, size);
    /* Anything else is not for us: ignored. */
}

/* Use the frames in c->in; leaves an incomplete one at its start. */
static void parse(struct ctl *c)
{
    size_t at = 0;
    struct ctl_header h;
    while (c->in_size - at >= sizeof(h)) {
        memcpy(&h, c->in + at, sizeof(h));
        if (h.size > CTL_FRAME_MAX - sizeof(h)) {
            c->deaf = true; /* the next frame could be anywhere */
            return;
        }
        if (h.size > c->in_size - at - sizeof(h))
            break;
        frame_from_guest(c, h.type, c->in + at + sizeof(h), h.size);
        at += sizeof(h) + h.size;
    }
    c->in_size -= at;
    memmove(c->in, c->in + at, c->in_size);
}

static void guest_bytes(struct console_peer *p, const uint8_t *data,
                        size_t size)
{
    struct ctl *c = (struct ctl *)p;
    while (size > 0 && !c->deaf) {
        size_t n = sizeof(c->in) - c->in_size;
        if (n > size)
            n = size;
        memcpy(c->in + c->in_size, data, n);
        c->in_size += n;
        data += n;
        size -= n;
        parse(c);
    }
}

static void guest_stdin_eof(struct console_peer *p, uint64_t sent)
{
    struct ctl *c = (struct ctl *)p;
    struct {
        struct ctl_header h;
        uint64_t sent;
    } frame = {{CTL_STDIN_EOF, sizeof(sent)}, sent};
    /* Happens once, and clients stop before the buffer is full (see
     * client_ready), so there is always room. */
    (void)console_send(c->console, &frame, sizeof(frame));
}

static void guest_writable(struct console_peer *p)
{
    struct ctl *c = (struct ctl *)p;
    for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
        if (c->client[i].used)
            loop_want(c->loop, &c->client[i].source, EPOLLIN);
}

static void guest_written(struct console_peer *p)
{
    struct ctl *c = (struct ctl *)p;
    c->ops->written(c);
}

/* ---- clients ---- */

static void client_drop(struct ctl_client *cl)
{
    loop_remove(cl->ctl->loop, &cl->source);
    (void)close(cl->source.fd);
    cl->used = false;
}

/* A frame a client may send: exact size, sane values. */
static bool client_frame_ok(const uint8_t *frame, size_t size)
{
    struct ctl_header h;
    struct ctl_signal s;
    if (size < sizeof(h))
        return false;
    memcpy(&h, frame, sizeof(h));
    if (h.size != size - sizeof(h))
        return false;
    if (h.type == CTL_WINSIZE)
        return h.size == sizeof(struct ctl_winsize);
    if (h.type != CTL_SIGNAL || h.size != sizeof(s))
        return false;
    memcpy(&s, frame + sizeof(h), sizeof(s));
    return s.signo >= 1 && s.signo <= 64;
}

static void client_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct ctl_client *cl = (struct ctl_client *)s;
    struct ctl *c = cl->ctl;
    /* Leave room for our own CTL_STDIN_EOF; wait while the guest is slow. */
    if (sizeof(c->console->pending) - c->console->pending_size <
        (size_t)2 * CTL_FRAME_MAX) {
        loop_want(c->loop, s, 0);
        return;
    }
    uint8_t frame[CTL_FRAME_MAX];
    ssize_t n = recv(s->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n > sizeof(frame) ||
        !client_frame_ok(frame, (size_t)n)) {
        client_drop(cl);
        return;
    }
    (void)console_send(c->console, frame, (size_t)n);
}

static int client_add(struct ctl *c, int fd, struct err *e)
{
    for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
        struct ctl_client *cl = &c->client[i];
        if (cl->used)
            continue;
        *cl = (struct ctl_client){.ctl = c, .used = true};
        cl->source.fd = fd;
        cl->source.ready = client_ready;
        return loop_add(c->loop, &cl->source, EPOLLIN, e);
    }
    return err_set(e, -EMFILE, "too many control clients");
}

static void listener_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct ctl_client *listener = (struct ctl_client *)s;
    struct err e;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && client_add(listener->ctl, fd, &e) < 0)
        (void)close(fd);
}

void ctl_broadcast(struct ctl *c, const void *frame, size_t size)
{
    for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
        if (c->client[i].used)
            (void)send(c->client[i].source.fd, frame, size,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ctl_init(struct ctl *c, struct loop *l, const struct ctl_ops *ops,
              struct virtio_console *console)
{
    static const struct console_peer_ops peer_ops = {
        .bytes = guest_bytes,
        .stdin_eof = guest_stdin_eof,
        .writable = guest_writable,
        .written = guest_written,
    };
    memset(c, 0, sizeof(*c));
    c->peer.ops = &peer_ops;
    c->ops = ops;
    c->loop = l;
    c->console = console;
}

int ctl_attach(struct ctl *c, int client_fd, int listen_fd, struct err *e)
{
    if (client_fd >= 0 && client_add(c, client_fd, e) < 0)
        return e->code;
    if (listen_fd < 0)
        return 0;
    c->listener.ctl = c;
    c->listener.used = true;
    c->listener.source.fd = listen_fd;
    c->listener.source.ready = listener_ready;
    return loop_add(c->loop, &c->listener.source, EPOLLIN, e);
}
