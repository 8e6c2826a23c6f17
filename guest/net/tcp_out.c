// SPDX-License-Identifier: Apache-2.0
/* What TCP sends, and when. RFC 9293, 3.8; RFC 1122, 4.2.3.4. */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/net/proto.h"
#include "guest/net/tcp_parts.h"

#define PROTO_TCP   6
#define HEAD4       40u /* IP and TCP without options */
#define HEAD6       60u
#define MTU_MAX     65535u
#define OPTIONS_TS  12u
#define OPTIONS_MAX 40u
#define ROUTE_AGE   NSEC_PER_SEC
#define SET_OUT                                                                \
    (TCP_SET_SEND | 1u << TCP_FIN_WAIT1 | 1u << TCP_CLOSING |                  \
     1u << TCP_LAST_ACK)

/* --- where, and how much at once --- */

int tcp_find_route(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    if (t->route_time != 0 && now - t->route_time < ROUTE_AGE)
        return 0;
    int r = ip_route(&t->route, &t->k.remote, &t->k.local, t->k.oif);
    if (r < 0)
        return r;
    t->route_time = now;
    tcp_sync_mss(t);
    return 0;
}

static uint32_t path_mss(const struct tcp_sock *t)
{
    uint32_t mtu = MIN(t->route.mtu, MTU_MAX);
    uint32_t head = ip_is4(&t->k.remote) ? HEAD4 : HEAD6;
    if (t->pmtu != 0)
        mtu = MIN(mtu, t->pmtu);
    return mtu > head + TCP_MSS_MIN ? mtu - head : TCP_MSS_MIN;
}

uint32_t tcp_advertised_mss(const struct tcp_sock *t)
{
    uint32_t mss = path_mss(t);
    return t->tune.user_mss != 0 ? MIN(mss, (uint32_t)t->tune.user_mss) : mss;
}

/* RFC 9293, 3.7.1; RFC 6691 */
void tcp_sync_mss(struct tcp_sock *t)
{
    uint32_t mss = MIN(path_mss(t), MAX(t->peer_mss, TCP_MSS_MIN));
    if (t->tune.user_mss != 0)
        mss = MIN(mss, (uint32_t)t->tune.user_mss);
    if (t->ts_ok)
        mss -= OPTIONS_TS;
    t->mss = mss;
}

uint32_t tcp_in_flight(const struct tcp_sock *t)
{
    uint32_t n = t->snd_nxt - t->snd_una + t->again_out;
    uint32_t out = t->sacked_out + t->lost_out;
    return n > out ? n - out : 0;
}

/* The most payload one packet may carry, a multiple of mss if above it. */
static uint32_t burst_max(const struct tcp_sock *t)
{
    const struct netif *n = t->route.netif;
    uint32_t max = ip_is4(&t->k.remote) ? n->tso4_max : n->tso6_max;
    max = MIN(max, TCP_PART - 1 - HEAD6 - OPTIONS_MAX);
    if (t->snd_urgent) /* each segment has a pointer of its own */
        return t->mss;
    return max > t->mss ? max - max % t->mss : t->mss;
}

/* RFC 9293, 3.8.6.2.2: the right edge never moves back, nor by crumbs. */
uint32_t tcp_select_window(struct tcp_sock *t)
{
    uint32_t space = t->k.s.rcvbuf / 2, used = t->rcv_nxt - t->copied_seq;
    uint32_t free = space > used ? space - used : 0;
    uint32_t unit = 1u << t->rcv_scale;
    uint32_t edge = t->rcv_wup + t->rcv_wnd;
    uint32_t now = seq_lt(t->rcv_nxt, edge) ? edge - t->rcv_nxt : 0;
    if (t->rcv_charge > t->k.s.rcvbuf)
        free = 0;
    else if (!tcp_memory_room()) /* others' memory: one that is read goes on */
        free = used == 0 ? MIN(free, t->rcv_mss) : 0;
    if (t->tune.window_clamp != 0)
        free = MIN(free, t->tune.window_clamp);
    if (free < MIN(space / 2, t->rcv_mss))
        free = 0;
    free = free > now ? ROUND_DOWN(free, unit) : 0;
    free = MIN(MAX(free, ROUND_UP(now, unit)), 65535u << t->rcv_scale);
    t->rcv_wnd = free;
    t->rcv_wup = t->rcv_nxt;
    return free;
}

/* --- one segment --- */

/* Every segment tells what is acknowledged. */
static void told_ack(struct tcp_sock *t)
{
    if (t->quick_acks > 0)
        t->quick_acks--;
    t->ack_due = 0;
    t->ack_now = false;
    t->dsack = false;
    t->last_ack = t->rcv_nxt;
    t->last_ack_sent = clock_now();
    tcp_clock_clear(t, TCP_CLOCK_DELACK);
}

/* Header and options in front of the payload, and off it goes. */
static int send_packet(struct tcp_sock *t, struct packet *p, uint32_t seq,
                       uint8_t flags)
{
    uint8_t options[OPTIONS_MAX];
    bool syn = (flags & TCP_SYN) != 0;
    uint32_t n = syn ? tcp_options_syn(t, options, (flags & TCP_ACK) != 0)
                     : tcp_options(t, options);
    uint32_t window = 0;
    if (syn)
        window = MIN(t->rcv_wnd, 65535u); /* RFC 7323, 2.2: not scaled */
    else if ((flags & TCP_RST) == 0)
        window = tcp_select_window(t) >> t->rcv_scale;
    struct lx_tcphdr h = {
        .source = be16(t->k.lport),
        .dest = be16(t->k.rport),
        .seq = be32(seq),
        .ack = (flags & TCP_ACK) != 0 ? be32(t->rcv_nxt) : 0,
        .off = (uint8_t)((sizeof(h) + n) / 4 << 4),
        .flags = flags,
        .window = be16((uint16_t)window),
    };
    uint16_t urgent = tcp_urgent_pointer(t, seq);
    if (urgent != 0 && p->gso_size == 0 && (flags & (TCP_SYN | TCP_RST)) == 0) {
        h.flags |= TCP_URG;
        h.urgent = be16(urgent);
    }
    uint8_t *at = packet_push(p, (uint16_t)(sizeof(h) + n));
    memcpy(at, &h, sizeof(h));
    memcpy(at + sizeof(h), options, n);
    packet_csum_start(p, &t->k.local, &t->k.remote, PROTO_TCP,
                      offsetof(struct lx_tcphdr, check));
    bool four = ip_is4(&t->k.remote);
    struct ip_send how = {.src = t->k.local,
                          .dst = t->k.remote,
                          .protocol = PROTO_TCP,
                          .ttl = four ? t->k.ttl : t->k.hops,
                          .ttl_set = !four && t->k.hops_set,
                          .tos = four ? t->k.tos : t->k.tclass,
                          .dont_fragment = true};
    t->segs_out++;
    if ((flags & TCP_ACK) != 0)
        told_ack(t);
    return ip_output(p, &t->route, &how);
}

void tcp_send_control(struct tcp_sock *t, uint8_t flags, uint32_t seq)
{
    if (tcp_find_route(t) < 0)
        return;
    struct packet *p = packet_new(PACKET_ROOM);
    if (p != NULL)
        (void)send_packet(t, p, seq, flags);
}

void tcp_send_ack(struct tcp_sock *t)
{
    if (!TCP_IN(t->state,
                1u << TCP_CLOSE | 1u << TCP_LISTEN | 1u << TCP_SYN_SENT))
        tcp_send_control(t, TCP_ACK, t->snd_nxt);
}

void tcp_send_reset(struct tcp_sock *t)
{
    tcp_send_control(t, TCP_RST | TCP_ACK, t->snd_nxt);
}

void tcp_send_syn(struct tcp_sock *t)
{
    bool reply = t->state == TCP_SYN_RECV;
    tcp_send_control(t, reply ? TCP_SYN | TCP_ACK : TCP_SYN, t->iss);
}

/* Pages with the bytes [seq, seq + n) go into `p`: how many did. */
static uint32_t attach(struct tcp_sock *t, struct packet *p, uint32_t seq,
                       uint32_t n)
{
    struct list *it = t->send_queue.next;
    uint32_t done = 0;
    if (t->send_at != NULL && seq_le(t->send_at->seq, seq))
        it = &t->send_at->node;
    for (; it != &t->send_queue && done < n; it = it->next) {
        struct tcp_data *d = LIST_ENTRY(it, struct tcp_data, node);
        uint32_t skip = seq + done - d->seq;
        if (skip >= d->size)
            continue;
        uint32_t part = MIN(d->size - skip, n - done);
        if (packet_add(p, d->page, d->off + skip, part) < 0)
            break;
        done += part;
        t->send_at = d;
    }
    return done;
}

int64_t tcp_transmit(struct tcp_sock *t, uint32_t seq, uint32_t end,
                     uint8_t flags)
{
    struct packet *p = packet_new(PACKET_ROOM);
    if (p == NULL)
        return -ENOMEM;
    bool fin = t->fin_queued && end == t->write_seq + 1;
    uint32_t want = end - seq - fin;
    uint32_t n = attach(t, p, seq, want);
    if (n < want)
        fin = false;
    if (n == 0 && !fin) {
        packet_free(p);
        return -EINVAL;
    }
    if (n > t->mss)
        p->gso_size = (uint16_t)t->mss;
    t->bytes_sent += n;
    t->data_out += (n + t->mss - 1) / t->mss;
    t->last_sent = clock_now();
    flags |= TCP_ACK | (fin ? TCP_FIN : 0);
    (void)send_packet(t, p, seq, flags); /* if it failed, it is lost */
    return (int64_t)n + fin;
}

/* --- new data --- */

static bool hold_small(const struct tcp_sock *t, bool more)
{
    if (t->fin_queued || t->snd_urgent)
        return false;
    if (t->tune.cork || more)
        return true;
    /* RFC 9293, 3.7.4, as Minshall has it: one small segment at a time. */
    return !t->tune.nodelay && t->snd_nxt != t->snd_una &&
           seq_lt(t->snd_una, t->snd_sml);
}

/* How much of `avail` bytes may go now; 0: nothing. */
static uint32_t send_size(struct tcp_sock *t, uint32_t avail, bool more)
{
    uint32_t edge = t->snd_una + t->snd_wnd;
    uint32_t win = seq_lt(t->snd_nxt, edge) ? edge - t->snd_nxt : 0;
    uint32_t flight = tcp_in_flight(t);
    uint32_t room = t->cwnd > flight ? t->cwnd - flight : 0;
    room = room < t->mss && flight > 0 ? 0 : MAX(room, t->mss);
    uint32_t n = MIN(MIN(avail, win), MIN(room, burst_max(t)));
    if (room == 0)
        t->cwnd_limited = true;
    if (n == avail) { /* the end of what there is */
        uint32_t rest = n % t->mss;
        return rest != 0 && hold_small(t, more) ? n - rest : n;
    }
    if (n >= t->mss)
        return n - n % t->mss;
    /* RFC 1122, 4.2.3.4: a window's half is as good as a full segment. */
    return n == win && n >= t->max_window / 2 && room != 0 ? n : 0;
}

static bool send_some(struct tcp_sock *t, uint32_t n, bool fin, bool last)
{
    uint32_t seq = t->snd_nxt;
    struct tcp_tx *x = tcp_tx_new(t, seq, seq + n + fin);
    if (x == NULL)
        return false;
    int64_t r = tcp_transmit(t, seq, seq + n + fin, last ? TCP_PSH : 0);
    if (r <= 0) {
        x->end = x->seq;
        tcp_tx_drop(t, x);
        return false;
    }
    x->end = seq + (uint32_t)r;
    t->snd_nxt = x->end;
    if (n % t->mss != 0)
        t->snd_sml = x->end;
    if (t->ca == LX_TCP_CA_RECOVERY)
        t->prr_out += (uint32_t)r;
    return true;
}

void tcp_output(struct tcp_sock *t, bool more)
{
    bool sent = false;
    if (!TCP_IN(t->state, SET_OUT) || tcp_find_route(t) < 0)
        return;
    t->cwnd_limited = false;
    tcp_cwnd_idle(t);
    for (;;) {
        uint32_t end = t->write_seq + t->fin_queued;
        uint32_t avail = end - t->snd_nxt;
        uint32_t n = avail > 0 ? send_size(t, avail, more) : 0;
        if (n == 0)
            break;
        bool fin = t->fin_queued && n == avail;
        if (!send_some(t, n - fin, fin, n == avail))
            break;
        sent = true;
    }
    if (tcp_in_flight(t) * 2 >= t->cwnd)
        t->cwnd_limited = true;
    if (sent)
        t->pingpong = true;
    if (sent || (t->clock[TCP_CLOCK_SEND] == NSEC_NEVER &&
                 t->write_seq + t->fin_queued != t->snd_una))
        tcp_arm_send(t);
}

/* RFC 9293, 3.8.6.1: what fits, or an old byte that is answered. */
void tcp_send_probe(struct tcp_sock *t)
{
    uint32_t edge = t->snd_una + t->snd_wnd;
    uint32_t end = t->write_seq + t->fin_queued;
    if (tcp_find_route(t) < 0)
        return;
    if (seq_lt(t->snd_nxt, edge) && seq_lt(t->snd_nxt, end)) {
        uint32_t n = MIN(MIN(edge - t->snd_nxt, end - t->snd_nxt), t->mss);
        bool fin = t->fin_queued && t->snd_nxt + n == end;
        (void)send_some(t, n - fin, fin, true);
        return;
    }
    tcp_send_control(t, TCP_ACK, t->snd_una - 1);
}
