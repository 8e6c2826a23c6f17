// SPDX-License-Identifier: Apache-2.0
/*
 * ICMP: echo, and errors in both directions. RFC 792, 1122 (3.2.2), 1191, 1812
 * (4.3.2), 4443. What an error quotes is a peer's word: it only ever concerns a
 * socket whose addresses and ports it names.
 */
#include "guest/net/icmp.h"

#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/lo.h"
#include "guest/net/proto.h"
#include "guest/net/raw.h"
#include "guest/net/route.h"

#define ICMP_ROOM  88
#define ICMP_SIZE  ((uint32_t)sizeof(struct icmp_header))
#define QUOTE4     548u  /* of 576 bytes: RFC 1812, 4.3.2.3 */
#define QUOTE6     1232u /* of the minimum MTU: RFC 4443, 2.4 (c) */
#define RATE_BURST 50u
#define RATE_NS    (NSEC_PER_SEC / 1000) /* one each: 1000 a second at most */

struct icmp_counters icmp_counters;

/* --- limits: a bucket of tokens for all we say unasked --- */

static bool rate_allows(void)
{
    static struct spinlock lock;
    static uint64_t tokens = RATE_BURST;
    static nsec_t last;
    spin_lock(&lock);
    nsec_t now = clock_now();
    uint64_t add = (now - last) / RATE_NS;
    if (add > 0) {
        tokens = MIN(tokens + add, (uint64_t)RATE_BURST);
        last = now;
    }
    bool ok = tokens > 0;
    if (ok)
        tokens--;
    spin_unlock(&lock);
    return ok;
}

/* --- out --- */

int icmp_output(struct packet *p, const struct ip_route *r,
                const struct ip_send *how)
{
    uint16_t sum = 0;
    uint8_t *at = packet_pull(p, ICMP_SIZE);
    const size_t field = offsetof(struct icmp_header, csum);
    if (at == NULL) {
        packet_free(p);
        return -EINVAL;
    }
    memcpy(at + field, &sum, sizeof(sum));
    /* ICMPv6 sums a pseudo header too: RFC 4443, 2.3. */
    uint32_t pseudo = 0;
    if (!ip_is4(&how->dst))
        pseudo = csum_pseudo(&how->src, &how->dst, how->protocol, p->size);
    sum = csum_fold(pseudo + packet_csum(p, 0, p->size));
    memcpy(at + field, &sum, sizeof(sum));
    p->csum = PACKET_CSUM_GOOD;
    netif_count_stat(&icmp_counters.out, 1);
    return ip_output(p, r, how);
}

int icmp_send(struct packet *p, const struct ip_addr *dst,
              const struct ip_addr *src, uint32_t oif, uint8_t ttl)
{
    struct ip_route r;
    struct ip_send how = {
        .dst = *dst,
        .protocol = ip_is4(dst) ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6,
        .ttl = ttl,
    };
    int e = ip_route(&r, dst, src, oif);
    if (e < 0) {
        packet_free(p);
        return e;
    }
    how.src = r.src;
    return icmp_output(p, &r, &how);
}

void icmp6_send_from(struct packet *p, const struct ip_addr *dst,
                     const struct ip_addr *src, struct netif *n, uint8_t hops)
{
    struct ip_send how = {.dst = *dst,
                          .src = ip_any6,
                          .protocol = LX_IPPROTO_ICMPV6,
                          .ttl = hops,
                          .router_alert = hops == 1}; /* RFC 3810, 5 */
    struct ip_route r = {.netif = n,
                         .hop = *dst,
                         .mtu = n->mtu,
                         .multicast = ip_is_multicast(dst)};
    if (src != NULL)
        how.src = *src;
    else if (!route_source(n, dst, &how.src) || ip_is4(&how.src))
        how.src = ip_any6;
    (void)icmp_output(p, &r, &how);
}

/* Is `p` an error itself? Then it gets none: RFC 1122, 3.2.2; RFC 4443, 2.4. */
static bool is_icmp_error(const struct packet *p)
{
    uint8_t type;
    bool six = p->protocol == LX_IPPROTO_ICMPV6;
    if (!six && p->protocol != LX_IPPROTO_ICMP)
        return false;
    if (p->size == 0)
        return true;
    packet_copy_out(p, 0, &type, 1);
    return six ? type < 128 : type != ICMP_ECHO && type != ICMP_ECHO_REPLY;
}

/* RFC 1122, 3.2.2: not to what was for many, nor to who is nobody. */
static bool may_tell(const struct packet *p)
{
    return p->net_size != 0 && !p->multicast && !p->broadcast &&
           !ip_is_any(&p->src) && !ip_is_multicast(&p->src) &&
           !ip_is_broadcast(&p->src, NULL) && !is_icmp_error(p) &&
           rate_allows();
}

/* The packet's IP header again in front of what is left of it: what stood in
 * its head in a page, for our own head has no room for all that may be. */
static struct packet *quote_packet(const struct packet *p, uint32_t most)
{
    uint32_t n = MIN(p->size, most - p->net_size);
    uint32_t part = MIN(n, (uint32_t)p->head_size);
    struct packet *q = packet_new(ICMP_ROOM + ICMP_SIZE);
    paddr_t page = q != NULL ? page_alloc(0, 0) : 0;
    if (page == 0) {
        packet_free(q);
        return NULL;
    }
    uint8_t *at = page_virt(page);
    memcpy(at, p->head + p->net_off, p->net_size);
    packet_copy_out(p, 0, at + p->net_size, part);
    (void)packet_add(q, page, 0, p->net_size + part);
    page_put(page);
    (void)packet_slice(q, p, part, n - part); /* less if it has many parts */
    return q;
}

static void send_error(struct packet *p, uint8_t type, uint8_t code,
                       uint32_t word)
{
    bool four = ip_is4(&p->dst);
    struct packet *q =
        may_tell(p) ? quote_packet(p, four ? QUOTE4 : QUOTE6) : NULL;
    if (q != NULL) {
        struct icmp_header h = {.type = type, .code = code};
        word = be32(word);
        memcpy(&h.id, &word, sizeof(word));
        memcpy(packet_push(q, (uint16_t)ICMP_SIZE), &h, sizeof(h));
        uint32_t oif = ip_is_link_local(&p->src) ? p->netif->index : 0;
        (void)icmp_send(q, &p->src, &p->dst, oif, 0);
    }
    packet_free(p);
}

void icmp_port_unreachable(struct packet *p)
{
    if (ip_is4(&p->dst))
        send_error(p, ICMP_UNREACHABLE, ICMP_PORT, 0);
    else
        send_error(p, ICMP6_UNREACHABLE, ICMP6_PORT, 0);
}

void icmp_protocol_unreachable(struct packet *p)
{
    if (ip_is4(&p->dst))
        send_error(p, ICMP_UNREACHABLE, ICMP_PROTOCOL, 0);
    else /* unrecognized next header; where it was named: RFC 4443, 3.4 */
        send_error(p, ICMP6_PARAMETER, 1, 6);
}

void icmp6_parameter_problem(struct packet *p, uint8_t code, uint32_t pointer)
{
    send_error(p, ICMP6_PARAMETER, code, pointer);
}

void icmp_reassembly_timeout(struct packet *p)
{
    if (ip_is4(&p->dst))
        send_error(p, ICMP_EXCEEDED, 1, 0);
    else
        send_error(p, ICMP6_EXCEEDED, 1, 0);
}

/* --- in: echo --- */

static void echo_reply(struct packet *p, uint8_t type)
{
    struct ip_addr to = p->src;
    struct ip_addr from = p->dst;
    uint32_t oif = ip_is_link_local(&to) ? p->netif->index : 0;
    /* RFC 1122, 3.2.2.6; RFC 4443, 4.2: to a group we answer as ourselves. */
    if (p->multicast || p->broadcast)
        from = ip_is4(&to) ? ip_any4 : ip_any6;
    struct packet *q = packet_new(ICMP_ROOM);
    if (q == NULL || packet_slice(q, p, 0, p->size) < 0) {
        packet_free(q);
        packet_free(p);
        return;
    }
    packet_free(p);
    uint8_t *h = packet_pull(q, ICMP_SIZE);
    if (h == NULL) {
        packet_free(q);
        return;
    }
    h[0] = type;
    (void)icmp_send(q, &to, &from, oif, 0);
}

/* --- in --- */

static void icmp4_input(struct packet *p)
{
    struct icmp_header h;
    const void *at = packet_pull(p, ICMP_SIZE);
    netif_count_stat(&icmp_counters.in, 1);
    if (at == NULL || (p->csum == PACKET_CSUM_UNKNOWN &&
                       csum_fold(packet_csum(p, 0, p->size)) != 0)) {
        netif_count_stat(&icmp_counters.in_errors, 1);
        packet_free(p);
        return;
    }
    memcpy(&h, at, sizeof(h));
    if (h.type == ICMP_ECHO && !p->broadcast && !p->multicast)
        echo_reply(p, ICMP_ECHO_REPLY); /* icmp_echo_ignore_broadcasts */
    else if (h.type == ICMP_ECHO_REPLY)
        ping_input(p);
    else
        icmp_error_input(p, &h);
}

static void icmp6_input(struct packet *p)
{
    struct icmp_header h;
    const void *at = packet_pull(p, ICMP_SIZE);
    netif_count_stat(&icmp_counters.in, 1);
    if (at == NULL || !packet_csum_good(p, LX_IPPROTO_ICMPV6)) {
        netif_count_stat(&icmp_counters.in_errors, 1);
        packet_free(p);
        return;
    }
    memcpy(&h, at, sizeof(h));
    if (h.type == ICMP6_ECHO)
        echo_reply(p, ICMP6_ECHO_REPLY);
    else if (h.type == ICMP6_ECHO_REPLY)
        ping_input(p);
    else if (h.type >= 128)
        icmp6_control(p, h.type);
    else
        icmp_error_input(p, &h);
}

const struct ip_protocol icmp_protocol = {
    .number = LX_IPPROTO_ICMP,
    .input = icmp4_input,
    .error = ping_error,
    .report = ping_report,
};

const struct ip_protocol icmp6_protocol = {
    .number = LX_IPPROTO_ICMPV6,
    .input = icmp6_input,
    .error = ping_error,
    .report = ping_report,
};
