// SPDX-License-Identifier: Apache-2.0
/*
 * IP input: everything in a header is a peer's word. What is malformed, or not
 * for us, is dropped; we do not forward. RFC 791, 1122, 8200.
 */
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/group.h"
#include "guest/net/icmp.h"
#include "guest/net/ip.h"
#include "guest/net/ip_impl.h"
#include "guest/net/lo.h"
#include "guest/net/proto.h"

#define EXT_MAX 8 /* extension headers we walk; RFC 8200 has no limit */

struct ip_counters ip_counters;

static void drop(struct packet *p, uint64_t *counter)
{
    netif_count_stat(counter, 1);
    packet_free(p);
}

/* A source nobody may have; from outside, none of ours either. RFC 1122,
 * 3.2.1.3; RFC 4291, 2.5.3 and 2.7; RFC 4861, 7.1.1 for the unspecified. */
static bool source_good(const struct packet *p)
{
    const struct ip_addr *src = &p->src;
    if (ip_is_multicast(src) || ip_is_broadcast(src, p->netif))
        return false;
    if (p->netif == &lo_netif)
        return true;
    return !ip_is_loopback(src) && !ip_is_loopback(&p->dst);
}

/* Is it for us? Sets multicast and broadcast. */
static bool dest_ours(struct packet *p)
{
    const struct ip_addr *dst = &p->dst;
    if (ip_is_multicast(dst)) {
        p->multicast = true;
        return p->netif == &lo_netif || group_wanted(p->netif, dst);
    }
    if (p->netif == &lo_netif || ip_is_ours(dst))
        return true;
    if (ip_is_broadcast(dst, p->netif)) {
        p->broadcast = true;
        return true;
    }
    return false;
}

/* --- protocols --- */

static const struct ip_protocol *const protocols[] = {
    &tcp_protocol,   &udp_protocol,  &icmp_protocol,
    &icmp6_protocol, &igmp_protocol,
};

const struct ip_protocol *ip_protocol_find(uint8_t number)
{
    for (unsigned i = 0; i < ARRAY_COUNT(protocols); i++) {
        if (protocols[i]->number == number)
            return protocols[i];
    }
    return NULL;
}

void ip_deliver(struct packet *p)
{
    bool raw = raw_input(p);
    const struct ip_protocol *proto = ip_protocol_find(p->protocol);
    bool wrong = (p->protocol == LX_IPPROTO_ICMP && !ip_is4(&p->dst)) ||
                 (p->protocol == LX_IPPROTO_ICMPV6 && ip_is4(&p->dst));
    if (proto != NULL && !wrong) {
        proto->input(p);
    } else if (raw) {
        packet_free(p);
    } else {
        netif_count_stat(&ip_counters.unknown_protocol, 1);
        icmp_protocol_unreachable(p);
    }
}

/* --- IPv4 --- */

/* Checks RFC 1122 3.2.1 asks for; *h is what was read. */
static bool ip4_check(struct packet *p, struct ip4_header *h)
{
    const void *at = packet_pull(p, sizeof(*h));
    if (at == NULL)
        return false;
    memcpy(h, at, sizeof(*h));
    uint32_t head = (h->version_ihl & 0xfu) * 4u;
    uint32_t size = be16(h->size);
    if (h->version_ihl >> 4 != 4 || head < sizeof(*h) || size < head ||
        size > p->size)
        return false;
    at = packet_pull(p, head);
    if (at == NULL || csum_fold(csum_add(0, at, head)) != 0)
        return false;
    packet_trim(p, size); /* Ethernet pads short frames */
    p->net_off = p->head_off;
    p->net_size = (uint16_t)head;
    return true;
}

/* Loose and strict source routes: nobody needs them. RFC 7126, 4.3 and 4.4. */
static bool ip4_source_routed(const struct packet *p)
{
    const uint8_t *o = p->head + p->net_off + sizeof(struct ip4_header);
    unsigned n = p->net_size - (unsigned)sizeof(struct ip4_header);
    for (unsigned i = 0; i < n && o[i] != 0;) {
        if (o[i] == 131 || o[i] == 137)
            return true;
        if (o[i] == 1)
            i++;
        else if (i + 1 < n && o[i + 1] >= 2)
            i += o[i + 1];
        else
            return true; /* malformed */
    }
    return false;
}

static void ip4_input(struct packet *p)
{
    struct ip4_header h;
    if (!ip4_check(p, &h) || ip4_source_routed(p)) {
        drop(p, &ip_counters.header_errors);
        return;
    }
    p->src = ip_from4(h.src);
    p->dst = ip_from4(h.dst);
    p->ttl = h.ttl;
    p->tos = h.tos;
    p->protocol = h.protocol;
    if (!source_good(p) || !dest_ours(p)) {
        drop(p, &ip_counters.address_errors);
        return;
    }
    packet_skip(p, p->net_size);
    uint32_t frag = be16(h.frag);
    if ((frag & (IP4_MF | IP4_OFF_MASK)) != 0) {
        p = reassemble(p, h.id, (frag & IP4_OFF_MASK) * 8,
                       (frag & IP4_MF) != 0);
        if (p == NULL)
            return;
    }
    netif_count_stat(&ip_counters.delivered, 1);
    ip_deliver(p);
}

/* --- IPv6 --- */

/* Options we do not know: RFC 8200, 4.2. 0: go on; 1: drop; 2: drop and say
 * so, 3: but not to who sent to a group. *at: of the bad one. */
static unsigned ip6_options(const uint8_t *o, unsigned n, unsigned *at)
{
    for (unsigned i = 2; i < n;) {
        if (o[i] == 0) { /* Pad1 */
            i++;
            continue;
        }
        if (i + 1 >= n || i + 2u + o[i + 1] > n)
            return 1;
        *at = i;
        /* PadN, router alert (RFC 2711), jumbo is not supported. */
        if (o[i] != 1 && o[i] != 5 && o[i] >> 6 != 0)
            return o[i] >> 6;
        i += 2u + o[i + 1];
    }
    return 0;
}

/* A header of options or a routing header, in front of `p`. false: p is gone.
 */
static bool ip6_skip_ext(struct packet *p, uint8_t type, uint8_t *next,
                         uint32_t pointer)
{
    const uint8_t *h = packet_pull(p, 8);
    unsigned size = h != NULL ? 8u + h[1] * 8u : 0;
    unsigned act = 1, at = 0;
    h = h != NULL && size <= p->size ? packet_pull(p, size) : NULL;
    if (h != NULL && type == IP6_ROUTING) {
        /* RFC 8200, 4.4: with segments left it is not for us; RFC 5095. */
        act = h[3] == 0 ? 0 : 2;
        at = 2;
    } else if (h != NULL) {
        act = ip6_options(h, size, &at);
    }
    if (act == 0) {
        *next = h[0];
        packet_skip(p, size);
        return true;
    }
    netif_count_stat(&ip_counters.header_errors, 1);
    if (act == 1 || (act == 3 && p->multicast))
        packet_free(p);
    else
        icmp6_parameter_problem(p, type == IP6_ROUTING ? 0 : 2, pointer + at);
    return false;
}

/* Takes what stands between the IPv6 header and the transport. NULL: gone. */
static struct packet *ip6_extensions(struct packet *p, uint8_t next)
{
    uint32_t total = p->size;
    for (unsigned i = 0; i < EXT_MAX; i++) {
        uint32_t pointer =
            (uint32_t)sizeof(struct ip6_header) + total - p->size;
        p->protocol = next;
        if (next == IP6_FRAGMENT) {
            struct ip6_fragment f;
            const void *at = packet_pull(p, sizeof(f));
            if (at == NULL)
                break;
            memcpy(&f, at, sizeof(f));
            packet_skip(p, sizeof(f));
            uint32_t frag = be16(f.frag);
            next = f.next;
            p->protocol = next;
            /* RFC 6946: an atomic fragment is no fragment. */
            if ((frag & 0xfff9u) == 0)
                continue;
            p = reassemble(p, f.id, frag & 0xfff8u, (frag & IP6_MF) != 0);
            if (p == NULL)
                return NULL;
            total = p->size;
            next = p->protocol;
        } else if ((next == IP6_HOPOPTS && i == 0) || next == IP6_ROUTING ||
                   next == IP6_DSTOPTS) {
            if (!ip6_skip_ext(p, next, &next, pointer))
                return NULL;
        } else if (next == IP6_HOPOPTS) {
            /* RFC 8200, 4.1: only right after the IPv6 header. */
            icmp6_parameter_problem(p, 1, pointer);
            return NULL;
        } else if (next == IP6_NONE) {
            packet_free(p);
            return NULL;
        } else {
            return p;
        }
    }
    drop(p, &ip_counters.header_errors);
    return NULL;
}

static void ip6_input(struct packet *p)
{
    struct ip6_header h;
    const void *at = packet_pull(p, sizeof(h));
    uint32_t size = 0;
    if (at != NULL) {
        memcpy(&h, at, sizeof(h));
        size = be16(h.size);
    }
    if (at == NULL || size > p->size - sizeof(h)) {
        drop(p, &ip_counters.header_errors);
        return;
    }
    packet_trim(p, (uint32_t)sizeof(h) + size);
    p->net_off = p->head_off;
    p->net_size = sizeof(h);
    memcpy(p->src.b, h.src, sizeof(h.src));
    memcpy(p->dst.b, h.dst, sizeof(h.dst));
    p->ttl = h.hops;
    p->tos = (uint8_t)(be32(h.flow) >> 20);
    /* IPv4 in disguise never comes over a wire: RFC 4942, 2.2. */
    if (ip_is4(&p->src) || ip_is4(&p->dst) || !source_good(p) ||
        !dest_ours(p)) {
        drop(p, &ip_counters.address_errors);
        return;
    }
    packet_skip(p, sizeof(h));
    p = ip6_extensions(p, h.next);
    if (p == NULL)
        return;
    netif_count_stat(&ip_counters.delivered, 1);
    ip_deliver(p);
}

void ip_input(struct packet *p)
{
    const uint8_t *at = packet_pull(p, 1);
    netif_count_stat(&ip_counters.received, 1);
    if (at != NULL && *at >> 4 == 4)
        ip4_input(p);
    else if (at != NULL && *at >> 4 == 6)
        ip6_input(p);
    else
        drop(p, &ip_counters.header_errors);
}
