// SPDX-License-Identifier: Apache-2.0
/* Round trips, loss and what it does to the congestion window. RFC 5681, 6298,
 * 6582 (without SACK), 6675 and 8985 (with), 6937 (PRR), 3522 (Eifel). */
#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

#define US             1000u
#define REO_FACTOR_MAX 16

/* --- round trips: RFC 6298, 2 --- */

void tcp_measure(struct tcp_sock *t, int64_t rtt_us)
{
    uint32_t r = (uint32_t)MIN(MAX(rtt_us, 1), (int64_t)60000000);
    if (t->min_rtt == 0 || r < t->min_rtt)
        t->min_rtt = r;
    if (t->srtt == 0) {
        t->srtt = r;
        t->rttvar = r / 2;
    } else {
        uint32_t d = t->srtt > r ? t->srtt - r : r - t->srtt;
        t->rttvar = (uint32_t)(((uint64_t)t->rttvar * 3 + d) / 4);
        t->srtt = (uint32_t)(((uint64_t)t->srtt * 7 + r) / 8);
    }
    /* The floor is of the variance, as Linux has it: the peer's delayed
     * acknowledgements come on top of any path. */
    nsec_t var = MAX((nsec_t)t->rttvar * 4 * US, TCP_RTO_MIN);
    t->rto = MIN((nsec_t)t->srtt * US + var, TCP_RTO_MAX);
}

nsec_t tcp_rto(const struct tcp_sock *t)
{
    nsec_t n = t->rto;
    for (unsigned i = 0; i < t->backoff && n < TCP_RTO_MAX; i++)
        n *= 2;
    return MIN(n, TCP_RTO_MAX);
}

/* RFC 8985, 7.2 */
static bool probe_loss(const struct tcp_sock *t)
{
    return t->sack_ok && t->ca == LX_TCP_CA_OPEN && t->srtt != 0 &&
           !t->tlp_on && t->sacked_out == 0 && t->backoff == 0 &&
           TCP_IN(t->state, TCP_SET_SEND | 1u << TCP_FIN_WAIT1 |
                                1u << TCP_LAST_ACK | 1u << TCP_CLOSING);
}

void tcp_arm_send(struct tcp_sock *t)
{
    nsec_t now = clock_now(), rto = tcp_rto(t);
    uint8_t wait = TCP_WAIT_RTO;
    if (t->wait == TCP_WAIT_REO && t->clock[TCP_CLOCK_SEND] != NSEC_NEVER)
        return;
    if (list_empty(&t->tx)) {
        if (t->write_seq + t->fin_queued == t->snd_una) {
            tcp_clock_clear(t, TCP_CLOCK_SEND);
            return;
        }
        wait = TCP_WAIT_PROBE;
    } else if (probe_loss(t)) {
        nsec_t pto = 2 * (nsec_t)t->srtt * US + 2 * TCP_MS;
        if (tcp_in_flight(t) <= t->mss)
            pto += TCP_RTO_MIN; /* its acknowledgement may be delayed */
        if (pto < rto) {
            rto = pto;
            wait = TCP_WAIT_TLP;
        }
    }
    t->wait = wait;
    tcp_clock_set(t, TCP_CLOCK_SEND, now + rto);
}

/* --- the window --- */

void tcp_cwnd_init(struct tcp_sock *t)
{
    t->cwnd = TCP_INIT_CWND * t->mss;
    t->ssthresh = UINT32_MAX / 2;
    t->tune.cc->init(t);
}

/* RFC 5681, 4.1: what a path carried long ago says little. */
void tcp_cwnd_idle(struct tcp_sock *t)
{
    uint32_t first = TCP_INIT_CWND * t->mss;
    if (!list_empty(&t->tx) || t->last_sent == 0 || t->cwnd <= first)
        return;
    nsec_t idle = clock_now() - t->last_sent;
    if (idle <= t->rto)
        return;
    t->ssthresh = MAX(t->ssthresh, t->cwnd / 4 * 3);
    for (; idle > t->rto && t->cwnd > first; idle -= t->rto)
        t->cwnd /= 2;
    t->cwnd = MAX(t->cwnd, first);
    t->tune.cc->init(t);
}

/* An answer tells what it is for only if nothing older is on its way again. */
static void remember(struct tcp_sock *t)
{
    t->undo_ok = t->ca < LX_TCP_CA_CWR && t->again_out == 0;
    t->undo_ts = 0;
    t->undo_cwnd = t->cwnd;
    t->undo_ssthresh = t->ssthresh;
}

static void enter_recovery(struct tcp_sock *t)
{
    remember(t);
    t->high_seq = t->snd_nxt;
    t->prr_delivered = 0;
    t->prr_out = 0;
    t->prr_flight = MAX(t->cwnd, t->mss);
    t->ssthresh = t->tune.cc->ssthresh(t);
    t->ca = LX_TCP_CA_RECOVERY;
    t->tlp_on = false;
}

/* RFC 6937, 3 */
static void prr_update(struct tcp_sock *t, uint32_t delivered, bool first)
{
    uint32_t flight = tcp_in_flight(t), send;
    t->prr_delivered += delivered;
    if (flight > t->ssthresh) {
        uint64_t share = (uint64_t)t->prr_delivered * t->ssthresh;
        uint64_t n = (share + t->prr_flight - 1) / t->prr_flight;
        send = n > t->prr_out ? (uint32_t)n - t->prr_out : 0;
    } else {
        uint32_t limit =
            t->prr_delivered > t->prr_out ? t->prr_delivered - t->prr_out : 0;
        limit = MAX(limit, delivered) + t->mss;
        send = MIN(t->ssthresh - flight, limit);
    }
    if (first)
        send = MAX(send, t->mss);
    t->cwnd = flight + send;
}

static void leave_recovery(struct tcp_sock *t)
{
    if (t->ca == LX_TCP_CA_RECOVERY)
        t->cwnd = MAX(t->ssthresh, t->mss);
    t->ca = LX_TCP_CA_OPEN;
    t->undo_ok = false;
    t->dup_acks = 0;
    if (!t->sack_ok)
        t->sacked_out = 0;
}

/* RFC 3522, 3.2: what was thought lost had only been late. */
static void undo(struct tcp_sock *t)
{
    LIST_FOR(it, &t->tx)
    {
        struct tcp_tx *x = LIST_ENTRY(it, struct tcp_tx, node);
        x->lost = false;
        x->again = false;
    }
    t->lost_out = 0;
    t->again_out = 0;
    t->cwnd = MAX(t->cwnd, t->undo_cwnd);
    t->ssthresh = t->undo_ssthresh;
    t->ca = LX_TCP_CA_OPEN;
    t->undo_ok = false;
    t->reordered = true;
}

static bool was_spurious(const struct tcp_sock *t, const struct tcp_seg *g,
                         const struct tcp_acked *a)
{
    return t->ca >= LX_TCP_CA_RECOVERY && t->undo_ok && t->undo_ts != 0 &&
           a->cumulative != 0 && g->has_ts && t->ts_ok &&
           seq_lt(g->ts_ecr, t->undo_ts);
}

/* --- the timeout: RFC 6298, 5.4 to 5.6; RFC 5681, 3.1 --- */

void tcp_enter_loss(struct tcp_sock *t)
{
    bool again = t->ca == LX_TCP_CA_LOSS && t->retries > 0;
    const struct tcp_tx *head = LIST_ENTRY(t->tx.next, struct tcp_tx, node);
    /* RFC 2018, 8: the peer dropped what it had told of. */
    bool reneged = !list_empty(&t->tx) && head->sacked;
    if (!again) {
        remember(t);
        t->ssthresh = t->tune.cc->ssthresh(t);
    }
    if (!t->sack_ok)
        t->sacked_out = 0;
    LIST_FOR(it, &t->tx)
    {
        struct tcp_tx *x = LIST_ENTRY(it, struct tcp_tx, node);
        if (reneged && x->sacked) {
            x->sacked = false;
            t->sacked_out -= x->end - x->seq;
        }
        tcp_tx_lose(t, x);
    }
    t->dup_acks = 0;
    t->ca = LX_TCP_CA_LOSS;
    t->high_seq = t->snd_nxt;
    t->cwnd = tcp_in_flight(t) + t->mss;
    t->tlp_on = false;
}

/* --- sending again --- */

static bool retransmit_one(struct tcp_sock *t, struct tcp_tx *x, uint32_t room)
{
    uint32_t n = x->end - x->seq, max = MAX(room - room % t->mss, t->mss);
    if (n > max && tcp_tx_split(t, x, x->seq + max) != NULL)
        n = max;
    int64_t r = tcp_transmit(t, x->seq, x->seq + n, 0);
    if (r <= 0)
        return false;
    if ((uint32_t)r < n && tcp_tx_split(t, x, x->seq + (uint32_t)r) == NULL)
        return false; /* it goes again as a whole */
    n = x->end - x->seq;
    if (t->undo_ts == 0)
        t->undo_ts = tcp_ts_now() + t->ts_off;
    x->again = true;
    x->ever = true;
    x->time = clock_now();
    t->again_out += n;
    t->prr_out += n;
    t->bytes_again += n;
    t->total_again += (n + t->mss - 1) / t->mss;
    return true;
}

void tcp_retransmit(struct tcp_sock *t)
{
    if (t->lost_out == 0 || tcp_find_route(t) < 0)
        return;
    LIST_FOR(it, &t->tx)
    {
        struct tcp_tx *x = LIST_ENTRY(it, struct tcp_tx, node);
        uint32_t flight = tcp_in_flight(t);
        if (!x->lost || x->again)
            continue;
        if (flight >= t->cwnd || !retransmit_one(t, x, t->cwnd - flight))
            break;
    }
}

/* --- an acknowledgement --- */

/* The first segment in flight is lost: RFC 6582, 3.2. */
static void lose_first(struct tcp_sock *t)
{
    if (list_empty(&t->tx))
        return;
    struct tcp_tx *x = LIST_ENTRY(t->tx.next, struct tcp_tx, node);
    if (x->lost && x->again)
        return;
    if (x->end - x->seq > t->mss)
        (void)tcp_tx_split(t, x, x->seq + t->mss);
    tcp_tx_lose(t, x);
}

/* Without SACK a duplicate says that some segment left the network. */
static void count_duplicates(struct tcp_sock *t, const struct tcp_seg *g,
                             const struct tcp_acked *a)
{
    bool partial = t->ca == LX_TCP_CA_RECOVERY && a->cumulative != 0 &&
                   seq_lt(t->snd_una, t->high_seq);
    if (a->cumulative != 0)
        t->dup_acks -=
            MIN(t->dup_acks, partial ? a->cumulative / t->mss : UINT32_MAX);
    else if (g->size == 0 && g->ack == a->una && !list_empty(&t->tx) &&
             (g->flags & (TCP_SYN | TCP_FIN)) == 0)
        t->dup_acks++;
    uint32_t out = t->snd_nxt - t->snd_una;
    t->dup_acks = MIN(t->dup_acks, out / t->mss);
    t->sacked_out = MIN(t->dup_acks * t->mss, out - MIN(out, t->lost_out));
    if (partial || (t->dup_acks >= TCP_DUP_THRESH && t->ca < LX_TCP_CA_CWR))
        lose_first(t);
}

/* RFC 8985, 7.4.2: the probe filled a hole that nobody noticed otherwise. */
static void check_tlp(struct tcp_sock *t, const struct tcp_acked *a)
{
    if (!t->tlp_on || seq_lt(t->snd_una, t->tlp_end))
        return;
    bool repaired = t->tlp_again && !a->dsack;
    bool duplicate = a->cumulative == 0 && !a->sacked;
    if (repaired && t->snd_una == t->tlp_end && !duplicate)
        return; /* the first may have arrived: its copy will be told of */
    t->tlp_on = false;
    if (!repaired || duplicate || t->ca >= LX_TCP_CA_RECOVERY)
        return;
    t->ssthresh = t->tune.cc->ssthresh(t);
    t->cwnd = MIN(t->cwnd, t->ssthresh);
}

static void adapt_window(struct tcp_sock *t, const struct tcp_acked *a)
{
    bool first = false;
    if (t->ca >= LX_TCP_CA_RECOVERY && !seq_lt(t->snd_una, t->high_seq))
        leave_recovery(t);
    if (t->lost_out > 0 && t->ca < LX_TCP_CA_RECOVERY) {
        enter_recovery(t);
        first = true;
    }
    if (t->ca == LX_TCP_CA_RECOVERY)
        prr_update(t, a->delivered, first);
    else if (a->cumulative != 0 && (t->cwnd_limited || t->ca != LX_TCP_CA_OPEN))
        t->tune.cc->avoid(t, a->delivered);
    if (t->ca < LX_TCP_CA_CWR)
        t->ca = t->sacked_out != 0 ? LX_TCP_CA_DISORDER : LX_TCP_CA_OPEN;
}

void tcp_recover(struct tcp_sock *t, const struct tcp_seg *g,
                 const struct tcp_acked *a)
{
    if (a->rtt >= 0)
        tcp_measure(t, a->rtt);
    if (a->cumulative != 0) {
        t->retries = 0;
        t->backoff = 0;
        t->retry_since = 0;
        t->soft_error = 0;
    }
    t->probes = 0;
    t->delivered += (a->delivered + t->mss - 1) / t->mss;
    if (a->dsack) { /* RFC 8985, 6.2, step 4: it was only later than that */
        t->reordered = true;
        t->reo_factor = (uint8_t)MIN(t->reo_factor + 1, REO_FACTOR_MAX);
    }
    if (t->wait == TCP_WAIT_REO) { /* asked anew below */
        t->wait = TCP_WAIT_RTO;
        tcp_clock_clear(t, TCP_CLOCK_SEND);
    }
    if (was_spurious(t, g, a))
        undo(t);
    if (t->sack_ok)
        tcp_rack_detect(t);
    else
        count_duplicates(t, g, a);
    check_tlp(t, a);
    adapt_window(t, a);
    tcp_retransmit(t);
    if (a->cumulative != 0 || t->clock[TCP_CLOCK_SEND] == NSEC_NEVER ||
        t->wait != TCP_WAIT_RTO)
        tcp_arm_send(t);
}
