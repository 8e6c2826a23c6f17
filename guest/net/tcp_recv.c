// SPDX-License-Identifier: Apache-2.0
/* Receiving and readiness. One reader at a time holds read_lock, which keeps
 * the queue's head alive while it is copied without the socket's lock. recv(2),
 * poll(2), tcp(7). */
#include "abi/linux/errno.h"

#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

struct reading {
    struct tcp_sock *t;
    struct message *m;
    uint64_t left;   /* bytes that are still wanted */
    int64_t done;    /* bytes so far */
    uint64_t target; /* done enough */
    uint32_t behind; /* peek: bytes passed from copied_seq on */
    bool peek, drop;
    bool marked; /* the urgent mark is next */
};

/* --- copying; read_lock held --- */

/* What comes next, as one piece; apart: a byte that is not read. 0: nothing. */
static uint32_t piece(struct reading *r, uint8_t **at, bool *apart)
{
    struct tcp_sock *t = r->t;
    uint32_t n = 0, skip = r->behind, seq = t->copied_seq + r->behind;
    spin_lock(&t->k.lock);
    LIST_FOR(it, &t->recv_queue)
    {
        const struct tcp_data *d = LIST_ENTRY(it, struct tcp_data, node);
        if (skip < d->size) {
            *at = tcp_data_at(d) + skip;
            n = d->size - skip;
            break;
        }
        skip -= d->size;
    }
    *apart = false;
    r->marked = false;
    if (n != 0 && (t->urgent != TCP_URGENT_NONE || t->has_hole)) {
        n = tcp_urgent_limit(t, seq, n, r->done > 0, apart);
        r->marked = n == 0;
    }
    spin_unlock(&t->k.lock);
    return n;
}

/* `n` bytes of the first piece were read. */
static void consume(struct tcp_sock *t, uint32_t n)
{
    struct tcp_data *gone = NULL;
    spin_lock(&t->k.lock);
    struct tcp_data *d = LIST_ENTRY(t->recv_queue.next, struct tcp_data, node);
    d->seq += n;
    d->off += n;
    d->size -= n;
    t->copied_seq += n;
    tcp_urgent_passed(t);
    if (d->size == 0) {
        list_remove(&d->node);
        t->rcv_charge -= d->charge;
        gone = d;
    }
    spin_unlock(&t->k.lock);
    tcp_data_free(gone);
}

static void pass(struct reading *r, uint32_t n)
{
    if (r->peek)
        r->behind += n;
    else
        consume(r->t, n);
}

/* Bytes, or -EFAULT if there were none. */
static int64_t copy_some(struct reading *r)
{
    int64_t total = 0;
    while (r->left > 0) {
        uint8_t *at;
        bool apart;
        uint32_t n = piece(r, &at, &apart);
        if (n == 0)
            break;
        if (apart) {
            pass(r, n);
            continue;
        }
        n = (uint32_t)MIN((uint64_t)n, r->left);
        int64_t got = r->drop ? n : uio_put(r->m->u, at, n);
        if (got <= 0)
            return total > 0 ? total : -EFAULT;
        pass(r, (uint32_t)got);
        total += got;
        r->done += got;
        r->left -= (uint64_t)got;
    }
    return total;
}

/* The peer learns of room, and of what was read, when it matters: RFC 9293,
 * 3.8.6.2.2. */
static void after_read(struct tcp_sock *t)
{
    spin_lock(&t->k.lock);
    tcp_tune_receive(t);
    uint32_t edge = t->rcv_wup + t->rcv_wnd;
    uint32_t now = seq_lt(t->rcv_nxt, edge) ? edge - t->rcv_nxt : 0;
    uint32_t space = t->k.s.rcvbuf / 2, used = t->rcv_nxt - t->copied_seq;
    uint32_t room = space > used ? space - used : 0;
    bool ack = t->ack_due > t->rcv_mss ||
               (t->ack_due != 0 && !t->pingpong && used == 0);
    bool grown = room >= 2 * now && room - now >= MIN(t->rcv_mss, space / 2);
    if ((ack || grown) && !t->eof && TCP_IN(t->state, TCP_SET_RECV))
        tcp_send_ack(t);
    tcp_unlock(t);
    net_flush();
}

/* --- when there is nothing --- */

/* 0: the end; -EAGAIN: wait; -errno. */
static int recv_state(struct tcp_sock *t)
{
    int r = -EAGAIN;
    spin_lock(&t->k.lock);
    if (t->eof)
        r = 0;
    else if (t->k.s.error != 0)
        r = socket_error(&t->k.s);
    else if ((t->shut & TCP_SHUT_RECV) != 0)
        r = 0;
    else if (t->state == TCP_CLOSE || t->state == TCP_LISTEN)
        r = -ENOTCONN;
    spin_unlock(&t->k.lock);
    return r;
}

/* Is there more behind `skip` bytes, or no use to wait? */
static bool recv_ready(struct tcp_sock *t, uint64_t skip)
{
    spin_lock(&t->k.lock);
    bool r = tcp_queued(t) > skip || t->eof || t->k.s.error != 0 ||
             (t->shut & TCP_SHUT_RECV) != 0 || t->state == TCP_CLOSE;
    spin_unlock(&t->k.lock);
    return r;
}

static int recv_wait(struct tcp_sock *t, uint64_t skip, nsec_t deadline)
{
    int r;
    WAIT_FOR(r, &t->k.s.in_wait, recv_ready(t, skip), WAIT_SIGNALS, deadline);
    return r < 0 ? socket_wait_error(r, t->k.s.recv_timeout) : 0;
}

/* What was read so far is all there will be. */
static bool recv_over(const struct tcp_sock *t)
{
    return t->eof || t->k.s.error != 0 || t->state == TCP_CLOSE ||
           (t->shut & TCP_SHUT_RECV) != 0;
}

static int64_t recv_loop(struct reading *r, nsec_t deadline)
{
    struct tcp_sock *t = r->t;
    for (;;) {
        mutex_lock(&t->read_lock);
        int64_t n = copy_some(r);
        mutex_unlock(&t->read_lock);
        if (n > 0 && !r->peek)
            after_read(t);
        if (n < 0)
            return r->done > 0 ? r->done : n;
        if (r->done > 0 &&
            (r->left == 0 || r->marked || (uint64_t)r->done >= r->target))
            return r->done;
        if (r->left == 0 && recv_ready(t, 0))
            return 0; /* nothing was asked for */
        bool some = r->done > 0;
        if (some && recv_over(t))
            return r->done;
        int e = some ? -EAGAIN : recv_state(t);
        if (e == -EAGAIN && (r->m->flags & LX_MSG_DONTWAIT) == 0)
            e = recv_wait(t, r->behind, deadline);
        else
            return some ? r->done : e;
        if (e < 0)
            return some ? r->done : e;
    }
}

int64_t tcp_recv(struct socket *s, struct message *m)
{
    struct tcp_sock *t = tcp_of(s);
    struct reading r = {
        .t = t,
        .m = m,
        .left = m->u->left,
        .peek = (m->flags & LX_MSG_PEEK) != 0,
        .drop = (m->flags & LX_MSG_TRUNC) != 0,
    };
    if (m->addr != NULL)
        m->addr->size = 0;
    if ((m->flags & LX_MSG_ERRQUEUE) != 0)
        return -EAGAIN;
    if (t->state == TCP_LISTEN)
        return -ENOTCONN;
    if ((m->flags & LX_MSG_OOB) != 0)
        return tcp_recv_urgent(t, m);
    r.target = (m->flags & LX_MSG_WAITALL) != 0
                   ? r.left
                   : MIN(r.left, (uint64_t)MAX(s->rcvlowat, 1u));
    return recv_loop(&r, socket_deadline(s->recv_timeout));
}

/* --- readiness --- */

uint32_t tcp_poll(struct socket *s, struct poll_table *pt)
{
    struct tcp_sock *t = tcp_of(s);
    uint32_t bits = 0;
    poll_add(pt, &s->in_wait);
    poll_add(pt, &s->out_wait);
    spin_lock(&t->k.lock);
    if (t->state == TCP_LISTEN) {
        bits = !list_empty(&t->ready) ? EPOLLIN | EPOLLRDNORM : 0;
        spin_unlock(&t->k.lock);
        return bits;
    }
    if (t->shut == TCP_SHUT_BOTH || t->state == TCP_CLOSE)
        bits |= EPOLLHUP;
    if ((t->shut & TCP_SHUT_RECV) != 0)
        bits |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    if (t->state != TCP_SYN_SENT && t->state != TCP_SYN_RECV) {
        if (tcp_readable(t))
            bits |= EPOLLIN | EPOLLRDNORM;
        if ((t->shut & TCP_SHUT_SEND) != 0 || tcp_writable(t))
            bits |= EPOLLOUT | EPOLLWRNORM;
        if (t->urgent == TCP_URGENT_THERE)
            bits |= EPOLLPRI;
    }
    if (s->error != 0)
        bits |= EPOLLERR;
    spin_unlock(&t->k.lock);
    return bits;
}
