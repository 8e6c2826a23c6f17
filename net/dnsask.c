// SPDX-License-Identifier: Apache-2.0
/* Questions that others answer: a fresh socket, so a fresh port, and a fresh ID
 * for each server that is tried (RFC 5452). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dns_impl.h"

enum { DNSASK_PORT = 53 };

struct dnsask {
    struct loop_fd f; /* first; fd -1: none */
    struct dnsask *next;
    struct dns *dns;
    struct dns_from from;
    struct dnsmsg_query q; /* as it was asked */
    uint32_t vm;
    int64_t until_ms;
    unsigned server_count, at;
    struct net_addr server[NET_DNS_MAX];
    uint8_t *in; /* owned: an answer over TCP, length first */
    size_t in_size;
    size_t out_at;
    size_t size;                    /* of the message */
    uint8_t out[2 + DNS_QUERY_MAX]; /* length, and the message with our ID */
};

static bool ask_is_tcp(const struct dnsask *a)
{
    return a->from.conn != NULL;
}

static void ask_close(struct dnsask *a)
{
    if (a->f.fd < 0)
        return;
    loop_forget(a->dns->loop, &a->f);
    (void)close(a->f.fd);
    a->f.fd = -1;
}

void dnsask_free(struct dnsask *a)
{
    struct dns *d = a->dns;
    for (struct dnsask **at = &d->asks; *at != NULL; at = &(*at)->next) {
        if (*at == a) {
            *at = a->next;
            break;
        }
    }
    struct dnszone_host *h = dnszone_by_number(&d->zone, a->vm);
    if (h != NULL)
        h->asks--;
    if (a->from.conn != NULL)
        a->from.conn->ask = NULL;
    d->ask_count--;
    ask_close(a);
    free(a->in);
    free(a);
}

static int ask_connect(const struct net_addr *server, bool tcp)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET,
                             .sin_port = htons(DNSASK_PORT)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(DNSASK_PORT)};
    memcpy(&a4.sin_addr, server->b, 4);
    memcpy(&a6.sin6_addr, server->b, 16);
    int fd = socket(
        server->v6 ? AF_INET6 : AF_INET,
        (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const struct sockaddr *a = server->v6 ? (const struct sockaddr *)&a6
                                          : (const struct sockaddr *)&a4;
    if (connect(fd, a, server->v6 ? sizeof(a6) : sizeof(a4)) < 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Put the question to server `at`. */
static int ask_server(struct dnsask *a)
{
    ask_close(a);
    if (getrandom(a->out + 2, 2, GRND_NONBLOCK) != 2)
        return -errno;
    a->in_size = 0;
    a->out_at = 0;
    a->f.fd = ask_connect(&a->server[a->at], ask_is_tcp(a));
    if (a->f.fd < 0)
        return -EIO;
    a->until_ms = loop_now_ms() + DNS_SERVER_MS;
    if (ask_is_tcp(a))
        return loop_watch(a->dns->loop, &a->f, EPOLLOUT);
    if (send(a->f.fd, a->out + 2, a->size, MSG_NOSIGNAL) < 0)
        return -errno;
    return loop_watch(a->dns->loop, &a->f, EPOLLIN);
}

/* It is over: the asker hears `m`. */
static void ask_end(struct dnsask *a, uint8_t *m, size_t size)
{
    struct dns *d = a->dns;
    const struct dns_from from = a->from;
    m[0] = (uint8_t)(a->q.id >> 8);
    m[1] = (uint8_t)a->q.id;
    if (!ask_is_tcp(a) && size > a->q.udp_size)
        size = dnsmsg_truncate(m, a->q.question);
    uint8_t *kept = a->in;
    a->in = NULL; /* `m` may be in it */
    dnsask_free(a);
    dns_reply(d, &from, m, size);
    free(kept);
}

/* Another server, from `at` on, or SERVFAIL. */
static void ask_try(struct dnsask *a)
{
    for (; a->at < a->server_count; a->at++)
        if (ask_server(a) == 0)
            return;
    struct dns *d = a->dns;
    const struct dns_from from = a->from;
    const struct dnsmsg_query q = a->q;
    uint8_t m[DNSMSG_HEADER + DNSMSG_NAME_SIZE + 4];
    memcpy(m, a->out + 2, q.question);
    m[0] = (uint8_t)(q.id >> 8);
    m[1] = (uint8_t)q.id;
    dnsask_free(a);
    dns_reply_code(d, &from, m, &q, DNSMSG_SERVFAIL);
}

static void ask_next(struct dnsask *a)
{
    a->at++;
    ask_try(a);
}

/* A message came. What answers another question is left alone. */
static void ask_take(struct dnsask *a, uint8_t *m, size_t size)
{
    if (!dnsmsg_answers(m, size, a->out + 2, a->q.question)) {
        if (ask_is_tcp(a))
            ask_next(a);
        return;
    }
    enum dnsmsg_rcode code = dnsmsg_rcode(m);
    bool refused = code == DNSMSG_SERVFAIL || code == DNSMSG_NOTIMP ||
                   code == DNSMSG_REFUSED;
    if (refused && a->at + 1 < a->server_count)
        ask_next(a);
    else
        ask_end(a, m, size);
}

static void ask_write(struct dnsask *a)
{
    ssize_t n = send(a->f.fd, a->out + a->out_at, 2 + a->size - a->out_at,
                     MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        ask_next(a);
        return;
    }
    a->out_at += (size_t)n;
    if (a->out_at == 2 + a->size &&
        loop_watch(a->dns->loop, &a->f, EPOLLIN) < 0)
        ask_next(a);
}

static void ask_read(struct dnsask *a)
{
    if (a->in == NULL)
        a->in = calloc(1, 2 + DNSMSG_MAX);
    if (a->in == NULL) {
        ask_next(a);
        return;
    }
    size_t want = 2;
    if (a->in_size >= 2)
        want += (size_t)(a->in[0] << 8 | a->in[1]);
    ssize_t n = recv(a->f.fd, a->in + a->in_size, want - a->in_size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        ask_next(a);
        return;
    }
    a->in_size += (size_t)n;
    if (a->in_size > 2 && a->in_size == want)
        ask_take(a, a->in + 2, a->in_size - 2);
    else if (a->in_size == 2 && a->in[0] == 0 && a->in[1] == 0)
        ask_next(a);
}

static void ask_ready(struct loop_fd *f, uint32_t events)
{
    struct dnsask *a = (struct dnsask *)f;
    static uint8_t m[DNSMSG_MAX];
    (void)events;
    if (ask_is_tcp(a)) {
        if (a->out_at < 2 + a->size)
            ask_write(a);
        else
            ask_read(a);
        return;
    }
    ssize_t n = recv(f->fd, m, sizeof(m), 0);
    if (n >= 0)
        ask_take(a, m, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR)
        ask_next(a); /* nobody listens there */
}

int dnsask_start(struct dns *d, struct dnszone_host *h,
                 const struct dns_from *from, const uint8_t *m, size_t size,
                 const struct dnsmsg_query *q)
{
    struct net_addr server[NET_DNS_MAX];
    unsigned count = dnszone_servers(&d->zone, h, server);
    if (count == 0)
        return -ENOENT;
    if (h->asks >= DNS_VM_ASKS || d->ask_count >= DNS_ASKS ||
        size > DNS_QUERY_MAX)
        return -EDQUOT;
    struct dnsask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -EDQUOT;
    a->f = (struct loop_fd){.fd = -1, .ready = ask_ready};
    a->next = d->asks;
    a->dns = d;
    a->from = *from;
    a->q = *q;
    a->vm = h->vm.number;
    a->server_count = count;
    memcpy(a->server, server, sizeof(server));
    a->size = size;
    a->out[0] = (uint8_t)(size >> 8);
    a->out[1] = (uint8_t)size;
    memcpy(a->out + 2, m, size);
    d->asks = a;
    d->ask_count++;
    h->asks++;
    if (from->conn != NULL)
        from->conn->ask = a;
    ask_try(a);
    return 0;
}

void dnsask_drop(struct dns *d, uint32_t vm, const struct dns_ear *ear)
{
    struct dnsask *next;
    for (struct dnsask *a = d->asks; a != NULL; a = next) {
        next = a->next;
        if (ear != NULL ? a->from.ear == ear : a->vm == vm)
            dnsask_free(a);
    }
}

void dnsask_tick(struct dns *d, int64_t now_ms)
{
    struct dnsask *next;
    for (struct dnsask *a = d->asks; a != NULL; a = next) {
        next = a->next;
        if (now_ms >= a->until_ms)
            ask_next(a);
    }
}
