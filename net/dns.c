// SPDX-License-Identifier: Apache-2.0
#include "net/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dns_impl.h"

struct dns *dns_new(struct loop *l)
{
    struct dns *d = calloc(1, sizeof(*d));
    if (d != NULL)
        d->loop = l;
    return d;
}

struct dnszone *dns_zone(struct dns *d)
{
    return &d->zone;
}

/* ---- answers ---- */

static void conn_free(struct dns_conn *c)
{
    struct dns *d = c->dns;
    for (struct dns_conn **at = &d->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    if (c->ask != NULL)
        dnsask_free(c->ask);
    struct dnszone_host *h = dnszone_by_number(&d->zone, c->vm);
    if (h != NULL)
        h->conns--;
    loop_forget(d->loop, &c->f);
    (void)close(c->f.fd);
    d->conn_count--;
    free(c->out);
    free(c);
}

static void conn_reply(struct dns_conn *c, const uint8_t *m, size_t size)
{
    c->out = malloc(2 + size);
    if (c->out == NULL || loop_watch(c->dns->loop, &c->f, EPOLLOUT) < 0) {
        conn_free(c);
        return;
    }
    c->out[0] = (uint8_t)(size >> 8);
    c->out[1] = (uint8_t)size;
    memcpy(c->out + 2, m, size);
    c->out_at = 0;
    c->out_size = 2 + size;
}

void dns_reply(struct dns *d, const struct dns_from *from, const uint8_t *m,
               size_t size)
{
    (void)d;
    if (from->conn != NULL)
        conn_reply(from->conn, m, size);
    else
        (void)sendto(from->ear->f.fd, m, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)&from->peer, sizeof(from->peer));
}

void dns_reply_code(struct dns *d, const struct dns_from *from,
                    const uint8_t *m, const struct dnsmsg_query *q,
                    enum dnsmsg_rcode code)
{
    struct dnsmsg_reply r = {.data = d->out};
    dnsmsg_start(&r, m, q, code, DNSMSG_UDP_MIN);
    dnsmsg_end(&r);
    dns_reply(d, from, r.data, r.size);
}

/* Every address of a name, another one first each time. */
static void reply_addrs(struct dns *d, struct dnsmsg_reply *r, unsigned count)
{
    uint32_t first = 0;
    if (getrandom(&first, sizeof(first), GRND_NONBLOCK) < 0)
        first = d->turn++;
    for (unsigned i = 0; i < count; i++)
        dnsmsg_add_addr(r, &d->found[(first % count + i) % count]);
}

/* Is it about a container? Then `r` has the answer. */
static bool dns_local(struct dns *d, const struct dnszone_host *h,
                      const uint8_t *m, const struct dnsmsg_query *q,
                      struct dnsmsg_reply *r)
{
    char name[LEASE_NAME_SIZE + STORE_NAME_SIZE];
    struct net_addr a;
    if (!q->internet || !q->plain || q->name[0] == '\0')
        return false;
    if (q->type == DNSMSG_PTR) {
        if (dnsmsg_reverse(q->name, &a) < 0 ||
            dnszone_reverse(&d->zone, h, &a, name) < 0)
            return false;
        dnsmsg_start(r, m, q, DNSMSG_OK, r->max);
        dnsmsg_add_ptr(r, name);
        dnsmsg_end(r);
        return true;
    }
    int n =
        dnszone_find(&d->zone, h, q->name, q->type == DNSMSG_AAAA, d->found);
    if (n < 0)
        return false;
    /* Records of other types it has none: as docker. */
    dnsmsg_start(r, m, q, DNSMSG_OK, r->max);
    if (q->type == DNSMSG_A || q->type == DNSMSG_AAAA)
        reply_addrs(d, r, (unsigned)n);
    dnsmsg_end(r);
    return true;
}

static void dns_handle(struct dns *d, struct dnszone_host *h,
                       const struct dns_from *from, const uint8_t *m,
                       size_t size)
{
    struct dnsmsg_query q;
    int code = dnsmsg_parse(m, size, &q);
    if (code == -EINVAL || code == -EOPNOTSUPP) {
        dns_reply_code(d, from, m, NULL,
                       code == -EINVAL ? DNSMSG_FORMERR : DNSMSG_NOTIMP);
        return;
    }
    if (code < 0) {
        if (from->conn != NULL)
            conn_free(from->conn);
        return;
    }
    struct dnsmsg_reply r = {
        .data = d->out, .max = from->conn != NULL ? DNSMSG_MAX : q.udp_size};
    if (dns_local(d, h, m, &q, &r)) {
        dns_reply(d, from, r.data, r.size);
        return;
    }
    code = dnsask_start(d, h, from, m, size, &q);
    /* Who asks too much hears nothing, and asks again later. */
    if (code < 0 && (code != -EDQUOT || from->conn != NULL))
        dns_reply_code(d, from, m, &q, DNSMSG_SERVFAIL);
}

/* ---- early ---- */

/* The launcher does not wait for us to know a VM: it may ask before. */
static void early_free(struct dns_early *y)
{
    if (y->ear != NULL && !y->ear->udp)
        (void)close(y->fd);
    y->ear = NULL;
}

static struct dns_early *early_new(struct dns_ear *x,
                                   const struct sockaddr_in *peer)
{
    struct dns *d = x->dns;
    struct dns_early *y = &d->early[d->early_next++ % DNS_EARLY];
    early_free(y);
    *y = (struct dns_early){.ear = x, .peer = *peer, .since_ms = loop_now_ms()};
    return y;
}

/* ---- UDP ---- */

static void udp_ready(struct dns_ear *x)
{
    uint8_t m[DNS_QUERY_MAX];
    struct dns_from from = {.ear = x};
    socklen_t size = sizeof(from.peer);
    ssize_t n = recvfrom(x->f.fd, m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC,
                         (struct sockaddr *)&from.peer, &size);
    if (n < 0 || (size_t)n > sizeof(m) || size != sizeof(from.peer))
        return;
    struct dnszone_host *h = dnszone_asker(
        &x->dns->zone, x->network, (const uint8_t *)&from.peer.sin_addr.s_addr);
    if (h != NULL) {
        dns_handle(x->dns, h, &from, m, (size_t)n);
    } else if ((size_t)n <= DNSMSG_UDP_MIN) {
        struct dns_early *y = early_new(x, &from.peer);
        memcpy(y->m, m, (size_t)n);
        y->size = (size_t)n;
    }
}

/* ---- TCP ---- */

/* The question that is complete, if one is. */
static void conn_handle(struct dns_conn *c)
{
    uint8_t m[DNS_QUERY_MAX];
    const struct dns_from from = {.ear = c->ear, .conn = c};
    size_t size = c->in_size >= 2 ? (size_t)(c->in[0] << 8 | c->in[1]) : 0;
    if (c->in_size < 2 || (size <= DNS_QUERY_MAX && c->in_size < 2 + size)) {
        if (loop_watch(c->dns->loop, &c->f, EPOLLIN) < 0)
            conn_free(c);
        return;
    }
    struct dnszone_host *h = dnszone_by_number(&c->dns->zone, c->vm);
    if (size > DNS_QUERY_MAX || h == NULL) {
        conn_free(c);
        return;
    }
    memcpy(m, c->in + 2, size);
    c->in_size -= 2 + size;
    memmove(c->in, c->in + 2 + size, c->in_size);
    /* The next question waits for this one's answer. */
    if (loop_watch(c->dns->loop, &c->f, 0) < 0)
        conn_free(c);
    else
        dns_handle(c->dns, h, &from, m, size);
}

static void conn_write(struct dns_conn *c)
{
    ssize_t n = send(c->f.fd, c->out + c->out_at, c->out_size - c->out_at,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_free(c);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at < c->out_size)
        return;
    free(c->out);
    c->out = NULL;
    conn_handle(c);
}

static void conn_read(struct dns_conn *c)
{
    ssize_t n = recv(c->f.fd, c->in + c->in_size, sizeof(c->in) - c->in_size,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_free(c);
        return;
    }
    c->in_size += (size_t)n;
    conn_handle(c);
}

static void conn_ready(struct loop_fd *f, uint32_t events)
{
    struct dns_conn *c = (struct dns_conn *)f;
    c->used_ms = loop_now_ms();
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        conn_free(c);
    else if (c->out != NULL)
        conn_write(c);
    else if (c->ask == NULL)
        conn_read(c);
}

/* Takes over `fd`. */
static void conn_new(struct dns_ear *x, struct dnszone_host *h, int fd)
{
    struct dns *d = x->dns;
    struct dns_conn *c = NULL;
    if (h->conns < DNS_VM_CONNS && d->conn_count < DNS_CONNS)
        c = calloc(1, sizeof(*c));
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    *c = (struct dns_conn){.f = {.fd = fd, .ready = conn_ready},
                           .next = d->conns,
                           .dns = d,
                           .ear = x,
                           .vm = h->vm.number,
                           .used_ms = loop_now_ms()};
    d->conns = c;
    d->conn_count++;
    h->conns++;
    if (loop_watch(d->loop, &c->f, EPOLLIN) < 0)
        conn_free(c);
}

static void tcp_ready(struct dns_ear *x)
{
    struct dns *d = x->dns;
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof(peer);
    int fd = accept4(x->f.fd, (struct sockaddr *)&peer, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct dnszone_host *h = dnszone_asker(
        &d->zone, x->network, (const uint8_t *)&peer.sin_addr.s_addr);
    if (h != NULL)
        conn_new(x, h, fd);
    else
        early_new(x, &peer)->fd = fd;
}

/* ---- life ---- */

void dns_set_vm(struct dns *d, const struct dnszone_vm *v)
{
    dnszone_set_vm(&d->zone, v);
    struct dnszone_host *h = dnszone_by_number(&d->zone, v->number);
    for (unsigned i = 0; h != NULL && i < DNS_EARLY; i++) {
        struct dns_early *y = &d->early[i];
        const struct dns_from from = {.ear = y->ear, .peer = y->peer};
        if (y->ear == NULL || y->ear->network != v->network ||
            memcmp(&y->peer.sin_addr, v->ip4.b, 4) != 0)
            continue;
        y->ear = NULL;
        if (!from.ear->udp)
            conn_new(from.ear, h, y->fd);
        else if (loop_now_ms() - y->since_ms < DNS_SILENT_MS)
            dns_handle(d, h, &from, y->m, y->size);
    }
}

static void ear_ready(struct loop_fd *f, uint32_t events)
{
    struct dns_ear *x = (struct dns_ear *)f;
    (void)events;
    if (x->udp)
        udp_ready(x);
    else
        tcp_ready(x);
}

void dns_listen(struct dns *d, uint32_t network, bool udp, int fd)
{
    struct dns_ear *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        (void)close(fd);
        return;
    }
    *x = (struct dns_ear){.f = {.fd = fd, .ready = ear_ready},
                          .next = d->ears,
                          .dns = d,
                          .network = network,
                          .udp = udp};
    d->ears = x;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)loop_watch(d->loop, &x->f, EPOLLIN);
}

static void conn_drop(struct dns *d, uint32_t vm, const struct dns_ear *ear)
{
    struct dns_conn *next;
    for (struct dns_conn *c = d->conns; c != NULL; c = next) {
        next = c->next;
        if (ear != NULL ? c->ear == ear : c->vm == vm)
            conn_free(c);
    }
}

void dns_drop_network(struct dns *d, uint32_t network)
{
    struct dns_ear **at = &d->ears;
    while (*at != NULL) {
        struct dns_ear *x = *at;
        if (x->network != network) {
            at = &x->next;
            continue;
        }
        for (unsigned i = 0; i < DNS_EARLY; i++)
            if (d->early[i].ear == x)
                early_free(&d->early[i]);
        conn_drop(d, 0, x);
        dnsask_drop(d, 0, x);
        loop_forget(d->loop, &x->f);
        (void)close(x->f.fd);
        *at = x->next;
        free(x);
    }
    dnszone_drop_network(&d->zone, network);
}

void dns_drop_vm(struct dns *d, uint32_t number)
{
    conn_drop(d, number, NULL);
    dnsask_drop(d, number, NULL);
    dnszone_drop_vm(&d->zone, number);
}

int dns_tick(struct dns *d)
{
    int64_t now = loop_now_ms();
    struct dns_conn *next;
    for (struct dns_conn *c = d->conns; c != NULL; c = next) {
        next = c->next;
        if (now - c->used_ms > DNS_SILENT_MS)
            conn_free(c);
    }
    for (unsigned i = 0; i < DNS_EARLY; i++)
        if (now - d->early[i].since_ms > DNS_SILENT_MS)
            early_free(&d->early[i]);
    dnsask_tick(d, now);
    return d->conns != NULL || d->asks != NULL ? DNS_TICK_MS : -1;
}
