// SPDX-License-Identifier: Apache-2.0
/* Large packets cut into frames, where the device does not do it. */
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/net/netif.h"
#include "guest/net/proto.h"

#define TCP_SEQ   4
#define TCP_DOFF  12
#define TCP_FLAGS 13
#define TCP_CSUM  16
#define TCP_FIN   0x01u
#define TCP_PSH   0x08u
#define TCP_CWR   0x80u
#define UDP_CSUM  6

struct gso { /* what is known of the packet that is cut */
    const struct packet *p;
    uint16_t net;       /* bytes before the IP header */
    uint16_t transport; /* ... before the transport header */
    uint16_t headers;   /* ... before the payload */
    uint8_t protocol;
    bool four;
};

static uint8_t gso_protocol(const struct packet *p)
{
    return p->csum_off == UDP_CSUM ? LX_IPPROTO_UDP : LX_IPPROTO_TCP;
}

static bool gso_four(const struct netif *n, const struct packet *p)
{
    unsigned net = n->ethernet ? sizeof(struct ether_header) : 0;
    return p->head[p->head_off + net] >> 4 == 4;
}

bool gso_fits(const struct netif *n, const struct packet *p)
{
    if (gso_protocol(p) == LX_IPPROTO_UDP)
        return p->size <= n->uso_max;
    return p->size <= (gso_four(n, p) ? n->tso4_max : n->tso6_max);
}

static bool gso_parse(struct gso *g, const struct netif *n,
                      const struct packet *p)
{
    *g = (struct gso){.p = p, .protocol = gso_protocol(p)};
    g->net = n->ethernet ? sizeof(struct ether_header) : 0;
    g->four = gso_four(n, p);
    g->transport = (uint16_t)(p->csum_start - p->head_off);
    const uint8_t *t = p->head + p->csum_start;
    unsigned size = sizeof(struct udp_header);
    if (g->protocol == LX_IPPROTO_TCP)
        size = (t[TCP_DOFF] >> 4) * 4u;
    g->headers = (uint16_t)(g->transport + size);
    return p->csum == PACKET_CSUM_PARTIAL && g->headers <= p->head_size;
}

static void gso_fix_ip4(const struct gso *g, struct packet *q, unsigned index)
{
    struct ip4_header h;
    uint8_t *at = q->head + q->head_off + g->net;
    unsigned size = (unsigned)g->transport - g->net;
    memcpy(&h, at, sizeof(h));
    h.size = be16((uint16_t)(q->size - g->net));
    h.id = be16((uint16_t)(be16(h.id) + index));
    h.csum = 0;
    memcpy(at, &h, sizeof(h));
    h.csum = csum_fold(csum_add(0, at, size));
    memcpy(at, &h, sizeof(h));
    q->src = ip_from4(h.src);
    q->dst = ip_from4(h.dst);
}

static void gso_fix_ip6(const struct gso *g, struct packet *q)
{
    struct ip6_header h;
    uint8_t *at = q->head + q->head_off + g->net;
    memcpy(&h, at, sizeof(h));
    h.size = be16((uint16_t)(q->size - g->net - sizeof(h)));
    memcpy(at, &h, sizeof(h));
    memcpy(q->src.b, h.src, sizeof(h.src));
    memcpy(q->dst.b, h.dst, sizeof(h.dst));
}

/* Payload from `off` on; the last segment ends the stream's flags. RFC 9293,
 * 3.1; RFC 3168, 6.1.2 for CWR. */
static void gso_fix_tcp(uint8_t *t, uint32_t off, bool last)
{
    uint32_t seq;
    memcpy(&seq, t + TCP_SEQ, sizeof(seq));
    seq = be32(be32(seq) + off);
    memcpy(t + TCP_SEQ, &seq, sizeof(seq));
    if (!last)
        t[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (off != 0)
        t[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

static void gso_fix(const struct gso *g, struct packet *q, uint32_t off)
{
    uint32_t size = q->size - g->transport; /* header and payload */
    uint32_t payload = g->p->size - g->headers;
    bool last = off + (q->size - g->headers) == payload;
    uint8_t *t = q->head + q->head_off + g->transport;
    if (g->four)
        gso_fix_ip4(g, q, off / g->p->gso_size);
    else
        gso_fix_ip6(g, q);
    if (g->protocol == LX_IPPROTO_TCP) {
        gso_fix_tcp(t, off, last);
    } else {
        uint16_t be = be16((uint16_t)size);
        memcpy(t + offsetof(struct udp_header, size), &be, sizeof(be));
    }
    q->csum = PACKET_CSUM_PARTIAL;
    q->csum_start = (uint16_t)(q->head_off + g->transport);
    q->csum_off = g->p->csum_off;
    uint16_t sum =
        (uint16_t)~csum_fold(csum_pseudo(&q->src, &q->dst, g->protocol, size));
    memcpy(t + q->csum_off, &sum, sizeof(sum));
}

static struct packet *gso_piece(const struct gso *g, uint32_t off)
{
    const struct packet *p = g->p;
    uint32_t left = p->size - g->headers - off;
    /* As much room in front as the large one has: the driver's header. */
    struct packet *q = packet_new(p->head_off);
    if (q == NULL)
        return NULL;
    if (packet_slice(q, p, 0, g->headers) < 0 ||
        packet_slice(q, p, g->headers + off, MIN(left, (uint32_t)p->gso_size)) <
            0) {
        packet_free(q);
        return NULL;
    }
    gso_fix(g, q, off);
    return q;
}

void gso_segment(struct netif *n, struct packet *p,
                 void (*send)(struct netif *n, struct packet *p))
{
    struct gso g;
    if (gso_parse(&g, n, p)) {
        for (uint32_t off = 0; off < p->size - g.headers; off += p->gso_size) {
            struct packet *q = gso_piece(&g, off);
            if (q == NULL)
                break; /* as if it was lost */
            send(n, q);
        }
    }
    packet_free(p);
}
