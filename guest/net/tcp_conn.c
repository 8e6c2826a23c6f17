// SPDX-License-Identifier: Apache-2.0
/* Connections: made, shut down, released. connect(2), shutdown(2), close(2). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define SCALE_MAX 14
#define SET_HALF  (1u << TCP_FIN_WAIT1 | 1u << TCP_CLOSING | 1u << TCP_LAST_ACK)

/* --- connect --- */

/* What the last connection left. */
static void forget(struct tcp_sock *t)
{
    struct ip_route none = {.netif = NULL};
    tcp_data_purge(&t->recv_queue);
    t->rcv_charge = 0;
    t->shut = 0;
    t->eof = false;
    t->peer_fin = false;
    t->fin_queued = false;
    t->snd_urgent = false;
    t->urgent = TCP_URGENT_NONE;
    t->has_hole = false;
    t->route = none;
    t->route_time = 0;
    t->srtt = 0;
    t->rttvar = 0;
    t->min_rtt = 0;
    t->rto = TCP_RTO_FIRST;
    t->backoff = 0;
    t->retries = 0;
    t->probes = 0;
    t->retry_since = 0;
    t->soft_error = 0;
    t->ca = LX_TCP_CA_OPEN;
    t->dup_acks = 0;
    t->tlp_on = false;
    t->reordered = false;
    t->reo_factor = 0;
    t->undo_ok = false;
    t->rack_time = 0;
    t->last_sent = 0;
    t->ts_recent = 0;
    t->ack_due = 0;
    t->copied_seq = t->rcv_nxt;
    t->peer_mss = TCP_MSS_DEFAULT;
}

/* RFC 7323, 2.3: so that the largest buffer fits. */
uint8_t tcp_window_scale(const struct tcp_sock *t)
{
    uint32_t max = t->k.s.rcvbuf;
    uint8_t n = 0;
    if (!t->tune.rcvbuf_fixed)
        max = MAX(max, tcp_buffer_max(false));
    for (; max > 65535 && n < SCALE_MAX; max /= 2)
        n++;
    return n;
}

static void disconnected(struct tcp_sock *t)
{
    struct inet_sock *k = &t->k;
    struct ip_addr any = k->s.family == LX_AF_INET ? ip_any4 : ip_any6;
    spin_lock(&k->lock);
    k->remote = any;
    k->rport = 0;
    if (!k->addr_locked)
        k->local = any;
    if (!k->port_locked)
        k->lport = 0;
    t->link = TCP_LINK_NONE;
    spin_unlock(&k->lock);
    inet_disconnected(k);
}

/* Addresses and ports; the link is ours. */
static int connect_name(struct tcp_sock *t, const struct net_addr *a)
{
    struct inet_sock *k = &t->k;
    struct ip_addr to;
    struct ip_route route;
    struct ip_send how;
    uint16_t port;
    uint32_t scope;
    int r = inet_addr_get(k, a, &to, &port, &scope);
    if (r == 0 && ip_is_multicast(&to))
        r = -ENETUNREACH;
    if (r == 0)
        r = inet_route(k, &to, scope, &route, &how);
    if (r == -EACCES || (r == 0 && (route.broadcast || route.multicast)))
        r = -ENETUNREACH;
    if (r < 0)
        return r;
    spin_lock(&k->lock);
    k->remote = how.dst;
    k->rport = port;
    k->local = how.src;
    if (scope != 0)
        k->oif = scope;
    spin_unlock(&k->lock);
    r = inet_autobind(k);
    if (r == 0)
        r = inet_hash(k);
    if (r < 0)
        disconnected(t);
    return r;
}

static void connect_syn(struct tcp_sock *t)
{
    spin_lock(&t->k.lock);
    forget(t);
    tcp_secret(&t->k, &t->iss, &t->ts_off);
    t->snd_una = t->iss;
    t->snd_nxt = t->iss + 1;
    t->write_seq = t->iss + 1;
    t->snd_sml = t->iss;
    t->rcv_scale = tcp_window_scale(t);
    t->rcv_wnd = MIN(t->k.s.rcvbuf / 2, 65535u);
    t->rcv_nxt = 0;
    t->copied_seq = 0;
    t->state = TCP_SYN_SENT;
    t->hashed = true;
    inet_get(&t->k); /* the table's: tcp_unlock() */
    t->syn_time = clock_now();
    tcp_send_syn(t);
    tcp_clock_set(t, TCP_CLOCK_SEND, clock_now() + TCP_RTO_FIRST);
    tcp_unlock(t);
    net_flush();
}

static bool connect_pending(struct tcp_sock *t)
{
    uint8_t s = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    return s == TCP_SYN_SENT || s == TCP_SYN_RECV;
}

/* How it ended: the link is made, or none. */
static int connect_end(struct tcp_sock *t)
{
    bool failed = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == TCP_CLOSE;
    int e = failed ? socket_error(&t->k.s) : 0;
    if (!failed) {
        t->link = TCP_LINK_MADE;
        return 0;
    }
    spin_lock(&t->k.lock);
    if (t->state == TCP_CLOSE)
        t->shut = 0; /* as new: no end of file */
    spin_unlock(&t->k.lock);
    disconnected(t);
    return e != 0 ? e : -ECONNABORTED;
}

static int connect_wait(struct tcp_sock *t, bool nonblock, bool first)
{
    int r = 0;
    if (nonblock && first)
        return -EINPROGRESS; /* even if it is made already, as Linux */
    if (connect_pending(t)) {
        if (nonblock)
            return -EALREADY;
        WAIT_FOR(r, &t->k.s.out_wait, !connect_pending(t), WAIT_SIGNALS,
                 socket_deadline(t->k.s.send_timeout));
    }
    if (r == -ETIMEDOUT)
        return -EINPROGRESS; /* socket(7), SO_SNDTIMEO */
    if (r < 0)
        return socket_wait_error(r, t->k.s.send_timeout);
    return connect_end(t);
}

static int disconnect(struct tcp_sock *t)
{
    if (t->k.s.listening)
        tcp_listen_close(t);
    mutex_lock(&t->read_lock); /* nobody copies what is forgotten */
    spin_lock(&t->k.lock);
    if (TCP_IN(t->state, TCP_SET_SEND | TCP_SET_RECV | SET_HALF))
        tcp_send_reset(t);
    tcp_done(t, 0);
    tcp_set_error(t, 0);
    forget(t);
    tcp_unlock(t);
    mutex_unlock(&t->read_lock);
    disconnected(t);
    net_flush();
    return 0;
}

int tcp_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct tcp_sock *t = tcp_of(s);
    if (a->size < sizeof(a->family))
        return -EINVAL;
    if (a->family == LX_AF_UNSPEC)
        return disconnect(t);
    spin_lock(&t->k.lock);
    uint8_t link = t->link;
    bool closed = t->state == TCP_CLOSE;
    if (link == TCP_LINK_NONE && closed)
        t->link = TCP_LINK_CONNECTING;
    spin_unlock(&t->k.lock);
    if (link == TCP_LINK_CONNECTING)
        return connect_wait(t, nonblock, false);
    if (link == TCP_LINK_MADE || !closed)
        return -EISCONN;
    int r = connect_name(t, a);
    if (r < 0) {
        t->link = TCP_LINK_NONE;
        return r;
    }
    connect_syn(t);
    return connect_wait(t, nonblock, true);
}

/* --- shutdown --- */

void tcp_queue_fin(struct tcp_sock *t)
{
    if (t->state == TCP_ESTABLISHED)
        t->state = TCP_FIN_WAIT1;
    else if (t->state == TCP_CLOSE_WAIT)
        t->state = TCP_LAST_ACK;
    else if (t->state != TCP_SYN_RECV)
        return;
    t->fin_queued = true;
    tcp_output(t, false);
}

static int shutdown_listener(struct tcp_sock *t, int how)
{
    if (how == LX_SHUT_WR)
        return 0;
    tcp_listen_close(t);
    net_flush();
    return 0;
}

int tcp_shutdown(struct socket *s, int how)
{
    static const uint8_t bits[] = {TCP_SHUT_RECV, TCP_SHUT_SEND, TCP_SHUT_BOTH};
    struct tcp_sock *t = tcp_of(s);
    int r = 0;
    if (how < LX_SHUT_RD || how > LX_SHUT_RDWR)
        return -EINVAL;
    if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == TCP_LISTEN)
        return shutdown_listener(t, how);
    spin_lock(&t->k.lock);
    if (t->state == TCP_CLOSE || t->state == TCP_TIME_WAIT) {
        r = -ENOTCONN;
    } else if (t->state == TCP_SYN_SENT) {
        tcp_done(t, 0);
        t->link = TCP_LINK_NONE;
    } else {
        t->shut |= bits[how];
        if (how != LX_SHUT_RD)
            tcp_queue_fin(t);
        tcp_wake(t, EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLOUT |
                        (t->shut == TCP_SHUT_BOTH ? EPOLLHUP : 0));
    }
    tcp_unlock(t);
    net_flush();
    return r;
}

/* --- close --- */

/* socket(7), SO_LINGER */
static void linger(struct tcp_sock *t)
{
    nsec_t max = (nsec_t)MAX(t->k.s.linger.seconds, 0) * NSEC_PER_SEC;
    int r;
    if (current()->exiting)
        return;
    WAIT_FOR(r, &t->k.s.out_wait,
             !TCP_IN(__atomic_load_n(&t->state, __ATOMIC_ACQUIRE), SET_HALF),
             WAIT_SIGNALS, clock_now() + max);
    (void)r;
}

/* Nobody holds it any more: what is left ends by itself, or at once. */
static void orphan(struct tcp_sock *t)
{
    bool drop = t->state == TCP_FIN_WAIT2 && t->tune.linger2 < 0;
    if (t->state == TCP_CLOSE)
        return;
    if (drop || !tcp_orphan_room()) {
        if (t->state != TCP_TIME_WAIT)
            tcp_send_reset(t);
        tcp_done(t, 0);
        return;
    }
    __atomic_fetch_add(&tcp_orphans, 1, __ATOMIC_RELAXED);
    t->counted = true;
    if (t->state == TCP_FIN_WAIT2)
        tcp_keep_start(t);
}

/* RFC 9293, 3.10.4; RFC 2525, 2.17: unread data are a reason to reset. */
static void close_stream(struct tcp_sock *t)
{
    bool unread = !list_empty(&t->recv_queue);
    bool abort = t->k.s.linger.on && t->k.s.linger.seconds == 0;
    t->dead = true;
    t->shut = TCP_SHUT_BOTH;
    tcp_data_purge(&t->recv_queue);
    t->rcv_charge = 0;
    if (t->state == TCP_SYN_SENT) {
        tcp_done(t, 0);
    } else if (TCP_IN(t->state, TCP_SET_SEND | 1u << TCP_SYN_RECV |
                                    1u << TCP_FIN_WAIT1 |
                                    1u << TCP_FIN_WAIT2) &&
               (unread || abort)) {
        tcp_send_reset(t);
        tcp_done(t, 0);
    } else {
        tcp_queue_fin(t);
    }
}

void tcp_release(struct socket *s)
{
    struct tcp_sock *t = tcp_of(s);
    if (t->state == TCP_LISTEN)
        tcp_listen_close(t);
    spin_lock(&t->k.lock);
    close_stream(t);
    tcp_unlock(t);
    net_flush();
    if (s->linger.on && s->linger.seconds != 0)
        linger(t);
    spin_lock(&t->k.lock);
    __atomic_store_n(&s->file, NULL, __ATOMIC_RELEASE);
    orphan(t);
    bool closed = t->state == TCP_CLOSE;
    tcp_unlock(t);
    if (closed)
        inet_unhash(&t->k); /* a name without a connection */
    net_flush();
    inet_put(&t->k);
}
