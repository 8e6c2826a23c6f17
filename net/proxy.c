// SPDX-License-Identifier: Apache-2.0
#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROXY_BUFFER = 64 << 10,
    PROXY_FLOWS_MAX = 2048,   /* of all ports: a peer cannot take the memory */
    PROXY_VM_FLOWS_MAX = 512, /* and the peers of one VM not those of others */
    PROXY_SILENT_MS = 60000,  /* UDP peers, and TCP once one side has ended */
    PROXY_KEEPALIVE_S = 600, /* until an idle TCP peer is asked whether it is */
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
    bool hung;            /* over, but what `in` has is still to be sent */
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
    unsigned flow_count;
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
    p->flow_count--;
    p->all->flow_count--;
    free(w);
}

/* The UDP peer that is silent longest: of this port, else of this VM, else, if
 * `any` may be, of all. */
static struct proxy_flow *udp_oldest(const struct proxy_port *p, bool any)
{
    struct proxy_flow *best = NULL;
    int best_rank = any ? 0 : 1;
    for (const struct proxy_port *x = p->all->ports; x != NULL; x = x->next) {
        int rank = (x->to.vm == p->to.vm ? 1 : 0) + (x == p ? 1 : 0);
        if (!x->to.udp || rank < best_rank)
            continue;
        for (struct proxy_flow *w = x->flows; w != NULL; w = w->next) {
            if (best == NULL || rank > best_rank || w->used_ms <= best->used_ms)
                best = w;
            best_rank = rank;
        }
    }
    return best;
}

/* Is there room for one more? A UDP peer may have to go for it. */
static bool flow_fits(const struct proxy_port *p)
{
    unsigned of_vm = 0;
    for (const struct proxy_port *x = p->all->ports; x != NULL; x = x->next)
        if (x->to.vm == p->to.vm)
            of_vm += x->flow_count;
    bool vm_full = of_vm >= PROXY_VM_FLOWS_MAX;
    if (!vm_full && p->all->flow_count < PROXY_FLOWS_MAX)
        return true;
    struct proxy_flow *old = udp_oldest(p, !vm_full);
    if (old != NULL)
        flow_free(old);
    return old != NULL;
}

static struct proxy_flow *flow_new(struct proxy_port *p)
{
    if (!flow_fits(p))
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
    p->flow_count++;
    p->all->flow_count++;
    return w;
}

/* Wait for what each side can do next; nothing: the connection is over. */
static void flow_watch(struct proxy_flow *w)
{
    struct loop *l = w->port->all->loop;
    for (int i = 0; i < 2; i++) {
        struct proxy_side *s = &w->side[i];
        const struct proxy_pipe *other = &w->side[1 - i].in;
        uint32_t events = 0;
        s->hung = s->hung && s->in.size > 0;
        if (s->hung) { /* its state is told even to who waits for nothing */
            loop_forget(l, &s->f);
            continue;
        }
        if (w->connecting)
            events = i == 1 ? EPOLLOUT : 0;
        else
            events = (!s->in.ended && s->in.size == 0 ? EPOLLIN : 0U) |
                     (other->size > 0 ? EPOLLOUT : 0U);
        if (events != s->f.events && loop_watch(l, &s->f, events) < 0)
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
        s->flow->used_ms = loop_now_ms();
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
            from->flow->used_ms = loop_now_ms();
        }
    }
    if (p->ended && p->size == 0)
        (void)shutdown(to->f.fd, SHUT_WR);
}

static void side_ready(struct loop_fd *f, uint32_t events)
{
    struct proxy_side *s = (struct proxy_side *)f;
    struct proxy_flow *w = s->flow;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0) {
        /* Reset, not connected, or both ways ended. */
        s->hung = s->in.size > 0;
        w->dead = !s->hung;
    }
    w->connecting = w->connecting && s == &w->side[0];
    if (!w->dead && !w->connecting) {
        side_read(s);
        side_write(s);
        side_write(&w->side[s == &w->side[0] ? 1 : 0]);
    }
    flow_watch(w);
}

/* A peer that has gone without a word is noticed. */
static void tcp_keep_alive(int fd)
{
    const int on = 1;
    const int idle = PROXY_KEEPALIVE_S;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
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
    tcp_keep_alive(fd);
    tcp_keep_alive(guest);
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

/* May it be forgotten when it is silent? */
static bool flow_is_partial(const struct proxy_flow *w)
{
    bool partial = w->port->to.udp;
    for (int i = 0; i < 2; i++)
        partial = partial || w->side[i].in.ended || w->side[i].hung;
    return partial;
}

void proxy_tick(struct proxy *p)
{
    int64_t old = loop_now_ms() - PROXY_SILENT_MS;
    for (struct proxy_port *x = p->ports; x != NULL; x = x->next) {
        struct proxy_flow *next;
        for (struct proxy_flow *w = x->flows; w != NULL; w = next) {
            next = w->next;
            if (w->used_ms < old && flow_is_partial(w))
                flow_free(w);
        }
    }
}
