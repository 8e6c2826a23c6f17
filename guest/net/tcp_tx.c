// SPDX-License-Identifier: Apache-2.0
/*
 * What is in flight: one record for what was sent at once, cut where an
 * acknowledgement or a loss needs it. RFC 6675 (SACK), RFC 8985 (RACK: what
 * was sent well before something that arrived is lost).
 */
#include "guest/core/kmem.h"
#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

struct tcp_tx *tcp_tx_new(struct tcp_sock *t, uint32_t seq, uint32_t end)
{
    if (t->tx_count >= TCP_TX_MAX)
        return NULL;
    struct tcp_tx *x = kmalloc(sizeof(*x));
    if (x == NULL)
        return NULL;
    *x = (struct tcp_tx){.seq = seq, .end = end, .time = clock_now()};
    list_add_tail(&t->tx, &x->node);
    t->tx_count++;
    return x;
}

void tcp_tx_drop(struct tcp_sock *t, struct tcp_tx *x)
{
    list_remove(&x->node);
    t->tx_count--;
    kfree(x);
}

struct tcp_tx *tcp_tx_split(struct tcp_sock *t, struct tcp_tx *x, uint32_t at)
{
    if (t->tx_count >= TCP_TX_MAX)
        return NULL;
    struct tcp_tx *y = kmalloc(sizeof(*y));
    if (y == NULL)
        return NULL;
    *y = *x;
    y->seq = at;
    x->end = at;
    list_add_head(&x->node, &y->node);
    t->tx_count++;
    return y;
}

void tcp_tx_purge(struct tcp_sock *t)
{
    while (!list_empty(&t->tx))
        tcp_tx_drop(t, LIST_ENTRY(t->tx.next, struct tcp_tx, node));
    t->sacked_out = 0;
    t->lost_out = 0;
    t->again_out = 0;
}

void tcp_tx_lose(struct tcp_sock *t, struct tcp_tx *x)
{
    uint32_t n = x->end - x->seq;
    if (x->sacked)
        return;
    if (x->again)
        t->again_out -= n;
    x->again = false;
    if (!x->lost)
        t->lost_out += n;
    x->lost = true;
}

/* The first `n` bytes of x count no more. */
static void uncount(struct tcp_sock *t, const struct tcp_tx *x, uint32_t n)
{
    if (x->sacked)
        t->sacked_out -= n;
    if (x->lost)
        t->lost_out -= n;
    if (x->again)
        t->again_out -= n;
}

/* --- acknowledged --- */

static void take_sample(struct tcp_sock *t, const struct tcp_tx *x,
                        struct tcp_acked *a)
{
    if (x->ever) /* Karn: RFC 6298, 3 */
        return;
    a->rtt = (int64_t)((clock_now() - x->time) / 1000);
    a->old_data = true;
    /* RFC 8985, 6.2, step 3: it overtook nothing, but was overtaken. */
    if (seq_lt(x->end, t->fack))
        t->reordered = true;
}

static void free_data(struct tcp_sock *t, uint32_t una)
{
    while (!list_empty(&t->send_queue)) {
        struct tcp_data *d =
            LIST_ENTRY(t->send_queue.next, struct tcp_data, node);
        if (seq_lt(una, d->seq + d->size)) {
            uint32_t n = seq_lt(d->seq, una) ? una - d->seq : 0;
            d->seq += n;
            d->off += n;
            d->size -= n;
            return;
        }
        if (t->send_at == d)
            t->send_at = NULL;
        t->send_charge -= d->charge;
        list_remove(&d->node);
        tcp_data_free(d);
    }
}

void tcp_tx_ack(struct tcp_sock *t, const struct tcp_seg *g,
                struct tcp_acked *a)
{
    while (!list_empty(&t->tx)) {
        struct tcp_tx *x = LIST_ENTRY(t->tx.next, struct tcp_tx, node);
        if (!seq_lt(x->seq, g->ack))
            break;
        bool all = seq_le(x->end, g->ack);
        uint32_t n = (all ? x->end : g->ack) - x->seq;
        if (!x->sacked) {
            a->delivered += n;
            take_sample(t, x, a);
            tcp_rack_update(t, x, a);
        }
        uncount(t, x, n);
        x->seq += n;
        if (!all)
            break;
        tcp_tx_drop(t, x);
    }
    a->cumulative = g->ack - t->snd_una;
    t->snd_una = g->ack;
    t->bytes_acked += a->cumulative;
    free_data(t, g->ack);
    if (seq_lt(t->fack, t->snd_una))
        t->fack = t->snd_una;
}

static void mark_sacked(struct tcp_sock *t, struct tcp_tx *x,
                        struct tcp_acked *a)
{
    uint32_t n = x->end - x->seq;
    take_sample(t, x, a);
    tcp_rack_update(t, x, a);
    uncount(t, x, n);
    x->lost = false;
    x->again = false;
    x->sacked = true;
    t->sacked_out += n;
    a->delivered += n;
    a->sacked = true;
}

/* Whole segments of [seq, end) in x: a peer cannot make us cut finer. */
static struct tcp_tx *cut_sacked(struct tcp_sock *t, struct tcp_tx *x,
                                 uint32_t seq, uint32_t end)
{
    if (seq_lt(x->seq, seq)) {
        uint32_t n = (seq - x->seq + t->mss - 1) / t->mss * t->mss;
        if (n >= x->end - x->seq)
            return NULL;
        x = tcp_tx_split(t, x, x->seq + n);
    }
    if (x != NULL && seq_lt(end, x->end)) {
        uint32_t n = seq_lt(x->seq, end) ? end - x->seq : 0;
        n -= n % t->mss;
        if (n == 0 || tcp_tx_split(t, x, x->seq + n) == NULL)
            return NULL;
    }
    return x;
}

static void apply_block(struct tcp_sock *t, uint32_t seq, uint32_t end,
                        struct tcp_acked *a)
{
    for (struct list *it = t->tx.next; it != &t->tx; it = it->next) {
        struct tcp_tx *x = LIST_ENTRY(it, struct tcp_tx, node);
        if (seq_le(end, x->seq))
            break;
        if (x->sacked || seq_le(x->end, seq))
            continue;
        x = cut_sacked(t, x, seq, end);
        if (x == NULL)
            continue;
        it = &x->node;
        mark_sacked(t, x, a);
        t->fack = seq_max(t->fack, x->end);
    }
}

/* RFC 2018, 5; RFC 2883: the first block may tell of a duplicate. */
void tcp_tx_sack(struct tcp_sock *t, const struct tcp_seg *g,
                 struct tcp_acked *a)
{
    for (unsigned i = 0; i < g->sack_count; i++) {
        uint32_t seq = g->sack[i].seq, end = g->sack[i].end;
        bool inside = g->sack_count > 1 && i == 0 &&
                      seq_le(g->sack[1].seq, seq) &&
                      seq_le(end, g->sack[1].end);
        if (i == 0 && (seq_lt(seq, g->ack) || inside)) {
            a->dsack = true;
            t->dsacks++;
            continue;
        }
        if (seq_lt(seq, end) && seq_lt(t->snd_una, end) &&
            seq_le(end, t->snd_nxt))
            apply_block(t, seq, end, a);
    }
}

/* --- RACK --- */

static uint32_t ts_of(const struct tcp_sock *t, const struct tcp_tx *x)
{
    return (uint32_t)(x->time / TCP_MS) + t->ts_off;
}

/* RFC 8985, 6.2, step 2: the newest that arrived. */
void tcp_rack_update(struct tcp_sock *t, const struct tcp_tx *x,
                     const struct tcp_acked *a)
{
    uint32_t rtt = (uint32_t)((clock_now() - x->time) / 1000);
    /* Of one sent twice this may be the first's answer. */
    if (x->ever &&
        (rtt < t->min_rtt || (a->has_ts && seq_lt(a->ts_ecr, ts_of(t, x)))))
        return;
    t->rack_rtt = rtt;
    if (x->time > t->rack_time ||
        (x->time == t->rack_time && seq_lt(t->rack_end, x->end))) {
        t->rack_time = x->time;
        t->rack_end = x->end;
    }
}

static bool sent_before(const struct tcp_sock *t, const struct tcp_tx *x)
{
    return x->time < t->rack_time ||
           (x->time == t->rack_time && seq_lt(x->end, t->rack_end));
}

/* Step 4: how long to wait for what may only be late. */
static nsec_t reorder_window(const struct tcp_sock *t)
{
    if (!t->reordered && (t->ca >= LX_TCP_CA_RECOVERY ||
                          t->sacked_out >= TCP_DUP_THRESH * t->mss))
        return 0;
    uint32_t us = MIN(t->min_rtt / 4 * (t->reo_factor + 1u), t->srtt);
    return (nsec_t)us * 1000;
}

/* Step 5. */
void tcp_rack_detect(struct tcp_sock *t)
{
    nsec_t now = clock_now(), wait = 0, window = reorder_window(t);
    nsec_t age = (nsec_t)t->rack_rtt * 1000 + window;
    if (t->rack_time == 0)
        return;
    LIST_FOR(it, &t->tx)
    {
        struct tcp_tx *x = LIST_ENTRY(it, struct tcp_tx, node);
        if (x->sacked || (x->lost && !x->again) || !sent_before(t, x))
            continue;
        nsec_t due = x->time + age;
        if (due <= now)
            tcp_tx_lose(t, x);
        else
            wait = MAX(wait, due - now);
    }
    if (wait != 0) {
        t->wait = TCP_WAIT_REO;
        tcp_clock_set(t, TCP_CLOCK_SEND, now + wait);
    }
}
