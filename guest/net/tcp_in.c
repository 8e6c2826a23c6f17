// SPDX-License-Identifier: Apache-2.0
/* Segments that arrive, by the state they find: RFC 9293, 3.10.7; RFC 5961
 * for what an attacker could guess; RFC 7323, 5 for what is too old. */
#include "abi/linux/errno.h"

#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define PAWS_AGE (UINT64_C(24) * 86400 * NSEC_PER_SEC) /* RFC 7323, 5.5 */

/* --- checks --- */

static bool paws_reject(const struct tcp_sock *t, const struct tcp_seg *g)
{
    return t->ts_ok && g->has_ts && (g->flags & TCP_RST) == 0 &&
           seq_lt(g->ts_val, t->ts_recent) &&
           clock_now() - t->ts_recent_time < PAWS_AGE;
}

static bool in_window(const struct tcp_sock *t, const struct tcp_seg *g)
{
    uint32_t edge = seq_max(t->rcv_wup + t->rcv_wnd, t->rcv_nxt);
    return !seq_lt(g->end, t->rcv_wup) && seq_le(g->seq, edge);
}

/* An old duplicate, a keep-alive, or an attack: tell where we are. */
static void answer_outside(struct tcp_sock *t, const struct tcp_seg *g)
{
    if ((g->flags & TCP_RST) != 0)
        return;
    if (g->size == 0 && seq_lt(g->end, t->rcv_nxt - 1)) {
        tcp_challenge(t);
        return;
    }
    if (g->size != 0 && t->sack_ok && seq_lt(g->seq, t->rcv_nxt)) {
        t->dsack = true;
        t->dsack_seq = g->seq;
        t->dsack_end = seq_min(g->end, t->rcv_nxt);
    }
    tcp_send_ack(t);
}

/* First three checks of 3.10.7.4; false: it went no further. */
static bool check_segment(struct tcp_sock *t, struct tcp_seg *g)
{
    if (paws_reject(t, g)) {
        answer_outside(t, g);
        return false;
    }
    if (t->state == TCP_SYN_RECV &&
        (g->flags & (TCP_SYN | TCP_RST)) == TCP_SYN && g->seq == t->irs) {
        if ((g->flags & TCP_ACK) == 0) {
            tcp_send_syn(t); /* our SYN-ACK was lost */
            return false;
        }
        g->flags &= (uint8_t)~TCP_SYN; /* both opened: 3.5, figure 7 */
        g->seq++;
    }
    if (!in_window(t, g)) {
        answer_outside(t, g);
        return false;
    }
    if ((g->flags & TCP_RST) != 0) {
        /* RFC 5961, 3.2 */
        if (g->seq != t->rcv_nxt)
            tcp_challenge(t);
        else if (t->state == TCP_CLOSE_WAIT)
            tcp_done(t, EPIPE);
        else
            tcp_done(t, t->state == TCP_SYN_RECV ? ECONNREFUSED : ECONNRESET);
        return false;
    }
    if ((g->flags & TCP_SYN) != 0) {
        tcp_challenge(t); /* RFC 5961, 4.2 */
        return false;
    }
    return (g->flags & TCP_ACK) != 0;
}

static void note_timestamp(struct tcp_sock *t, const struct tcp_seg *g)
{
    nsec_t now = clock_now();
    if (!t->ts_ok || !g->has_ts || seq_lt(t->last_ack, g->seq))
        return;
    t->ts_recent = g->ts_val; /* RFC 7323, 4.3 (2) */
    t->ts_recent_time = now;
    if (g->size == 0 || g->ts_ecr == 0)
        return;
    uint32_t ms = tcp_ts_now() + t->ts_off - g->ts_ecr;
    uint32_t us = MIN(ms, 60000u) * 1000;
    if (t->rcv_rtt == 0 || us < t->rcv_rtt)
        t->rcv_rtt = us;
    else
        t->rcv_rtt += (us - t->rcv_rtt) / 8;
}

/* --- the end of a stream --- */

static void take_fin(struct tcp_sock *t)
{
    t->rcv_nxt++;
    t->eof = true;
    t->shut |= TCP_SHUT_RECV;
    t->ack_now = true;
    if (t->state == TCP_ESTABLISHED) {
        t->state = TCP_CLOSE_WAIT;
    } else if (t->state == TCP_FIN_WAIT1) {
        t->state = TCP_CLOSING;
    } else if (t->state == TCP_FIN_WAIT2) {
        tcp_send_ack(t);
        tcp_time_wait(t);
        return;
    }
    tcp_wake(t, EPOLLIN | EPOLLRDNORM | EPOLLRDHUP |
                    (t->shut == TCP_SHUT_BOTH ? EPOLLHUP : 0));
}

/* Our FIN may have been acknowledged; false: that was all. */
static bool after_ack(struct tcp_sock *t)
{
    if (!t->fin_queued || t->snd_una != t->write_seq + 1)
        return true;
    switch (t->state) {
    case TCP_FIN_WAIT1:
        t->state = TCP_FIN_WAIT2;
        t->shut |= TCP_SHUT_SEND;
        tcp_wake(t, EPOLLOUT);
        if (t->dead)
            tcp_keep_start(t); /* it does not wait for ever */
        return true;
    case TCP_CLOSING: tcp_time_wait(t); return false;
    case TCP_LAST_ACK: tcp_done(t, 0); return false;
    default: return true;
    }
}

static void take_data(struct tcp_sock *t, struct tcp_seg *g)
{
    uint32_t end = g->seq + g->size;
    if (!TCP_IN(t->state, TCP_SET_RECV))
        return;
    if (g->size != 0 && t->dead && seq_lt(t->rcv_nxt, end)) {
        /* RFC 1122, 4.2.2.13: nobody will read it. */
        tcp_send_reset(t);
        tcp_done(t, 0);
        return;
    }
    if (g->size != 0)
        tcp_queue_segment(t, g);
    if ((g->flags & TCP_FIN) != 0) {
        t->peer_fin = true;
        t->peer_fin_seq = end;
    }
    if (t->peer_fin && t->peer_fin_seq == t->rcv_nxt)
        take_fin(t);
    else if ((g->flags & TCP_FIN) != 0)
        t->ack_now = true;
}

/* --- states --- */

static bool syn_recv(struct tcp_sock *t, struct tcp_seg *g)
{
    if (!seq_lt(t->snd_una, g->ack) || seq_lt(t->snd_nxt, g->ack)) {
        tcp_reply_reset(g);
        return false;
    }
    if (t->embryo && t->tune.defer_accept != 0 && g->size == 0 &&
        (g->flags & TCP_FIN) == 0 && t->retries < t->tune.defer_accept)
        return false; /* tcp(7), TCP_DEFER_ACCEPT: wait for data */
    if (t->embryo && !tcp_child_ready(t))
        return false; /* its queue is full: the SYN-ACK goes again */
    tcp_established(t, g);
    t->snd_wnd = (uint32_t)g->window << t->snd_scale;
    t->max_window = t->snd_wnd;
    t->snd_wl1 = g->seq;
    if (t->fin_queued)
        t->state = TCP_FIN_WAIT1;
    tcp_wake(t, EPOLLOUT | EPOLLWRNORM);
    return true;
}

void tcp_segment(struct tcp_sock *t, struct tcp_seg *g)
{
    t->segs_in++;
    if (!check_segment(t, g))
        return;
    note_timestamp(t, g);
    if (t->state == TCP_SYN_RECV && !syn_recv(t, g))
        return;
    if (!tcp_ack(t, g) || !after_ack(t))
        return;
    if (((g->flags & TCP_URG) != 0 || t->urgent == TCP_URGENT_COMES) &&
        TCP_IN(t->state, TCP_SET_RECV))
        tcp_urgent_take(t, g);
    if (g->size != 0 || (g->flags & TCP_FIN) != 0)
        take_data(t, g);
    if (t->state == TCP_CLOSE || t->state == TCP_TIME_WAIT)
        return;
    tcp_output(t, false);
    tcp_ack_decide(t);
}

/* 3.10.7.3 */
static void syn_sent(struct tcp_sock *t, struct tcp_seg *g)
{
    bool ack = (g->flags & TCP_ACK) != 0;
    if (ack && (seq_le(g->ack, t->iss) || seq_lt(t->snd_nxt, g->ack))) {
        tcp_reply_reset(g);
        return;
    }
    if ((g->flags & TCP_RST) != 0) {
        if (ack)
            tcp_done(t, ECONNREFUSED);
        return;
    }
    if ((g->flags & TCP_SYN) == 0)
        return;
    t->segs_in++;
    tcp_syn_options(t, g);
    if (!ack) { /* both open at once */
        t->state = TCP_SYN_RECV;
        tcp_send_syn(t);
        return;
    }
    tcp_established(t, g);
    if (t->fin_queued)
        t->state = TCP_FIN_WAIT1;
    tcp_wake(t, EPOLLOUT | EPOLLWRNORM);
    t->ack_now = true;
    tcp_output(t, false);
    if (t->ack_now) /* nothing went with it */
        tcp_send_ack(t);
}

/* 3.10.7.4 in TIME-WAIT. true: a new connection may take its place, by RFC
 * 6191 or a higher sequence number. A RST ends nothing: RFC 1337. */
static bool time_wait(struct tcp_sock *t, const struct tcp_seg *g)
{
    bool newer = seq_lt(t->rcv_nxt, g->seq);
    if (t->ts_ok && g->has_ts) /* many fit into a millisecond */
        newer =
            t->ts_recent == g->ts_val ? newer : seq_lt(t->ts_recent, g->ts_val);
    if ((g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && newer) {
        tcp_done(t, 0);
        return true;
    }
    if ((g->flags & TCP_RST) != 0)
        return false;
    if ((g->flags & TCP_FIN) != 0)
        tcp_clock_set(t, TCP_CLOCK_KEEP, clock_now() + TCP_TIME_WAIT_NS);
    if (g->end != g->seq || g->seq != t->rcv_nxt)
        tcp_challenge(t);
    return false;
}

/* One segment for `t`, which is unlocked afterwards. true: look again. */
static bool segment_for(struct tcp_sock *t, struct tcp_seg *g)
{
    bool again = false;
    spin_lock(&t->k.lock);
    if (g->p->ttl < t->k.min_ttl && ip_is4(&g->p->src)) {
        tcp_unlock(t); /* ip(7), IP_MINTTL; RFC 5082 */
        return false;
    }
    switch (t->state) {
    case TCP_LISTEN: tcp_listen_segment(t, g); return false;
    case TCP_SYN_SENT: syn_sent(t, g); break;
    case TCP_TIME_WAIT: again = time_wait(t, g); break;
    case TCP_CLOSE: tcp_reply_reset(g); break;
    default: tcp_segment(t, g); break;
    }
    tcp_unlock(t);
    return again;
}

void tcp_input(struct packet *p)
{
    struct tcp_seg g;
    bool again = !p->multicast && !p->broadcast && tcp_parse(p, &g) == 0;
    while (again) {
        struct inet_sock *k = inet_find(&tcp_table, p, g.sport, g.dport);
        again = false;
        if (k == NULL) {
            tcp_reply_reset(&g); /* 3.10.7.1 */
        } else {
            again = segment_for(tcp_of_inet(k), &g);
            inet_put(k);
        }
    }
    packet_free(p);
}
