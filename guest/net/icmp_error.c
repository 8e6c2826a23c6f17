// SPDX-License-Identifier: Apache-2.0
/*
 * Errors about what we sent. What an error quotes is a peer's word: it only
 * ever concerns a socket whose addresses and ports it names, and a path only
 * if there is one. RFC 1122 3.2.2, RFC 1191, RFC 4443, RFC 5927.
 */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/raw.h"
#include "guest/net/route.h"

#define ICMP_SIZE ((uint32_t)sizeof(struct icmp_header))

struct icmp_error { /* what a message means to a socket */
    int error;
    bool hard;
    uint32_t info;
    uint8_t type, code;
    const struct ip_addr *offender; /* NULL: we ourselves */
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
static bool quote_ours(const struct ip_addr *src, const struct ip_addr *dst,
                       bool four)
{
    return ip_is4(src) == four && ip_is4(dst) == four && ip_is_ours(src) &&
           !ip_is_any(dst);
}

/* `p` starts with what we sent. */
static void error_deliver(struct packet *p, const struct icmp_error *e,
                          bool four)
{
    struct ip_addr src, dst;
    uint8_t protocol;
    if (!read_quote(p, four, &src, &dst, &protocol) ||
        !quote_ours(&src, &dst, four)) {
        netif_count_stat(&icmp_counters.in_errors, 1);
        packet_free(p);
        return;
    }
    const struct ip_protocol *proto = ip_protocol_find(protocol);
    if (proto != NULL && proto->report != NULL) {
        struct ip_report r = {.src = src,
                              .dst = dst,
                              .offender = e->offender != NULL ? *e->offender
                                          : four              ? ip_any4
                                                              : ip_any6,
                              .error = e->error,
                              .info = e->info,
                              .origin = e->offender == NULL
                                            ? LX_SO_EE_ORIGIN_LOCAL
                                        : four ? LX_SO_EE_ORIGIN_ICMP
                                               : LX_SO_EE_ORIGIN_ICMP6,
                              .type = e->type,
                              .code = e->code};
        proto->report(p, &r);
    }
    uint32_t size = MIN(p->size, 64u);
    const uint8_t *head = packet_pull(p, size);
    bool sent = raw_sends(protocol, &src, &dst);
    if (head != NULL && proto != NULL && proto->error != NULL &&
        proto->error(&src, &dst, head, size, e->error, e->hard, e->info))
        sent = true;
    if (sent && e->error == EMSGSIZE && e->info != 0)
        path_mtu_update(&dst, e->info);
    packet_free(p);
}

void icmp_error_input(struct packet *p, const struct icmp_header *h)
{
    struct icmp_error e;
    bool four = ip_is4(&p->dst);
    if (!(four ? meaning4(h, &e) : meaning6(h, &e))) {
        packet_free(p);
        return;
    }
    const struct ip_addr from = p->src;
    e.type = h->type;
    e.code = h->code;
    e.offender = &from;
    packet_skip(p, ICMP_SIZE);
    error_deliver(p, &e, four);
}

void ip_local_error(struct packet *p, int error)
{
    const struct icmp_error e = {.error = error, .hard = true};
    const uint8_t *at = packet_pull(p, 1);
    error_deliver(p, &e, at != NULL && *at >> 4 == 4);
}
