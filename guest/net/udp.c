// SPDX-License-Identifier: Apache-2.0
/* UDP. RFC 768, 1122 4.1, udp(7). */
#include "guest/net/udp.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/signal.h"

#include "guest/core/klib.h"
#include "guest/core/uio.h"
#include "guest/net/dgram.h"
#include "guest/net/inet_impl.h"
#include "guest/net/proto.h"

#define UDP_BITS 8 /* log2 of buckets */
#define UDP_SIZE ((uint32_t)sizeof(struct udp_header))
#define UDP_MAX  (65535u - UDP_SIZE)
#define UDP_CSUM 6 /* bytes into the header */

#define SEGMENTS_MAX 128u /* UDP_MAX_SEGMENTS of Linux 6.x */

struct inet_table udp_table;
struct udp_counters udp_counters;

/* --- in --- */

static void udp_push(struct inet_sock *k, struct packet *p)
{
    struct dgram_sock *d = CONTAINER_OF(k, struct dgram_sock, k);
    /* Segments that a sender of this machine left together. */
    while (p->gso_size != 0 && !d->accept_segments && p->size > p->gso_size) {
        struct packet *q = packet_clone(p);
        if (q == NULL)
            break;
        packet_trim(q, p->gso_size);
        packet_skip(p, p->gso_size);
        q->gso_size = 0;
        dgram_push(d, q);
    }
    if (!d->accept_segments)
        p->gso_size = 0;
    dgram_push(d, p);
}

static void udp_push_copy(struct inet_sock *k, const struct packet *p)
{
    if (!inet_group_accepts(k, p))
        return;
    struct packet *c = packet_clone(p);
    if (c != NULL)
        udp_push(k, c);
}

/* RFC 768 and, for no checksum at all, RFC 8200, 8.1. */
static bool udp_check(struct packet *p, struct udp_header *h)
{
    const void *at = packet_pull(p, UDP_SIZE);
    if (at == NULL)
        return false;
    memcpy(h, at, sizeof(*h));
    uint32_t size = be16(h->size);
    if (size < UDP_SIZE || size > p->size)
        return false;
    packet_trim(p, size);
    if (h->csum == 0)
        return ip_is4(&p->dst);
    return packet_csum_good(p, LX_IPPROTO_UDP);
}

static void udp_input(struct packet *p)
{
    struct udp_header h;
    if (!udp_check(p, &h)) {
        netif_count_stat(&udp_counters.in_errors, 1);
        packet_free(p);
        return;
    }
    uint16_t sport = be16(h.src), dport = be16(h.dst);
    p->sport = sport;
    if (p->multicast || p->broadcast) {
        packet_skip(p, UDP_SIZE);
        netif_count_stat(&udp_counters.in, 1);
        inet_each(&udp_table, p, sport, dport, udp_push_copy);
        packet_free(p);
        return;
    }
    struct inet_sock *k = inet_find(&udp_table, p, sport, dport);
    if (k == NULL) {
        netif_count_stat(&udp_counters.no_ports, 1);
        icmp_port_unreachable(p);
        return;
    }
    netif_count_stat(&udp_counters.in, 1);
    packet_skip(p, UDP_SIZE);
    udp_push(k, p);
    inet_put(k);
}

static bool udp_icmp_error(const struct ip_addr *src, const struct ip_addr *dst,
                           const uint8_t *head, uint32_t size, int error,
                           bool hard, uint32_t info)
{
    struct udp_header h;
    (void)info;
    if (size < sizeof(h))
        return false;
    memcpy(&h, head, sizeof(h));
    struct inet_sock *k =
        inet_find_four(&udp_table, src, dst, be16(h.src), be16(h.dst));
    if (k == NULL) { /* not connected: it may have, and is not told */
        k = inet_find_local(&udp_table, src, be16(h.src));
        if (k != NULL)
            inet_put(k);
        return k != NULL;
    }
    if (error == EMSGSIZE)
        hard = k->pmtu_mode != LX_IP_PMTUDISC_DONT && k->recv_error;
    if (hard || k->recv_error)
        dgram_error(CONTAINER_OF(k, struct dgram_sock, k), error);
    inet_put(k);
    return true;
}

static void udp_report(const struct packet *p, const struct ip_report *r)
{
    struct udp_header h;
    if (p->size < sizeof(h))
        return;
    packet_copy_out(p, 0, &h, sizeof(h));
    uint16_t lport = be16(h.src), rport = be16(h.dst);
    struct inet_sock *k =
        inet_find_four(&udp_table, &r->src, &r->dst, lport, rport);
    if (k == NULL) /* not connected: errors come for all it sends to */
        k = inet_find_local(&udp_table, &r->src, lport);
    if (k == NULL)
        return;
    struct dgram_sock *d = CONTAINER_OF(k, struct dgram_sock, k);
    if (k->recv_error) {
        dgram_report(d, p, UDP_SIZE, rport, r);
        if (!k->connected)
            dgram_error(d, r->error);
    }
    inet_put(k);
}

const struct ip_protocol udp_protocol = {
    .number = LX_IPPROTO_UDP,
    .input = udp_input,
    .error = udp_icmp_error,
    .report = udp_report,
};

/* --- out --- */

int udp_check_segments(const struct dgram_send *out, uint64_t n)
{
    uint32_t head = ip_is4(&out->how.dst) ? 28 : 48;
    if (out->segment == 0 || n <= out->segment)
        return 0;
    if (n > (uint64_t)out->segment * SEGMENTS_MAX ||
        out->segment + head > out->route.mtu)
        return -EINVAL;
    return 0;
}

int udp_send_packet(struct dgram_sock *d, const struct dgram_send *out,
                    struct packet *p)
{
    struct udp_header h = {
        .src = be16(d->k.lport),
        .dst = be16(out->port),
        .size = be16((uint16_t)(p->size + UDP_SIZE)),
    };
    if (out->segment != 0 && p->size > out->segment)
        p->gso_size = out->segment;
    memcpy(packet_push(p, UDP_SIZE), &h, sizeof(h));
    packet_csum_start(p, &out->how.src, &out->how.dst, LX_IPPROTO_UDP,
                      UDP_CSUM);
    int r = ip_output(p, &out->route, &out->how);
    net_flush();
    if (r == 0)
        netif_count_stat(&udp_counters.out, 1);
    return r;
}

int udp_send_begin(struct dgram_sock *d, const struct message *m,
                   struct dgram_send *out)
{
    int r = inet_autobind(&d->k); /* even if it then fails, as Linux does */
    if (r == 0)
        r = dgram_send_begin(d, m, out);
    if (r == 0 && out->port == 0)
        r = -EINVAL;
    return r;
}

static int64_t udp_send(struct socket *s, struct message *m)
{
    struct dgram_sock *d = dgram_of(s);
    struct dgram_send out;
    struct packet *p;
    uint64_t n = m->u->left;
    if (udp_cork_takes(d, m))
        return udp_cork_send(d, m);
    int r = udp_send_begin(d, m, &out);
    if (n > UDP_MAX)
        r = -EMSGSIZE;
    if (r == 0 && n > UDP_MAX - (ip_is4(&out.how.dst) ? 20 : 0))
        r = -EMSGSIZE;
    if (r == 0)
        r = udp_check_segments(&out, n);
    if (r == 0)
        r = dgram_packet(m->u, UDP_ROOM, &p);
    if (r == 0)
        r = udp_send_packet(d, &out, p);
    return r < 0 ? r : (int64_t)n;
}

/* --- sockets --- */

static const struct socket_io_ops udp_io_ops = {
    .send = udp_send,
    .recv = dgram_recv,
    .poll = dgram_poll,
    .ioctl = dgram_ioctl,
    .option = udp_option,
    .release = dgram_release,
};

int udp_create(uint16_t family, int protocol, struct socket **out)
{
    struct dgram_sock *d;
    int r = dgram_new(family, LX_SOCK_DGRAM, &udp_table, &d);
    if (r < 0)
        return r;
    d->k.s.ops = &dgram_ops;
    d->k.s.io = &udp_io_ops;
    d->k.s.protocol = (uint16_t)protocol;
    *out = &d->k.s;
    return 0;
}

int udp_init(void)
{
    return inet_table_init(&udp_table, UDP_BITS);
}
