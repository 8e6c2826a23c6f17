// SPDX-License-Identifier: Apache-2.0
/* What a program may see of a connection: TCP_INFO, /proc/net/tcp. */
#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/pseudo.h"
#include "guest/net/tcp.h"
#include "guest/net/tcp_parts.h"

#define HZ       100u /* of /proc */
#define ATO_US   40000u
#define SHOW_MAX 16384u

static uint32_t segments(const struct tcp_sock *t, uint32_t bytes)
{
    return (bytes + t->mss - 1) / t->mss;
}

static uint32_t ms_since(nsec_t now, nsec_t at)
{
    return at != 0 ? (uint32_t)((now - at) / TCP_MS) : 0;
}

static uint8_t seen_state(const struct tcp_sock *t)
{
    /* What is left of a connection is not the program's any more. */
    return t->state == TCP_TIME_WAIT ? TCP_CLOSE : t->state;
}

static void fill_path(const struct tcp_sock *t, struct lx_tcp_info *i)
{
    i->rto = (uint32_t)(tcp_rto(t) / 1000);
    i->ato = ATO_US;
    i->snd_mss = t->mss;
    i->rcv_mss = MAX(t->rcv_mss, TCP_MSS_DEFAULT);
    i->pmtu = t->pmtu != 0 ? t->pmtu : MIN(t->route.mtu, 65535u);
    i->rtt = t->srtt;
    i->rttvar = t->rttvar;
    i->min_rtt = t->min_rtt != 0 ? t->min_rtt : UINT32_MAX;
    i->snd_ssthresh =
        t->ssthresh >= UINT32_MAX / 2 ? INT32_MAX : segments(t, t->ssthresh);
    i->snd_cwnd =
        MAX(t->cwnd / t->mss, (uint32_t)TCP_INIT_CWND * (t->cwnd == 0));
    i->advmss = t->route.mtu != 0 ? tcp_advertised_mss(t) : t->mss;
    i->reordering = TCP_DUP_THRESH;
    i->rcv_rtt = t->rcv_rtt;
    i->rcv_space = MAX(t->rcv_space, 10 * i->rcv_mss);
    i->rcv_ssthresh = t->rcv_wnd;
    i->snd_wnd = t->snd_wnd;
}

static void fill_counters(const struct tcp_sock *t, struct lx_tcp_info *i)
{
    i->total_retrans = t->total_again;
    i->bytes_acked = t->bytes_acked;
    i->bytes_received = t->bytes_received;
    i->bytes_sent = t->bytes_sent;
    i->bytes_retrans = t->bytes_again;
    i->segs_out = t->segs_out;
    i->segs_in = t->segs_in;
    i->data_segs_in = t->data_in;
    i->data_segs_out = t->data_out;
    i->delivered = t->delivered;
    i->dsack_dups = t->dsacks;
    i->reord_seen = t->reordered;
    i->rcv_ooopack = t->oooed;
}

int tcp_info(struct tcp_sock *t, struct socket_option *o)
{
    struct lx_tcp_info i = {.state = 0};
    nsec_t now = clock_now();
    spin_lock(&t->k.lock);
    i.state = seen_state(t);
    i.ca_state = t->ca;
    i.retransmits = t->retries;
    i.probes = t->probes;
    i.backoff = t->backoff;
    i.options = (uint8_t)((t->ts_ok ? LX_TCPI_OPT_TIMESTAMPS : 0) |
                          (t->sack_ok ? LX_TCPI_OPT_SACK : 0) |
                          (t->scale_ok ? LX_TCPI_OPT_WSCALE : 0));
    i.wscale = (uint8_t)(t->scale_ok ? t->snd_scale | t->rcv_scale << 4 : 0);
    if (t->state == TCP_LISTEN) {
        i.unacked = t->ready_count;
        i.sacked = t->backlog;
    } else {
        i.unacked = segments(t, t->snd_nxt - t->snd_una);
        i.sacked = segments(t, t->sacked_out);
        i.lost = segments(t, t->lost_out);
        i.retrans = segments(t, t->again_out);
        uint32_t unsent = t->write_seq - t->snd_nxt;
        i.notsent_bytes = (int32_t)unsent > 0 ? unsent : 0;
    }
    i.last_data_sent = ms_since(now, t->last_sent);
    i.last_data_recv = ms_since(now, t->last_recv);
    i.last_ack_recv = ms_since(now, t->last_ack_recv);
    fill_path(t, &i);
    fill_counters(t, &i);
    spin_unlock(&t->k.lock);
    return socket_option_put(o, &i, sizeof(i));
}

/* --- /proc/net/tcp --- */

static void show_addr(struct text *t, const struct ip_addr *a, uint16_t port,
                      bool six)
{
    for (unsigned i = six ? 0 : 3; i < 4; i++)
        text_printf(t, "%08X", a->w[i]);
    text_printf(t, ":%04X ", port);
}

/* Which deadline is next, as Linux numbers them. */
static unsigned show_clock(const struct tcp_sock *t, nsec_t *when)
{
    *when = t->clock[TCP_CLOCK_SEND];
    if (*when != NSEC_NEVER)
        return t->wait == TCP_WAIT_PROBE ? 4 : 1;
    *when = t->clock[TCP_CLOCK_KEEP];
    if (*when == NSEC_NEVER)
        return 0;
    return t->state == TCP_TIME_WAIT ? 3 : 2;
}

static void show_one(struct text *to, struct tcp_sock *t, unsigned n, bool six)
{
    nsec_t when, now = clock_now();
    uint32_t out = t->write_seq - t->snd_una;
    uint32_t in = tcp_queued(t);
    if (t->state == TCP_LISTEN) {
        out = 0;
        in = t->ready_count;
    } else if (TCP_IN(t->state, 1u << TCP_SYN_SENT | 1u << TCP_CLOSE |
                                    1u << TCP_SYN_RECV | 1u << TCP_TIME_WAIT)) {
        out = t->state == TCP_SYN_SENT;
        in = 0;
    }
    if ((int32_t)out < 0) /* the FIN is acknowledged */
        out = 0;
    unsigned clock = show_clock(t, &when);
    uint64_t left = clock != 0 && when > now ? when - now : 0;
    const struct file *f = __atomic_load_n(&t->k.s.file, __ATOMIC_ACQUIRE);
    text_printf(to, "%4u: ", n);
    show_addr(to, &t->k.local, t->k.lport, six);
    show_addr(to, &t->k.remote, t->k.rport, six);
    text_printf(
        to, "%02X %08X:%08X %02X:%08lX %08X %5u %8u %lu %d %016lx", t->state,
        out, in, clock, (unsigned long)(left / (NSEC_PER_SEC / HZ)), t->retries,
        t->k.uid, t->probes, f != NULL ? (unsigned long)f->inode->ino : 0ul,
        (int)t->k.refs, 0ul);
    text_add(to, "\n", 1);
}

static void show_list(struct text *to, struct list *l, bool bound, bool six,
                      unsigned *n)
{
    LIST_FOR(it, l)
    {
        struct inet_sock *k = bound
                                  ? LIST_ENTRY(it, struct inet_sock, bound_node)
                                  : LIST_ENTRY(it, struct inet_sock, hash_node);
        struct tcp_sock *t = tcp_of_inet(k);
        if ((k->s.family != 2) != six || *n >= SHOW_MAX ||
            (bound && t->state != TCP_LISTEN))
            continue;
        spin_lock(&k->lock);
        show_one(to, t, (*n)++, six);
        spin_unlock(&k->lock);
    }
}

static int show_all(struct text *to, bool six)
{
    unsigned n = 0;
    if (tcp_table.bound == NULL)
        return 0;
    for (int pass = 0; pass < 2; pass++) {
        struct list *lists = pass == 0 ? tcp_table.bound : tcp_table.connected;
        for (uint32_t i = 0; i < 1u << tcp_table.bits; i++) {
            spin_lock(&tcp_table.lock);
            show_list(to, &lists[i], pass == 0, six, &n);
            spin_unlock(&tcp_table.lock);
        }
    }
    return 0;
}

int tcp_show(struct text *t, const struct pseudo_ref *r)
{
    static const char head[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
        "retrnsmt   uid  timeout inode                                      "
        "               \n";
    (void)r;
    text_add(t, head, sizeof(head) - 1);
    return show_all(t, false);
}

int tcp6_show(struct text *t, const struct pseudo_ref *r)
{
    static const char head[] =
        "  sl  local_address                         remote_address         "
        "               st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode\n";
    (void)r;
    text_add(t, head, sizeof(head) - 1);
    return show_all(t, true);
}
