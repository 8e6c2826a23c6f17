// SPDX-License-Identifier: Apache-2.0
/* Deadlines that passed: retransmission (RFC 6298), tail loss probes (RFC
 * 8985), windows that stay closed, keep-alive (RFC 9293, 3.8.4). */
#include "abi/linux/errno.h"

#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

#define SYNACK_RETRIES 5
#define PROBES_MAX     15                /* net.ipv4.tcp_retries2 */
#define ORPHAN_PROBES  8                 /* net.ipv4.tcp_orphan_retries */
#define GIVE_UP        (924600 * TCP_MS) /* what 15 retries of 200 ms make */
#define GIVE_UP_ORPHAN (102200 * TCP_MS) /* and 8 */
#define FIN_TIMEOUT    60                /* s: net.ipv4.tcp_fin_timeout */

static void give_up(struct tcp_sock *t)
{
    tcp_done(t, t->soft_error != 0 ? t->soft_error : ETIMEDOUT);
}

static nsec_t user_timeout(const struct tcp_sock *t)
{
    return t->tune.user_timeout * TCP_MS;
}

/* --- what was sent and not answered --- */

static void syn_due(struct tcp_sock *t)
{
    unsigned max = t->state == TCP_SYN_SENT
                       ? t->tune.syn_retries
                       : MAX(SYNACK_RETRIES, t->tune.defer_accept);
    nsec_t now = clock_now();
    if (t->retries >= max ||
        (t->tune.user_timeout != 0 && now - t->syn_time >= user_timeout(t))) {
        give_up(t);
        return;
    }
    t->retries++;
    t->backoff++;
    t->total_again++;
    tcp_send_syn(t);
    tcp_clock_set(t, TCP_CLOCK_SEND, now + tcp_rto(t));
}

/* RFC 9293, 3.8.3 */
static bool too_long(struct tcp_sock *t, nsec_t now)
{
    nsec_t max = t->dead ? GIVE_UP_ORPHAN : GIVE_UP;
    if (t->retry_since == 0)
        t->retry_since = now - tcp_rto(t);
    if (t->tune.user_timeout != 0)
        max = user_timeout(t);
    return now - t->retry_since >= max;
}

static void rto_due(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    if (too_long(t, now)) {
        give_up(t);
        return;
    }
    tcp_enter_loss(t);
    t->route_time = 0; /* there may be a better one */
    if (t->retries < UINT8_MAX)
        t->retries++;
    t->backoff = (uint8_t)MIN(t->backoff + 1, 16);
    tcp_retransmit(t);
    t->wait = TCP_WAIT_RTO;
    tcp_clock_set(t, TCP_CLOCK_SEND, now + tcp_rto(t));
}

/* RFC 8985, 7.3: something new, or the last segment again. */
static void tlp_due(struct tcp_sock *t)
{
    struct tcp_tx *x = LIST_ENTRY(t->tx.prev, struct tcp_tx, node);
    uint32_t before = t->snd_nxt, window = t->snd_una + t->snd_wnd;
    uint32_t end = t->write_seq + t->fin_queued;
    t->tlp_again = !(seq_lt(t->snd_nxt, end) && seq_lt(t->snd_nxt, window));
    if (!t->tlp_again) {
        tcp_send_probe(t);
    } else if (!x->sacked && tcp_find_route(t) == 0) {
        if (x->end - x->seq > t->mss) {
            struct tcp_tx *y = tcp_tx_split(t, x, x->end - t->mss);
            x = y != NULL ? y : x;
        }
        if (tcp_transmit(t, x->seq, x->end, TCP_PSH) > 0) {
            x->ever = true;
            x->time = clock_now();
            t->total_again++;
        }
    }
    t->tlp_on = t->tlp_again || t->snd_nxt != before;
    t->tlp_end = t->snd_nxt;
    t->wait = TCP_WAIT_RTO;
    tcp_clock_set(t, TCP_CLOCK_SEND, clock_now() + tcp_rto(t));
}

static void reo_due(struct tcp_sock *t)
{
    struct tcp_seg g = {.seq = t->rcv_nxt};
    struct tcp_acked a = {.una = t->snd_una, .rtt = -1};
    tcp_recover(t, &g, &a);
    tcp_output(t, false);
    if (t->clock[TCP_CLOCK_SEND] == NSEC_NEVER)
        tcp_arm_send(t);
}

/* RFC 9293, 3.8.6.1; RFC 1122, 4.2.2.17: for ever, while it answers. */
static void probe_due(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    unsigned max = t->dead ? ORPHAN_PROBES : PROBES_MAX;
    bool late = t->tune.user_timeout != 0 && too_long(t, now);
    /* A peer that answers, and takes nothing, keeps no orphan's memory. */
    bool idle = t->dead && (!tcp_orphan_room() || !tcp_memory_room() ||
                            tcp_rto(t) >= TCP_RTO_MAX);
    if (late || idle || t->probes > max) {
        give_up(t);
        return;
    }
    t->probes++;
    t->backoff = (uint8_t)MIN(t->backoff + 1, 16);
    tcp_send_probe(t);
    if (t->state != TCP_CLOSE)
        tcp_arm_send(t);
}

static void send_due(struct tcp_sock *t)
{
    uint8_t wait = t->wait;
    t->wait = TCP_WAIT_RTO;
    if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
        syn_due(t);
    else if (list_empty(&t->tx))
        probe_due(t);
    else if (wait == TCP_WAIT_TLP)
        tlp_due(t);
    else if (wait == TCP_WAIT_REO)
        reo_due(t);
    else
        rto_due(t);
}

/* --- keep-alive, and states that end by themselves --- */

void tcp_keep_start(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    if (t->state == TCP_FIN_WAIT2 && t->dead) {
        nsec_t s = t->tune.linger2 > 0 ? (nsec_t)t->tune.linger2 : FIN_TIMEOUT;
        tcp_clock_set(t, TCP_CLOCK_KEEP, now + s * NSEC_PER_SEC);
    } else if (socket_option_on(&t->k.s, LX_SO_KEEPALIVE) &&
               !TCP_IN(t->state, 1u << TCP_CLOSE | 1u << TCP_LISTEN |
                                     1u << TCP_SYN_SENT |
                                     1u << TCP_TIME_WAIT)) {
        tcp_clock_set(t, TCP_CLOCK_KEEP,
                      now + t->tune.keep_idle * NSEC_PER_SEC);
    }
}

static void keepalive_due(struct tcp_sock *t)
{
    nsec_t now = clock_now(), heard = MAX(t->last_recv, t->last_ack_recv);
    nsec_t idle = t->tune.keep_idle * NSEC_PER_SEC, past = now - heard;
    nsec_t next = idle;
    if (!socket_option_on(&t->k.s, LX_SO_KEEPALIVE))
        return;
    if (list_empty(&t->tx) && t->write_seq + t->fin_queued == t->snd_nxt) {
        bool dead = t->tune.user_timeout != 0
                        ? past >= user_timeout(t) && t->probes > 0
                        : t->probes >= t->tune.keep_count;
        if (past < idle) {
            next = idle - past;
        } else if (dead) {
            tcp_send_reset(t);
            give_up(t);
            return;
        } else {
            t->probes++;
            tcp_send_control(t, TCP_ACK, t->snd_una - 1);
            next = t->tune.keep_interval * NSEC_PER_SEC;
        }
    }
    tcp_clock_set(t, TCP_CLOCK_KEEP, now + next);
}

static void keep_due(struct tcp_sock *t)
{
    if (t->state == TCP_TIME_WAIT || (t->state == TCP_FIN_WAIT2 && t->dead))
        tcp_done(t, 0);
    else
        keepalive_due(t);
}

void tcp_clock_due(struct tcp_sock *t, enum tcp_clock c)
{
    if (t->state == TCP_CLOSE || t->state == TCP_LISTEN)
        return;
    if (c == TCP_CLOCK_SEND) {
        send_due(t);
    } else if (c == TCP_CLOCK_KEEP) {
        keep_due(t);
    } else if (t->ack_due != 0) {
        t->pingpong = false; /* nothing was said to send it with */
        tcp_send_ack(t);
    }
}
