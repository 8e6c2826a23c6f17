// SPDX-License-Identifier: Apache-2.0
/* Control frames between guest, monitor and clients. */
#include "vmm/ctl.h"

#include <poll.h>
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
    if (type == CTL_NET_DONE && c->ops->net_done != NULL)
        c->ops->net_done(c, payload, size);
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
    if (cl->ctl->ops->gone != NULL)
        cl->ctl->ops->gone(cl->ctl, cl);
    loop_remove(cl->ctl->loop, &cl->source);
    (void)close(cl->source.fd);
    cl->used = false;
}

/* One message. */
struct client_frame {
    uint8_t data[CTL_FRAME_MAX];
    size_t size;
    struct ctl_header h;
    int fd; /* owned; -1: none came along */
};

static bool frame_is_net(const struct client_frame *f)
{
    return f->h.type == CTL_NET_ADD || f->h.type == CTL_NET_REMOVE;
}

/* A frame a client may send: exact size, sane values. */
static bool client_frame_ok(const struct client_frame *f)
{
    struct ctl_signal s;
    if (f->h.size != f->size - sizeof(f->h) || (f->fd >= 0 && !frame_is_net(f)))
        return false;
    if (f->h.type == CTL_WINSIZE)
        return f->h.size == sizeof(struct ctl_winsize);
    if (f->h.type != CTL_SIGNAL)
        return frame_is_net(f);
    if (f->h.size != sizeof(s))
        return false;
    memcpy(&s, f->data + sizeof(f->h), sizeof(s));
    return s.signo >= 1 && s.signo <= 64;
}

/* 1, 0: nothing is there, or -EPROTO: this is no client of ours. */
static int client_recv(int from, struct client_frame *f, int flags)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec v = {f->data, sizeof(f->data)};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = CMSG_LEN(sizeof(int))};
    f->fd = -1;
    if ((flags & MSG_PEEK) != 0) /* it would take a copy of the fd */
        m.msg_controllen = 0;
    ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPROTO;
    const struct cmsghdr *x = CMSG_FIRSTHDR(&m);
    if (x != NULL && x->cmsg_level == SOL_SOCKET &&
        x->cmsg_type == SCM_RIGHTS && x->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&f->fd, CMSG_DATA(x), sizeof(f->fd));
    f->size = (size_t)n;
    if (f->size < sizeof(f->h) || (m.msg_flags & MSG_TRUNC) != 0)
        return -EPROTO;
    memcpy(&f->h, f->data, sizeof(f->h));
    return 1;
}

/* Leave room for our own CTL_STDIN_EOF; wait while the guest is slow. But a
 * guest that reads nothing keeps neither an interface by that, nor the place
 * of a client that has gone. Then nothing is to be done now. */
static bool client_must_wait(struct ctl_client *cl)
{
    const struct virtio_console *v = cl->ctl->console;
    struct client_frame f;
    if (sizeof(v->pending) - v->pending_size >= (size_t)2 * CTL_FRAME_MAX)
        return false;
    int code = client_recv(cl->source.fd, &f, MSG_PEEK);
    if (code < 0 || (code == 1 && f.h.type == CTL_NET_REMOVE))
        return false;
    if (code == 1)
        loop_want(cl->ctl->loop, &cl->source, 0);
    return true;
}

static void client_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct ctl_client *cl = (struct ctl_client *)s;
    struct ctl *c = cl->ctl;
    struct client_frame f;
    if (client_must_wait(cl))
        return;
    int code = client_recv(s->fd, &f, 0);
    if (code == 0)
        return;
    if (code < 0 || !client_frame_ok(&f) ||
        (frame_is_net(&f) && c->ops->net_asked == NULL)) {
        if (f.fd >= 0)
            (void)close(f.fd);
        client_drop(cl);
    } else if (frame_is_net(&f)) {
        c->ops->net_asked(c, cl, (const struct ctl_header *)(void *)f.data,
                          f.fd);
    } else {
        (void)console_send(c->console, f.data, f.size);
    }
}

/* It waits for the guest (client_must_wait) and has gone meanwhile. */
static bool client_left(const struct ctl_client *cl)
{
    struct pollfd p = {.fd = cl->source.fd};
    const struct timespec now = {0};
    return cl->source.events == 0 && ppoll(&p, 1, &now, NULL) > 0 &&
           (p.revents & POLLHUP) != 0;
}

/* A free place, or one of a client that has left: what it said last is lost
 * then. NULL: there is none. */
static struct ctl_client *client_place(struct ctl *c)
{
    for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
        if (!c->client[i].used)
            return &c->client[i];
    for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
        if (client_left(&c->client[i])) {
            client_drop(&c->client[i]);
            return &c->client[i];
        }
    }
    return NULL;
}

static int client_add(struct ctl *c, int fd, struct err *e)
{
    struct ctl_client *cl = client_place(c);
    if (cl == NULL)
        return err_set(e, -EMFILE, "too many control clients");
    *cl = (struct ctl_client){.ctl = c, .used = true};
    cl->source.fd = fd;
    cl->source.ready = client_ready;
    return loop_add(c->loop, &cl->source, EPOLLIN, e);
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

bool ctl_tell(struct ctl *c, const void *frame, size_t size)
{
    /* Room for CTL_STDIN_EOF stays. */
    return sizeof(c->console->pending) - c->console->pending_size >=
               size + CTL_FRAME_MAX &&
           console_send(c->console, frame, size);
}

void ctl_answer(const struct ctl_client *to, const void *frame, size_t size)
{
    (void)send(to->source.fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
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
