// SPDX-License-Identifier: Apache-2.0
/* Headers of TCP: read, written, and the RST that answers what is nobody's.
 * RFC 9293, 3.1; RFC 7323; RFC 2018. */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/net/proto.h"
#include "guest/net/tcp_parts.h"

#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_SCALE   3
#define OPT_SACK_OK 4
#define OPT_SACK    5
#define OPT_TS      8
#define SCALE_MAX   14 /* RFC 7323, 2.3 */
#define WORD        4u
#define PROTO_TCP   6

uint32_t tcp_ts_now(void)
{
    return (uint32_t)(clock_now() / TCP_MS);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return be32(v);
}

static uint8_t *put32(uint8_t *at, uint32_t v)
{
    v = be32(v);
    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

/* --- in --- */

static void parse_sack(struct tcp_seg *g, const uint8_t *at, unsigned n)
{
    for (; n >= 8 && g->sack_count < TCP_SACKS; n -= 8, at += 8) {
        g->sack[g->sack_count].seq = get32(at);
        g->sack[g->sack_count++].end = get32(at + 4);
    }
}

static void parse_option(struct tcp_seg *g, uint8_t kind, const uint8_t *at,
                         unsigned n)
{
    bool syn = (g->flags & TCP_SYN) != 0;
    if (kind == OPT_MSS && n == 2 && syn) {
        g->mss = (uint16_t)(at[0] << 8 | at[1]);
    } else if (kind == OPT_SCALE && n == 1 && syn) {
        g->has_scale = true;
        g->wscale = MIN(at[0], SCALE_MAX);
    } else if (kind == OPT_SACK_OK && n == 0 && syn) {
        g->sack_ok = true;
    } else if (kind == OPT_SACK && n % 8 == 0 && !syn) {
        parse_sack(g, at, n);
    } else if (kind == OPT_TS && n == 8) {
        g->has_ts = true;
        g->ts_val = get32(at);
        g->ts_ecr = get32(at + 4);
    }
}

static void parse_options(struct tcp_seg *g, const uint8_t *at, unsigned n)
{
    while (n > 0 && at[0] != OPT_END) {
        if (at[0] == OPT_NOP) {
            at++;
            n--;
            continue;
        }
        /* A wrong length ends the reading: RFC 9293, 3.1. */
        if (n < 2 || at[1] < 2 || at[1] > n)
            return;
        parse_option(g, at[0], at + 2, at[1] - 2u);
        n -= at[1];
        at += at[1];
    }
}

int tcp_parse(struct packet *p, struct tcp_seg *g)
{
    struct lx_tcphdr h;
    const uint8_t *at = packet_pull(p, sizeof(h));
    if (at == NULL)
        return -EINVAL;
    memcpy(&h, at, sizeof(h));
    uint32_t head = (uint32_t)(h.off >> 4) * WORD;
    if (head < sizeof(h))
        return -EINVAL;
    at = packet_pull(p, head);
    if (at == NULL || !packet_csum_good(p, PROTO_TCP))
        return -EINVAL;
    *g = (struct tcp_seg){
        .p = p,
        .seq = be32(h.seq),
        .ack = be32(h.ack),
        .sport = be16(h.source),
        .dport = be16(h.dest),
        .window = be16(h.window),
        .urgent = be16(h.urgent),
        .flags = h.flags,
        .size = p->size - head,
    };
    parse_options(g, at + sizeof(h), head - (uint32_t)sizeof(h));
    packet_skip(p, head);
    g->end = g->seq + g->size + ((g->flags & TCP_SYN) != 0) +
             ((g->flags & TCP_FIN) != 0);
    return 0;
}

/* --- out --- */

static uint8_t *put_ts(const struct tcp_sock *t, uint8_t *to)
{
    to = put32(to, (uint32_t)OPT_NOP << 24 | OPT_NOP << 16 | OPT_TS << 8 | 10);
    to = put32(to, tcp_ts_now() + t->ts_off);
    return put32(to, t->ts_recent);
}

uint32_t tcp_options_syn(const struct tcp_sock *t, uint8_t *to, bool reply)
{
    uint8_t *at = to;
    at = put32(at, (uint32_t)OPT_MSS << 24 | 4 << 16 | tcp_advertised_mss(t));
    /* A reply offers what was offered: RFC 7323, 2.2 and 3.2. */
    if (!reply || t->ts_ok)
        at = put_ts(t, at);
    if (!reply || t->sack_ok)
        at = put32(at, (uint32_t)OPT_NOP << 24 | OPT_NOP << 16 |
                           OPT_SACK_OK << 8 | 2);
    if (!reply || t->scale_ok)
        at = put32(at, (uint32_t)OPT_NOP << 24 | OPT_SCALE << 16 | 3 << 8 |
                           t->rcv_scale);
    return (uint32_t)(at - to);
}

/* The range that grew last is told first: RFC 2018, 4; a duplicate before all:
 * RFC 2883. */
static uint8_t *put_sacks(const struct tcp_sock *t, uint8_t *to, unsigned max)
{
    uint8_t *head = to;
    unsigned n = 0;
    to += WORD;
    if (t->dsack) {
        to = put32(put32(to, t->dsack_seq), t->dsack_end);
        n++;
    }
    for (int pass = 0; pass < 2; pass++) {
        LIST_FOR(it, &t->ranges)
        {
            const struct tcp_range *r = LIST_ENTRY(it, struct tcp_range, node);
            bool last = r->seq == t->last_range;
            if (n == max)
                break;
            if (last != (pass == 0))
                continue;
            to = put32(put32(to, r->seq), r->end);
            n++;
        }
    }
    (void)put32(head, (uint32_t)OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK << 8 |
                          (2 + 8 * n));
    return to;
}

uint32_t tcp_options(const struct tcp_sock *t, uint8_t *to)
{
    uint8_t *at = to;
    if (t->ts_ok)
        at = put_ts(t, at);
    if (t->sack_ok && (t->dsack || !list_empty(&t->ranges)))
        at = put_sacks(t, at, t->ts_ok ? TCP_SACKS - 1 : TCP_SACKS);
    return (uint32_t)(at - to);
}

void tcp_reply_reset(const struct tcp_seg *g)
{
    const struct packet *in = g->p;
    struct ip_route r;
    if ((g->flags & TCP_RST) != 0 || in->multicast || in->broadcast ||
        ip_route(&r, &in->src, &in->dst, 0) < 0)
        return;
    struct packet *p = packet_new(PACKET_ROOM);
    if (p == NULL)
        return;
    bool ack = (g->flags & TCP_ACK) != 0;
    struct lx_tcphdr h = {
        .source = be16(g->dport),
        .dest = be16(g->sport),
        .seq = ack ? be32(g->ack) : 0,
        .ack = ack ? 0 : be32(g->end),
        .off = sizeof(h) / WORD << 4,
        .flags = TCP_RST | (ack ? 0 : TCP_ACK),
    };
    memcpy(packet_push(p, sizeof(h)), &h, sizeof(h));
    packet_csum_start(p, &in->dst, &in->src, PROTO_TCP,
                      offsetof(struct lx_tcphdr, check));
    struct ip_send how = {.src = in->dst,
                          .dst = in->src,
                          .protocol = PROTO_TCP,
                          .dont_fragment = true};
    (void)ip_output(p, &r, &how);
}
