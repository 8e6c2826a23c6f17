// SPDX-License-Identifier: Apache-2.0
/* What an acknowledgement and a SYN of the peer tell us. RFC 9293, 3.10.7. */
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define CHALLENGE_GAP (500 * TCP_MS)
#define QUICK_ACKS    16
#define SNDBUF_CWND   4u /* buffer per window: in flight, and being written */

/* RFC 5961, 3 to 5 and 7. */
void tcp_challenge(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    if (t->challenge_time != 0 && now - t->challenge_time < CHALLENGE_GAP)
        return;
    t->challenge_time = now;
    tcp_send_ack(t);
}

/* What is on its way wakes the writer when it has arrived; who has nothing
 * there could wait for ever for other sockets' memory. */
bool tcp_send_room(const struct tcp_sock *t)
{
    return t->send_charge == 0 || tcp_memory_room();
}

bool tcp_writable(const struct tcp_sock *t)
{
    uint32_t used = t->send_charge, size = t->k.s.sndbuf;
    uint32_t unsent = t->write_seq - t->snd_nxt;
    if (t->tune.notsent_lowat != 0 && (int32_t)unsent > 0 &&
        unsent >= t->tune.notsent_lowat)
        return false;
    if (!tcp_send_room(t))
        return false;
    return used < size && size - used >= used / 2; /* a third is free */
}

void tcp_send_space(struct tcp_sock *t)
{
    uint32_t want = MIN(t->cwnd, UINT32_MAX / 8) * SNDBUF_CWND;
    want = MIN(want, tcp_buffer_max(true));
    if (!t->tune.sndbuf_fixed && want > t->k.s.sndbuf && !tcp_memory_pressure())
        t->k.s.sndbuf = want;
    if (tcp_writable(t))
        waitq_wake(&t->k.s.out_wait, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

/* RFC 9293, 3.10.7.4, fifth: not from segments that are older. */
static void update_window(struct tcp_sock *t, const struct tcp_seg *g)
{
    uint32_t window = (uint32_t)g->window << t->snd_scale;
    if (!seq_lt(t->snd_una, g->ack) && !seq_lt(t->snd_wl1, g->seq) &&
        !(t->snd_wl1 == g->seq && window > t->snd_wnd))
        return;
    t->snd_wl1 = g->seq;
    if (t->snd_wnd == 0 && window != 0)
        t->backoff = 0;
    t->snd_wnd = window;
    if (window > t->max_window)
        t->max_window = window;
}

static void rtt_by_timestamp(const struct tcp_sock *t, const struct tcp_seg *g,
                             struct tcp_acked *a)
{
    if (a->rtt >= 0 || a->cumulative == 0 || !t->ts_ok || !g->has_ts ||
        g->ts_ecr == 0)
        return;
    uint32_t ms = tcp_ts_now() + t->ts_off - g->ts_ecr;
    if (ms < 120000) /* RFC 7323, 4.1; else it is no echo of ours */
        a->rtt = (int64_t)ms * 1000;
}

bool tcp_ack(struct tcp_sock *t, const struct tcp_seg *g)
{
    struct tcp_acked a = {.una = t->snd_una, .rtt = -1};
    a.has_ts = t->ts_ok && g->has_ts;
    a.ts_ecr = g->ts_ecr;
    if (seq_lt(t->snd_nxt, g->ack)) {
        tcp_challenge(t); /* something not yet sent */
        return false;
    }
    if (seq_lt(g->ack, t->snd_una)) {
        if (!seq_lt(g->ack, t->snd_una - t->max_window))
            return true;
        tcp_challenge(t); /* RFC 5961, 5.2 */
        return false;
    }
    update_window(t, g);
    t->last_ack_recv = clock_now();
    if (seq_lt(t->snd_una, g->ack))
        tcp_tx_ack(t, g, &a);
    if (t->snd_urgent && seq_le(t->snd_up, t->snd_una))
        t->snd_urgent = false;
    if (t->sack_ok && g->sack_count != 0)
        tcp_tx_sack(t, g, &a);
    rtt_by_timestamp(t, g, &a);
    tcp_recover(t, g, &a);
    if (a.cumulative != 0)
        tcp_send_space(t);
    return true;
}

/* --- the handshake --- */

void tcp_syn_options(struct tcp_sock *t, const struct tcp_seg *g)
{
    t->irs = g->seq;
    t->rcv_nxt = g->seq + 1;
    t->rcv_wup = t->rcv_nxt;
    t->copied_seq = t->rcv_nxt;
    t->tune_seq = t->rcv_nxt;
    t->last_ack = t->rcv_nxt;
    t->snd_wl1 = g->seq;
    t->snd_wnd = g->window; /* never scaled in a SYN: RFC 7323, 2.2 */
    t->max_window = g->window;
    t->peer_mss = g->mss != 0 ? g->mss : TCP_MSS_DEFAULT;
    t->sack_ok = g->sack_ok;
    t->scale_ok = g->has_scale;
    t->snd_scale = g->has_scale ? g->wscale : 0;
    if (!g->has_scale)
        t->rcv_scale = 0;
    t->ts_ok = g->has_ts;
    if (g->has_ts) {
        t->ts_recent = g->ts_val;
        t->ts_recent_time = clock_now();
    }
    tcp_sync_mss(t);
    t->rcv_mss = MIN(t->mss, TCP_MSS_DEFAULT);
}

void tcp_established(struct tcp_sock *t, const struct tcp_seg *g)
{
    nsec_t now = clock_now();
    t->state = TCP_ESTABLISHED;
    t->snd_una = g->ack;
    if (t->retries == 0 && t->syn_time != 0)
        tcp_measure(t, (int64_t)((now - t->syn_time) / 1000));
    t->retries = 0;
    t->backoff = 0;
    t->retry_since = 0;
    t->soft_error = 0;
    t->fack = t->snd_una;
    t->quick_acks = QUICK_ACKS;
    t->tune_time = now;
    t->last_recv = now;
    t->last_ack_recv = now;
    tcp_clock_clear(t, TCP_CLOCK_SEND);
    tcp_find_route(t);
    tcp_cwnd_init(t);
    tcp_send_space(t);
    tcp_keep_start(t);
}
