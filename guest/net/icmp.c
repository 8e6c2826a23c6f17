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

int icmp_send(struct packet *p, const struct ip_addr *dst,
              const struct ip_addr *src, uint32_t oif, uint8_t ttl)
{
    bool four = ip_is4(dst);
    struct ip_route r;
    struct ip_send how = {
        .dst = *dst,
        .protocol = four ? LX_IPPROTO_ICMP : LX_IPPROTO_ICMPV6,
        .ttl = ttl,
    };
    int e = ip_route(&r, dst, src, oif);
    if (e < 0) {
        packet_free(p);
        return e;
    }
    how.src = r.src;
    struct icmp_header *h = packet_pull(p, ICMP_SIZE);
    if (h == NULL) {
        packet_free(p);
        return -EINVAL;
    }
    uint16_t sum = 0;
    memcpy(&h->csum, &sum, sizeof(sum));
    /* ICMPv6 sums a pseudo header too: RFC 4443, 2.3. */
    sum = csum_fold(
        (four ? 0 : csum_pseudo(&how.src, &how.dst, how.protocol, p->size)) +
        packet_csum(p, 0, p->size));
    memcpy(&h->csum, &sum, sizeof(sum));
    p->csum = PACKET_CSUM_GOOD;
    netif_count_stat(&icmp_counters.out, 1);
    return ip_output(p, &r, &how);
}

/* Is `p` an error itself? Then it gets none: RFC 1122, 3.2.2; RFC 4443, 2.4. */
static bool is_icmp_error(const struct packet *p, const uint8_t *quote,
                          uint32_t size)
{
    if (p->protocol == LX_IPPROTO_ICMPV6)
        return size <= p->net_size || quote[p->net_size] < 128;
    if (p->protocol != LX_IPPROTO_ICMP)
        return false;
    if (size <= p->net_size)
        return true;
    uint8_t t = quote[p->net_size];
    return t != ICMP_ECHO && t != ICMP_ECHO_REPLY;
}

/* RFC 1122, 3.2.2: not to what was for many, nor to who is nobody. */
static bool may_tell(const struct packet *p)
{
    return p->net_size != 0 && !p->multicast && !p->broadcast &&
           !ip_is_any(&p->src) && !ip_is_multicast(&p->src) &&
           !ip_is_broadcast(&p->src, NULL) && rate_allows();
}

/* The packet's IP header again in front of what is left of it. */
static struct packet *quote_packet(const struct packet *p, uint32_t most)
{
    struct packet *q = packet_new(ICMP_ROOM + ICMP_SIZE);
    if (q == NULL)
        return NULL;
    void *at = packet_append(q, p->net_size);
    uint32_t n = MIN(p->size, most - p->net_size);
    if (at != NULL)
        memcpy(at, p->head + p->net_off, p->net_size);
    if (at == NULL || packet_slice(q, p, 0, n) < 0) {
        packet_free(q);
        return NULL;
    }
    return q;
}

static void send_error(struct packet *p, uint8_t type, uint8_t code,
                       uint32_t word)
{
    bool four = ip_is4(&p->dst);
    struct packet *q =
        may_tell(p) ? quote_packet(p, four ? QUOTE4 : QUOTE6) : NULL;
    if (q != NULL && is_icmp_error(p, q->head + q->head_off, q->head_size)) {
        packet_free(q);
        q = NULL;
    }
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

/* --- in: errors about what we sent --- */

struct icmp_error { /* what a message means to a socket */
    int error;
    bool hard;
    uint32_t info;
};

/* RFC 1122, 4.2.3.9 and Linux's icmp_err_convert. */
static bool meaning4(const struct icmp_header *h, struct icmp_error *e)
{
    static const struct {
        int error;
        bool hard;
    } unreachable[] = {
        {ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},
        {ECONNREFUSED, true},  {EMSGSIZE, false},     {EOPNOTSUPP, false},
        {ENETUNREACH, true},   {EHOSTDOWN, true},     {ENONET, true},
        {ENETUNREACH, true},   {EHOSTUNREACH, true},  {ENETUNREACH, false},
        {EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true},
        {EHOSTUNREACH, true},
    };
    *e = (struct icmp_error){.error = EHOSTUNREACH};
    if (h->type == ICMP_UNREACHABLE && h->code < ARRAY_COUNT(unreachable)) {
        e->error = unreachable[h->code].error;
        e->hard = unreachable[h->code].hard;
        if (h->code == ICMP_TOO_BIG)
            e->info = be16(h->seq); /* RFC 1191, 4 */
        return true;
    }
    if (h->type == ICMP_PARAMETER)
        *e = (struct icmp_error){.error = EPROTO, .hard = true};
    return h->type == ICMP_EXCEEDED || h->type == ICMP_PARAMETER;
}

static bool meaning6(const struct icmp_header *h, struct icmp_error *e)
{
    static const struct {
        int error;
        bool hard;
    } unreachable[] = {
        {ENETUNREACH, false},  {EACCES, true},       {EHOSTUNREACH, false},
        {EHOSTUNREACH, false}, {ECONNREFUSED, true}, {EACCES, true},
        {EACCES, true},
    };
    uint32_t word;
    memcpy(&word, &h->id, sizeof(word));
    *e = (struct icmp_error){.error = EHOSTUNREACH};
    switch (h->type) {
    case ICMP6_UNREACHABLE:
        if (h->code >= ARRAY_COUNT(unreachable))
            return false;
        e->error = unreachable[h->code].error;
        e->hard = unreachable[h->code].hard;
        return true;
    case ICMP6_TOO_BIG:
        *e = (struct icmp_error){.error = EMSGSIZE, .info = be32(word)};
        return true;
    case ICMP6_PARAMETER:
        *e = (struct icmp_error){.error = EPROTO, .hard = true};
        return true;
    default: return h->type == ICMP6_EXCEEDED;
    }
}

/* The quoted packet: who it was from and for, and where its transport starts.
 * `p` starts with it. */
static bool read_quote(struct packet *p, bool four, struct ip_addr *src,
                       struct ip_addr *dst, uint8_t *protocol)
{
    if (four) {
        struct ip4_header h;
        const void *at = packet_pull(p, sizeof(h));
        if (at == NULL)
            return false;
        memcpy(&h, at, sizeof(h));
        uint32_t head = (h.version_ihl & 0xfu) * 4u;
        if (h.version_ihl >> 4 != 4 || head < sizeof(h) || head > p->size ||
            (be16(h.frag) & IP4_OFF_MASK) != 0)
            return false;
        *src = ip_from4(h.src);
        *dst = ip_from4(h.dst);
        *protocol = h.protocol;
        packet_skip(p, head);
        return true;
    }
    struct ip6_header h;
    const void *at = packet_pull(p, sizeof(h));
    if (at == NULL)
        return false;
    memcpy(&h, at, sizeof(h));
    memcpy(src->b, h.src, sizeof(h.src));
    memcpy(dst->b, h.dst, sizeof(h.dst));
    *protocol = h.next;
    packet_skip(p, sizeof(h));
    if (h.next == IP6_FRAGMENT) { /* the only one we ever send */
        const uint8_t *f = packet_pull(p, sizeof(struct ip6_fragment));
        if (f == NULL || (f[2] & 0xff) != 0 || (f[3] & 0xf8) != 0)
            return false;
        *protocol = f[0];
        packet_skip(p, sizeof(struct ip6_fragment));
    }
    return be32(h.flow) >> 28 == 6;
}

/* Is it plausible that we sent it? */
static bool quote_ours(const struct packet *p, const struct ip_addr *src,
                       const struct ip_addr *dst, bool four)
{
    return ip_is4(src) == four && ip_is4(dst) == four &&
           ip_equal(src, &p->dst) && !ip_is_any(dst);
}

static void error_input(struct packet *p, const struct icmp_error *e, bool four)
{
    struct ip_addr src, dst;
    uint8_t protocol;
    packet_skip(p, ICMP_SIZE);
    if (!read_quote(p, four, &src, &dst, &protocol) ||
        !quote_ours(p, &src, &dst, four)) {
        netif_count_stat(&icmp_counters.in_errors, 1);
        packet_free(p);
        return;
    }
    uint32_t size = MIN(p->size, 64u);
    const uint8_t *head = packet_pull(p, size);
    const struct ip_protocol *proto = ip_protocol_find(protocol);
    if (e->error == EMSGSIZE && e->info != 0)
        path_mtu_update(&dst, e->info);
    if (head != NULL && proto != NULL && proto->error != NULL)
        proto->error(&src, &dst, head, size, e->error, e->hard, e->info);
    packet_free(p);
}

/* --- in --- */

static void icmp4_input(struct packet *p)
{
    struct icmp_header h;
    struct icmp_error e;
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
    else if (meaning4(&h, &e))
        error_input(p, &e, true);
    else
        packet_free(p);
}

static void icmp6_input(struct packet *p)
{
    struct icmp_header h;
    struct icmp_error e;
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
    else if (meaning6(&h, &e))
        error_input(p, &e, false);
    else
        packet_free(p);
}

const struct ip_protocol icmp_protocol = {
    .number = LX_IPPROTO_ICMP,
    .input = icmp4_input,
    .error = ping_error,
};

const struct ip_protocol icmp6_protocol = {
    .number = LX_IPPROTO_ICMPV6,
    .input = icmp6_input,
    .error = ping_error,
};
