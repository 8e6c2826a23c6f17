// SPDX-License-Identifier: Apache-2.0
/*
 * Listeners: a SYN makes a child at once, which waits in `pending` until its
 * handshake is complete and in `ready` until it is accepted. Both are bounded
 * by the backlog (listen(2)); beyond it SYNs are answered with cookies (RFC
 * 4987, 3.6), which cost no memory.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define COOKIE_AGE  (64 * NSEC_PER_SEC) /* one count; two are valid */
#define COOKIE_BITS 0xfffff8u
#define PENDING_MIN 8u

/* --- cookies --- */

static const uint16_t cookie_mss[8] = {216,  536,  1200, 1360,
                                       1400, 1440, 1460, 8960};

static uint32_t cookie_hash(const struct tcp_seg *g, uint32_t irs,
                            uint32_t count)
{
    struct {
        struct ip_addr src, dst;
        uint32_t ports, irs, count, zero;
    } in = {g->p->src, g->p->dst, (uint32_t)g->sport << 16 | g->dport,
            irs,       count,     0};
    return (uint32_t)tcp_hash(&in, sizeof(in), 2) & COOKIE_BITS;
}

static uint32_t cookie_make(const struct tcp_seg *g)
{
    uint32_t count = (uint32_t)(clock_now() / COOKIE_AGE), mss = 0;
    while (mss < ARRAY_COUNT(cookie_mss) - 1 && cookie_mss[mss + 1] <= g->mss)
        mss++;
    return count << 24 | cookie_hash(g, g->seq, count & 0xff) | mss;
}

/* The peer's mss if g acknowledges a cookie of ours; 0: it does not. */
static uint16_t cookie_check(const struct tcp_seg *g)
{
    uint32_t cookie = g->ack - 1, count = cookie >> 24;
    uint32_t now = (uint32_t)(clock_now() / COOKIE_AGE);
    if (((now - count) & 0xff) > 1)
        return 0;
    if (cookie_hash(g, g->seq - 1, count) != (cookie & COOKIE_BITS))
        return 0;
    return cookie_mss[cookie & 7];
}

/* --- children --- */

/* What a child has from its listener; accept(2), and fork()ed options. */
static void inherit(struct tcp_sock *c, const struct tcp_sock *l)
{
    struct socket *to = &c->k.s;
    const struct socket *from = &l->k.s;
    to->options = from->options;
    to->sndbuf = from->sndbuf;
    to->rcvbuf = from->rcvbuf;
    to->rcvlowat = from->rcvlowat;
    to->mark = from->mark;
    to->priority = from->priority;
    to->linger = from->linger;
    to->send_timeout = from->send_timeout;
    to->recv_timeout = from->recv_timeout;
    c->k.oif = l->k.oif;
    c->k.v6only = l->k.v6only;
    c->k.ttl = l->k.ttl;
    c->k.tos = l->k.tos;
    c->k.min_ttl = l->k.min_ttl;
    c->k.hops = l->k.hops;
    c->k.hops_set = l->k.hops_set;
    c->k.tclass = l->k.tclass;
    c->k.pmtu_mode = l->k.pmtu_mode;
    c->k.pmtu_mode6 = l->k.pmtu_mode6;
    c->k.recv_flags = l->k.recv_flags;
    c->k.uid = l->k.uid;
    c->tune = l->tune;
    c->rcv_scale = l->rcv_scale;
}

/* Not hashed yet; l is locked. NULL: memory, or no way back. */
static struct tcp_sock *child_new(struct tcp_sock *l, const struct tcp_seg *g)
{
    struct tcp_sock *c = tcp_new(l->k.s.family);
    if (c == NULL)
        return NULL;
    inherit(c, l);
    c->k.local = g->p->dst;
    c->k.remote = g->p->src;
    c->k.lport = g->dport;
    c->k.rport = g->sport;
    c->state = TCP_SYN_RECV;
    c->link = TCP_LINK_MADE;
    c->embryo = true;
    c->listener = l;
    inet_get(&l->k);
    c->rcv_wnd = MIN(c->k.s.rcvbuf / 2, 65535u);
    if (tcp_find_route(c) < 0) {
        inet_put(&c->k);
        return NULL;
    }
    return c;
}

static void child_number(struct tcp_sock *c, uint32_t iss)
{
    c->iss = iss;
    c->snd_una = iss;
    c->snd_nxt = iss + 1;
    c->write_seq = iss + 1;
    c->snd_sml = iss;
    c->syn_time = clock_now();
}

/* Into the table and the listener's queue. Nothing is locked; `c`, which is
 * locked afterwards, is the caller's if false. */
static bool child_link(struct tcp_sock *c)
{
    struct tcp_sock *l = c->listener;
    bool ok = false;
    inet_get(&c->k); /* the table's: tcp_unlock() */
    if (inet_hash(&c->k) < 0) {
        inet_put(&c->k);
        spin_lock(&c->k.lock);
        return false;
    }
    spin_lock(&c->k.lock);
    c->hashed = c->state == TCP_SYN_RECV;
    if (!c->hashed)
        c->unhash = true; /* a RST was faster */
    spin_lock(&l->k.lock);
    if (c->hashed && l->state == TCP_LISTEN) {
        list_add_tail(&l->pending, &c->child_node);
        l->pending_count++;
        c->child_linked = true;
        ok = true;
    }
    spin_unlock(&l->k.lock);
    if (!ok)
        tcp_done(c, 0);
    return ok;
}

static void answer_syn(struct tcp_sock *c, const struct tcp_seg *g)
{
    uint32_t iss;
    tcp_secret(&c->k, &iss, &c->ts_off);
    child_number(c, iss);
    tcp_syn_options(c, g);
    inet_get(&c->k);
    bool ok = child_link(c);
    if (ok) {
        tcp_send_syn(c);
        tcp_clock_set(c, TCP_CLOCK_SEND, clock_now() + TCP_RTO_FIRST);
    }
    tcp_unlock(c);
    if (!ok)
        inet_put(&c->k);
    inet_put(&c->k);
}

/* Nothing is kept but the time: options that need memory are not offered. */
static void answer_cookie(struct tcp_sock *c, struct tcp_seg *g)
{
    g->has_ts = false;
    g->sack_ok = false;
    g->has_scale = false;
    tcp_syn_options(c, g);
    c->iss = cookie_make(g);
    c->embryo = false;
    tcp_send_syn(c);
    inet_put(&c->k);
}

static void take_cookie(struct tcp_sock *c, struct tcp_seg *g, uint16_t mss)
{
    struct tcp_seg syn = {.seq = g->seq - 1, .mss = mss, .window = g->window};
    child_number(c, g->ack - 1);
    tcp_syn_options(c, &syn);
    c->tune.defer_accept = 0; /* or it would wait beyond the backlog */
    inet_get(&c->k);
    bool ok = child_link(c);
    if (ok)
        tcp_segment(c, g);
    if (ok && c->state == TCP_SYN_RECV)
        tcp_clock_set(c, TCP_CLOCK_SEND, clock_now() + TCP_RTO_FIRST);
    tcp_unlock(c);
    if (!ok)
        inet_put(&c->k);
    inet_put(&c->k);
}

/* 3.10.7.2 */
void tcp_listen_segment(struct tcp_sock *l, struct tcp_seg *g)
{
    uint32_t max = MAX(l->backlog, PENDING_MIN);
    bool ack = (g->flags & TCP_ACK) != 0, reset = false, flood = false;
    struct tcp_sock *c = NULL;
    uint16_t mss = 0;
    nsec_t now = clock_now();
    if ((g->flags & TCP_RST) != 0 || l->ready_count > l->backlog) {
        /* Nothing, or no room: the peer tries again. */
    } else if (ack) {
        if (l->cookie_time != 0 && now - l->cookie_time < 2 * COOKIE_AGE &&
            (g->flags & TCP_SYN) == 0)
            mss = cookie_check(g);
        reset = mss == 0;
        if (!reset)
            c = child_new(l, g);
    } else if ((g->flags & (TCP_SYN | TCP_FIN)) == TCP_SYN) {
        flood = l->pending_count >= max || !tcp_memory_room();
        if (flood)
            l->cookie_time = now;
        c = child_new(l, g);
    }
    tcp_unlock(l);
    if (reset)
        tcp_reply_reset(g);
    else if (c != NULL && ack)
        take_cookie(c, g, mss);
    else if (c != NULL && flood)
        answer_cookie(c, g);
    else if (c != NULL)
        answer_syn(c, g);
}

bool tcp_child_ready(struct tcp_sock *t)
{
    struct tcp_sock *l = t->listener;
    spin_lock(&l->k.lock);
    bool ok = t->child_linked && l->state == TCP_LISTEN &&
              l->ready_count <= l->backlog;
    if (ok) {
        list_remove(&t->child_node);
        list_add_tail(&l->ready, &t->child_node);
        l->pending_count--;
        l->ready_count++;
        t->child_ready = true;
        t->embryo = false;
        waitq_wake(&l->k.s.in_wait, EPOLLIN | EPOLLRDNORM, 1);
    }
    spin_unlock(&l->k.lock);
    return ok;
}

void tcp_child_leave(struct tcp_sock *t)
{
    struct tcp_sock *l = t->listener;
    spin_lock(&l->k.lock);
    bool was = t->child_linked && !t->child_ready;
    if (was) {
        list_remove(&t->child_node);
        l->pending_count--;
        t->child_linked = false;
    }
    t->embryo = false;
    spin_unlock(&l->k.lock);
    if (was)
        inet_put(&t->k); /* not the last: who locked it has one */
}

/* --- system calls --- */

int tcp_listen(struct socket *s, int backlog)
{
    struct tcp_sock *t = tcp_of(s);
    int r = 0;
    spin_lock(&t->k.lock);
    bool fresh = t->state == TCP_CLOSE && t->link == TCP_LINK_NONE;
    bool listening = t->state == TCP_LISTEN;
    spin_unlock(&t->k.lock);
    if (!fresh && !listening)
        return -EINVAL;
    if (fresh && t->k.lport == 0)
        r = inet_autobind(&t->k);
    if (r == 0 && fresh)
        r = inet_listen_check(&t->k);
    if (r < 0)
        return r;
    spin_lock(&t->k.lock);
    t->backlog = MIN((uint32_t)backlog, (uint32_t)SOMAXCONN);
    t->shut = 0;
    if (t->state == TCP_CLOSE)
        t->rcv_scale = tcp_window_scale(t);
    t->state = TCP_LISTEN;
    tcp_unlock(t);
    return 0;
}

/* true: one was taken, or it is no use to wait. */
static bool accept_take(struct tcp_sock *l, struct tcp_sock **out)
{
    spin_lock(&l->k.lock);
    bool ended = l->state != TCP_LISTEN;
    if (!list_empty(&l->ready)) {
        *out = LIST_ENTRY(l->ready.next, struct tcp_sock, child_node);
        list_remove(&(*out)->child_node);
        (*out)->child_linked = false;
        l->ready_count--;
    }
    spin_unlock(&l->k.lock);
    return ended || *out != NULL;
}

int tcp_accept(struct socket *s, bool nonblock, struct socket **out)
{
    struct tcp_sock *l = tcp_of(s), *c = NULL;
    nsec_t deadline = socket_deadline(s->recv_timeout);
    int r = 0;
    if (!s->listening)
        return -EINVAL;
    if (!accept_take(l, &c)) {
        if (nonblock)
            return -EAGAIN;
        WAIT_FOR(r, &s->in_wait, accept_take(l, &c), WAIT_SIGNALS, deadline);
    }
    if (c == NULL)
        return r == 0 ? -EINVAL : socket_wait_error(r, s->recv_timeout);
    *out = &c->k.s;
    return 0;
}

/* Whom nobody accepted any more. */
static void close_child(struct tcp_sock *c)
{
    spin_lock(&c->k.lock);
    c->dead = true;
    c->embryo = false;
    if (c->state != TCP_SYN_RECV && c->state != TCP_CLOSE)
        tcp_send_reset(c);
    tcp_done(c, 0);
    tcp_unlock(c);
    inet_put(&c->k);
}

void tcp_listen_close(struct tcp_sock *l)
{
    struct list all;
    list_init(&all);
    spin_lock(&l->k.lock);
    struct list *queues[] = {&l->pending, &l->ready};
    for (unsigned i = 0; i < ARRAY_COUNT(queues); i++) {
        while (!list_empty(queues[i])) {
            struct tcp_sock *c =
                LIST_ENTRY(queues[i]->next, struct tcp_sock, child_node);
            list_remove(&c->child_node);
            c->child_linked = false;
            list_add_tail(&all, &c->child_node);
        }
    }
    l->pending_count = 0;
    l->ready_count = 0;
    l->state = TCP_CLOSE;
    l->k.s.listening = false;
    tcp_wake(l, EPOLLIN | EPOLLHUP);
    tcp_unlock(l);
    while (!list_empty(&all)) {
        struct tcp_sock *c = LIST_ENTRY(all.next, struct tcp_sock, child_node);
        list_remove(&c->child_node);
        close_child(c);
    }
}
