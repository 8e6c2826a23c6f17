// SPDX-License-Identifier: Apache-2.0
#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROXY_BUFFER = 64 << 10,
    PROXY_FLOWS_MAX = 1024, /* of all ports: a peer cannot take the memory */
    PROXY_SILENT_MS = 60000,
};

/* One direction of a connection. */
struct proxy_pipe {
    char *data; /* owned */
    size_t at, size;
    bool ended; /* nothing more to read */
};

struct proxy_flow;

struct proxy_side {
    struct loop_fd f; /* first */
    struct proxy_flow *flow;
    struct proxy_pipe in; /* what was read here, for the other side */
};

/* A TCP connection, or one UDP peer. */
struct proxy_flow {
    struct proxy_flow *next;
    struct proxy_port *port;
    struct proxy_side side[2]; /* client, guest; UDP uses the guest's only */
    bool connecting, dead;
    struct sockaddr_storage peer; /* UDP: whom to answer */
    socklen_t peer_size;
    int64_t used_ms;
};

struct proxy_port {
    struct loop_fd f; /* first: listening or bound */
    struct proxy_port *next;
    struct proxy *all;
    struct helper_msg to;
    struct proxy_flow *flows;
};

struct proxy {
    struct loop *loop;
    struct proxy_port *ports;
    unsigned flow_count;
};

struct proxy *proxy_new(struct loop *l)
{
    struct proxy *p = calloc(1, sizeof(*p));
    if (p != NULL)
        p->loop = l;
    return p;
}

static int proxy_connect(const struct helper_msg *to)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET,
                             .sin_port = htons(to->port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(to->port)};
    memcpy(&a4.sin_addr, to->addr, 4);
    memcpy(&a6.sin6_addr, to->addr, 16);
    int fd = socket(
        to->v6 ? AF_INET6 : AF_INET,
        (to->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const struct sockaddr *a =
        to->v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    if (connect(fd, a, to->v6 ? sizeof(a6) : sizeof(a4)) < 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* ---- flows ---- */

static void flow_free(struct proxy_flow *w)
{
    struct proxy_port *p = w->port;
    for (struct proxy_flow **at = &p->flows; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (w->side[i].f.fd >= 0) {
            loop_forget(p->all->loop, &w->side[i].f);
            (void)close(w->side[i].f.fd);
        }
        free(w->side[i].in.data);
    }
    p->all->flow_count--;
    free(w);
}

static struct proxy_flow *flow_new(struct proxy_port *p)
{
    if (p->all->flow_count >= PROXY_FLOWS_MAX)
        return NULL;
    struct proxy_flow *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->port = p;
    for (int i = 0; i < 2; i++) {
        w->side[i].flow = w;
        w->side[i].f.fd = -1;
    }
    w->used_ms = loop_now_ms();
    w->next = p->flows;
    p->flows = w;
    p->all->flow_count++;
    return w;
}

/* Wait for what each side can do next; nothing: the connection is over. */
static void flow_watch(struct proxy_flow *w)
{
    struct loop *l = w->port->all->loop;
    for (int i = 0; i < 2; i++) {
        const struct proxy_side *s = &w->side[i];
        const struct proxy_pipe *other = &w->side[1 - i].in;
        uint32_t events = 0;
        if (w->connecting)
            events = i == 1 ? EPOLLOUT : 0;
        else
            events = (!s->in.ended && s->in.size == 0 ? EPOLLIN : 0U) |
                     (other->size > 0 ? EPOLLOUT : 0U);
        if (events != s->f.events && loop_watch(l, &w->side[i].f, events) < 0)
            w->dead = true;
    }
    if (w->dead || (w->side[0].in.ended && w->side[1].in.ended &&
                    w->side[0].in.size == 0 && w->side[1].in.size == 0))
        flow_free(w);
}

static void side_read(struct proxy_side *s)
{
    struct proxy_pipe *p = &s->in;
    if (p->size > 0 || p->ended)
        return;
    if (p->data == NULL)
        p->data = malloc(PROXY_BUFFER);
    if (p->data == NULL) {
        s->flow->dead = true;
        return;
    }
    ssize_t n = recv(s->f.fd, p->data, PROXY_BUFFER, 0);
    if (n > 0) {
        p->at = 0;
        p->size = (size_t)n;
    } else if (n == 0) {
        p->ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        s->flow->dead = true;
    }
}

/* What `from` has read goes out on the other side; then its end, too. */
static void side_write(struct proxy_side *from)
{
    struct proxy_pipe *p = &from->in;
    const struct proxy_side *to =
        &from->flow->side[from == &from->flow->side[0] ? 1 : 0];
    if (p->size > 0) {
        ssize_t n = send(to->f.fd, p->data + p->at, p->size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            from->flow->dead = true;
        if (n > 0) {
            p->at += (size_t)n;
            p->size -= (size_t)n;
        }
    }
    if (p->ended && p->size == 0)
        (void)shutdown(to->f.fd, SHUT_WR);
}

static void side_ready(struct loop_fd *f, uint32_t events)
{
    struct proxy_side *s = (struct proxy_side *)f;
    struct proxy_flow *w = s->flow;
    if (w->connecting && s == &w->side[1]) {
        int code = 0;
        socklen_t size = sizeof(code);
        (void)getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &code, &size);
        w->connecting = false;
        w->dead = code != 0;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0 &&
        s->in.ended)
        w->dead = true;
    if (!w->dead && !w->connecting) {
        side_read(s);
        side_write(s);
        side_write(&w->side[s == &w->side[0] ? 1 : 0]);
    }
    flow_watch(w);
}

static void tcp_accept(struct proxy_port *p)
{
    int fd = accept4(p->f.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct proxy_flow *w = flow_new(p);
    int guest = w != NULL ? proxy_connect(&p->to) : -1;
    if (guest < 0) {
        (void)close(fd);
        if (w != NULL)
            flow_free(w);
        return;
    }
    w->connecting = true;
    w->side[0].f = (struct loop_fd){.fd = fd, .ready = side_ready};
    w->side[1].f = (struct loop_fd){.fd = guest, .ready = side_ready};
    if (loop_watch(p->all->loop, &w->side[0].f, 0) < 0)
        w->dead = true;
    flow_watch(w);
}

/* ---- UDP ---- */

static void udp_answer(struct loop_fd *f, uint32_t events)
{
    struct proxy_side *s = (struct proxy_side *)f;
    struct proxy_flow *w = s->flow;
    static char data[PROXY_BUFFER];
    (void)events;
    ssize_t n = recv(f->fd, data, sizeof(data), 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            flow_free(w); /* the guest's port is closed */
        return;
    }
    w->used_ms = loop_now_ms();
    (void)sendto(w->port->f.fd, data, (size_t)n, MSG_DONTWAIT,
                 (struct sockaddr *)&w->peer, w->peer_size);
}

static struct proxy_flow *udp_flow(struct proxy_port *p,
                                   const struct sockaddr_storage *peer,
                                   socklen_t size)
{
    for (struct proxy_flow *w = p->flows; w != NULL; w = w->next)
        if (w->peer_size == size && memcmp(&w->peer, peer, size) == 0)
            return w;
    struct proxy_flow *w = flow_new(p);
    if (w == NULL)
        return NULL;
    memcpy(&w->peer, peer, size);
    w->peer_size = size;
    w->side[1].f =
        (struct loop_fd){.fd = proxy_connect(&p->to), .ready = udp_answer};
    if (w->side[1].f.fd < 0 ||
        loop_watch(p->all->loop, &w->side[1].f, EPOLLIN) < 0) {
        flow_free(w);
        return NULL;
    }
    return w;
}

static void udp_take(struct proxy_port *p)
{
    static char data[PROXY_BUFFER];
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof(peer);
    ssize_t n = recvfrom(p->f.fd, data, sizeof(data), MSG_DONTWAIT,
                         (struct sockaddr *)&peer, &size);
    if (n < 0)
        return;
    struct proxy_flow *w = udp_flow(p, &peer, size);
    if (w == NULL)
        return;
    w->used_ms = loop_now_ms();
    (void)send(w->side[1].f.fd, data, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- ports ---- */

static void port_ready(struct loop_fd *f, uint32_t events)
{
    struct proxy_port *p = (struct proxy_port *)f;
    (void)events;
    if (p->to.udp)
        udp_take(p);
    else
        tcp_accept(p);
}

void proxy_add(struct proxy *p, const struct helper_msg *m, int fd)
{
    struct proxy_port *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        (void)close(fd);
        return;
    }
    *x = (struct proxy_port){.f = {.fd = fd, .ready = port_ready},
                             .next = p->ports,
                             .all = p,
                             .to = *m};
    p->ports = x;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a peer may be gone by accept() */
    (void)loop_watch(p->loop, &x->f, EPOLLIN);
}

void proxy_drop(struct proxy *p, uint32_t vm)
{
    struct proxy_port **at = &p->ports;
    while (*at != NULL) {
        struct proxy_port *x = *at;
        if (x->to.vm != vm) {
            at = &x->next;
            continue;
        }
        while (x->flows != NULL)
            flow_free(x->flows);
        loop_forget(p->loop, &x->f);
        (void)close(x->f.fd);
        *at = x->next;
        free(x);
    }
}

void proxy_tick(struct proxy *p)
{
    int64_t old = loop_now_ms() - PROXY_SILENT_MS;
    for (struct proxy_port *x = p->ports; x != NULL; x = x->next) {
        struct proxy_flow *next;
        for (struct proxy_flow *w = x->flows; w != NULL; w = next) {
            next = w->next;
            if (x->to.udp && w->used_ms < old)
                flow_free(w);
        }
    }
}
