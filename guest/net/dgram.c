// SPDX-License-Identifier: Apache-2.0
/* Datagram sockets below their protocols: queue, reading, connecting. */
#include "guest/net/dgram.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/poll.h"
#include "guest/net/netif.h"
#include "guest/net/udp.h"

/* --- life --- */

static void dgram_free(struct inet_sock *k)
{
    struct dgram_sock *d = CONTAINER_OF(k, struct dgram_sock, k);
    LIST_FOR_SAFE(it, next, &d->queue)
    packet_free(LIST_ENTRY(it, struct packet, node));
    dgram_free_errors(d);
    udp_cork_free(d);
    kfree(d);
}

int dgram_new(uint16_t family, uint16_t type, struct inet_table *t,
              struct dgram_sock **out)
{
    struct dgram_sock *d = kzalloc(sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    inet_init(&d->k, family, type, t);
    d->k.free = dgram_free;
    mutex_init(&d->read_lock);
    list_init(&d->queue);
    list_init(&d->raw_node);
    list_init(&d->errors);
    *out = d;
    return 0;
}

void dgram_release(struct socket *s)
{
    struct dgram_sock *d = dgram_of(s);
    if (d->k.table != NULL)
        inet_unhash(&d->k);
    inet_leave_groups(&d->k);
    spin_lock(&d->k.lock);
    d->dead = true;
    spin_unlock(&d->k.lock);
    inet_put(&d->k);
}

/* --- in --- */

void dgram_push(struct dgram_sock *d, struct packet *p)
{
    packet_compact(p);
    uint32_t charge = packet_charge(p);
    if (socket_option_on(&d->k.s, LX_SO_TIMESTAMP) ||
        socket_option_on(&d->k.s, LX_SO_TIMESTAMPNS))
        p->stamp = clock_wall();
    spin_lock(&d->k.lock);
    bool fits = d->charge < d->k.s.rcvbuf && !d->dead;
    if (fits) {
        list_add_tail(&d->queue, &p->node);
        d->count++;
        d->charge += charge;
    } else {
        d->drops++;
    }
    spin_unlock(&d->k.lock);
    if (!fits) {
        packet_free(p);
        return;
    }
    waitq_wake(&d->k.s.in_wait, EPOLLIN | EPOLLRDNORM, 1);
}

void dgram_error(struct dgram_sock *d, int error)
{
    __atomic_store_n(&d->k.s.error, error, __ATOMIC_RELEASE);
    waitq_wake(&d->k.s.in_wait, EPOLLIN | EPOLLOUT | EPOLLERR, WAKE_ALL);
    waitq_wake(&d->k.s.out_wait, EPOLLIN | EPOLLOUT | EPOLLERR, WAKE_ALL);
}

/* --- reading --- */

/* The first packet, off the queue unless `peek`. NULL: *why. read_lock held. */
static struct packet *dgram_take(struct dgram_sock *d, bool peek, int *why)
{
    struct packet *p = NULL;
    *why = socket_error(&d->k.s);
    if (*why < 0)
        return NULL;
    spin_lock(&d->k.lock);
    if (!list_empty(&d->queue)) {
        p = LIST_ENTRY(d->queue.next, struct packet, node);
        if (!peek) {
            list_remove(&p->node);
            d->count--;
            d->charge -= packet_charge(p);
        }
    } else {
        *why = (d->shut & DGRAM_SHUT_RECV) != 0 ? 0 : -EAGAIN;
    }
    spin_unlock(&d->k.lock);
    return p;
}

static int64_t packet_give(const struct packet *p, struct uio *u)
{
    uint64_t n = MIN(u->left, (uint64_t)p->size);
    uint64_t part = MIN(n, (uint64_t)p->head_size);
    if (part > 0 && uio_put(u, p->head + p->head_off, part) != (int64_t)part)
        return -EFAULT;
    uint64_t left = n - part;
    for (unsigned i = 0; left > 0; i++) {
        const struct packet_frag *f = &p->frags[i];
        part = MIN(left, (uint64_t)f->size);
        const uint8_t *from = (const uint8_t *)page_virt(f->page) + f->off;
        if (uio_put(u, from, part) != (int64_t)part)
            return -EFAULT;
        left -= part;
    }
    return (int64_t)n;
}

static int64_t dgram_give(struct dgram_sock *d, struct message *m,
                          const struct packet *p)
{
    if (m->u->left < p->size)
        m->got |= LX_MSG_TRUNC;
    int64_t r = packet_give(p, m->u);
    if (r < 0)
        return r;
    if (m->addr != NULL)
        inet_addr_put(&d->k, &p->src, p->sport, p->netif->index, m->addr);
    inet_control_give(&d->k, p, m);
    return (m->flags & LX_MSG_TRUNC) != 0 ? (int64_t)p->size : r;
}

static bool dgram_ready(struct dgram_sock *d)
{
    spin_lock(&d->k.lock);
    bool r = !list_empty(&d->queue) || d->k.s.error != 0 ||
             (d->shut & DGRAM_SHUT_RECV) != 0;
    spin_unlock(&d->k.lock);
    return r;
}

/* One try: 1: *n is the answer. */
static int recv_once(struct dgram_sock *d, struct message *m, int64_t *n)
{
    bool peek = (m->flags & LX_MSG_PEEK) != 0;
    int why;
    mutex_lock(&d->read_lock);
    struct packet *p = dgram_take(d, peek, &why);
    if (p != NULL && peek)
        *n = dgram_give(d, m, p);
    mutex_unlock(&d->read_lock);
    if (p == NULL)
        return why;
    if (!peek) {
        *n = dgram_give(d, m, p);
        packet_free(p);
    }
    return 1;
}

int64_t dgram_recv(struct socket *s, struct message *m)
{
    struct dgram_sock *d = dgram_of(s);
    nsec_t deadline = socket_deadline(s->recv_timeout);
    int64_t n = 0;
    if ((m->flags & LX_MSG_OOB) != 0 && s->protocol != LX_IPPROTO_UDP)
        return -EOPNOTSUPP;
    if ((m->flags & LX_MSG_ERRQUEUE) != 0)
        return dgram_recv_error(d, m);
    for (;;) {
        int r = recv_once(d, m, &n);
        if (r == 1)
            return n;
        if (r == 0 && (m->flags & LX_MSG_DONTWAIT) != 0)
            return -EAGAIN; /* shut down: only who waits is told */
        if (r != -EAGAIN || (m->flags & LX_MSG_DONTWAIT) != 0)
            return r;
        WAIT_FOR(r, &s->in_wait, dgram_ready(d), WAIT_SIGNALS, deadline);
        if (r < 0)
            return socket_wait_error(r, s->recv_timeout);
    }
}

uint32_t dgram_poll(struct socket *s, struct poll_table *pt)
{
    struct dgram_sock *d = dgram_of(s);
    uint32_t bits = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    poll_add(pt, &s->in_wait);
    poll_add(pt, &s->out_wait);
    spin_lock(&d->k.lock);
    if (s->error != 0 || !list_empty(&d->errors))
        bits |= EPOLLERR;
    if ((d->shut & DGRAM_SHUT_RECV) != 0)
        bits |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (d->shut == (DGRAM_SHUT_RECV | DGRAM_SHUT_SEND))
        bits |= EPOLLHUP;
    if (!list_empty(&d->queue))
        bits |= EPOLLIN | EPOLLRDNORM;
    spin_unlock(&d->k.lock);
    return bits;
}

int64_t dgram_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    struct dgram_sock *d = dgram_of(s);
    uint32_t n = 0;
    if (cmd != LX_SIOCINQ && cmd != LX_SIOCOUTQ)
        return inet_ioctl(s, cmd, arg);
    spin_lock(&d->k.lock);
    if (cmd == LX_SIOCINQ && !list_empty(&d->queue))
        n = LIST_ENTRY(d->queue.next, struct packet, node)->size;
    spin_unlock(&d->k.lock);
    return put_user_u32(uptr(arg), n);
}

/* --- connections --- */

static void dgram_disconnect(struct dgram_sock *d)
{
    struct inet_sock *k = &d->k;
    spin_lock(&k->lock);
    k->remote = k->s.family == LX_AF_INET ? ip_any4 : ip_any6;
    k->rport = 0;
    k->connected = false;
    if (!k->addr_locked)
        k->local = k->remote;
    if (!k->port_locked)
        k->lport = 0;
    spin_unlock(&k->lock);
    if (k->table != NULL)
        inet_disconnected(k);
}

int dgram_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct inet_sock *k = inet_of(s);
    struct ip_addr to;
    struct ip_route route;
    struct ip_send how;
    uint16_t port;
    uint32_t scope;
    (void)nonblock; /* there is nothing to wait for */
    if (a->size < sizeof(a->family))
        return -EINVAL;
    if (a->family == LX_AF_UNSPEC) {
        dgram_disconnect(dgram_of(s));
        return 0;
    }
    int r = inet_addr_get(k, a, &to, &port, &scope);
    if (s->protocol != LX_IPPROTO_UDP)
        port = 0;
    if (r == 0)
        r = inet_route(k, &to, scope, &route, &how);
    if (r == 0 && k->table != NULL)
        r = inet_autobind(k);
    if (r < 0)
        return r;
    spin_lock(&k->lock);
    if (ip_is_any(&k->local))
        k->local = how.src;
    k->remote = how.dst;
    k->rport = port;
    k->connected = true;
    if (scope != 0)
        k->oif = scope;
    spin_unlock(&k->lock);
    return k->table != NULL ? inet_hash(k) : 0;
}

int dgram_listen(struct socket *s, int backlog)
{
    (void)s;
    (void)backlog;
    return -EOPNOTSUPP;
}

int dgram_accept(struct socket *s, bool nonblock, struct socket **out)
{
    (void)s;
    (void)nonblock;
    (void)out;
    return -EOPNOTSUPP;
}

int dgram_shutdown(struct socket *s, int how)
{
    struct dgram_sock *d = dgram_of(s);
    if (how < LX_SHUT_RD || how > LX_SHUT_RDWR)
        return -EINVAL;
    spin_lock(&d->k.lock);
    bool connected = d->k.connected;
    d->shut |= (uint32_t)how + 1;
    spin_unlock(&d->k.lock);
    waitq_wake(&s->in_wait, EPOLLHUP, WAKE_ALL);
    waitq_wake(&s->out_wait, EPOLLHUP, WAKE_ALL);
    return connected ? 0 : -ENOTCONN;
}

const struct socket_ops dgram_ops = {
    .bind = inet_bind,
    .connect = dgram_connect,
    .listen = dgram_listen,
    .accept = dgram_accept,
    .name = inet_name,
    .shutdown = dgram_shutdown,
};

/* --- sending --- */

static int send_target(struct dgram_sock *d, const struct net_addr *a,
                       struct ip_addr *to, uint16_t *port, uint32_t *scope)
{
    struct inet_sock *k = &d->k;
    *scope = 0;
    if (a != NULL && k->s.family == LX_AF_INET6 &&
        a->size >= sizeof(a->family) && a->family == LX_AF_UNSPEC)
        a = NULL;
    if (a != NULL)
        return inet_addr_get(k, a, to, port, scope);
    spin_lock(&k->lock);
    bool connected = k->connected;
    *to = k->remote;
    *port = k->rport;
    spin_unlock(&k->lock);
    return connected ? 0 : -EDESTADDRREQ;
}

int dgram_send_begin(struct dgram_sock *d, const struct message *m,
                     struct dgram_send *out)
{
    struct ip_addr to, src = {.q = {0}};
    uint32_t oif;
    *out = (struct dgram_send){.segment = d->segment};
    bool oob = (m->flags & LX_MSG_OOB) != 0;
    bool six = d->k.s.family == LX_AF_INET6;
    if (oob && !(six && d->k.s.protocol == LX_IPPROTO_UDP))
        return -EOPNOTSUPP;
    if ((d->shut & DGRAM_SHUT_SEND) != 0)
        return -EPIPE;
    int r = send_target(d, m->addr, &to, &out->port, &oif);
    if (r == 0 && oob && ip_is4(&to))
        r = -EOPNOTSUPP; /* UDP over IPv6 ignores it, as Linux does */
    if (r == 0)
        r = socket_error(&d->k.s);
    if (r == 0)
        r = inet_route(&d->k, &to, oif, &out->route, &out->how);
    if (r == 0 && m->control.raw != NULL) {
        r = inet_control_parse(&d->k, m, out, &oif, &src);
        if (r == 0 && (oif != 0 || !ip_is_any(&src))) {
            r = ip_route(&out->route, &out->how.dst, &src, oif);
            out->how.src = out->route.src;
        }
    }
    return r;
}

/* More of the bytes, into blocks of pages. */
static int packet_fill(struct packet *p, struct uio *u, uint32_t n)
{
    while (n > 0) {
        unsigned order = 0;
        while (order < 3 && PAGE_SIZE << order < n)
            order++;
        paddr_t pa = page_alloc(order, 0);
        if (pa == 0 && order > 0) {
            order = 0;
            pa = page_alloc(0, 0);
        }
        if (pa == 0)
            return -ENOBUFS;
        uint32_t part = (uint32_t)MIN((uint64_t)n, PAGE_SIZE << order);
        int r = uio_get(u, page_virt(pa), part) == (int64_t)part ? 0 : -EFAULT;
        if (r == 0 && packet_add(p, pa, 0, part) < 0)
            r = -ENOBUFS;
        page_put(pa);
        if (r < 0)
            return r;
        n -= part;
    }
    return 0;
}

int dgram_packet(struct uio *u, uint16_t room, struct packet **out)
{
    struct packet *p = packet_new(room);
    uint32_t n = (uint32_t)u->left;
    if (p == NULL)
        return -ENOBUFS;
    int r;
    void *at = n <= PACKET_ROOM ? packet_append(p, (uint16_t)n) : NULL;
    if (at != NULL)
        r = n == 0 || uio_get(u, at, n) == (int64_t)n ? 0 : -EFAULT;
    else
        r = packet_fill(p, u, n);
    if (r < 0) {
        packet_free(p);
        return r;
    }
    *out = p;
    return 0;
}
