// SPDX-License-Identifier: Apache-2.0
/* IP output: headers, fragments, copies for ourselves. RFC 791, 8200. */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/net/ether.h"
#include "guest/net/ip.h"
#include "guest/net/lo.h"
#include "guest/net/proto.h"

#define DEFAULT_TTL 64u
#define ID_COUNT    256u
#define IP4_SIZE    ((uint32_t)sizeof(struct ip4_header))
#define IP6_SIZE    ((uint32_t)sizeof(struct ip6_header))
#define FRAG_SIZE   ((uint32_t)sizeof(struct ip6_fragment))

/* Fragment ids: a counter per group of destinations that starts anywhere, so
 * that one peer cannot tell what another one gets. RFC 6864, RFC 7739. */
static uint32_t ids[ID_COUNT];

static uint32_t id_next(const struct ip_addr *dst)
{
    static uint32_t secret;
    uint32_t h = __atomic_load_n(&secret, __ATOMIC_RELAXED);
    if (h == 0) {
        krandom(&h, sizeof(h));
        h |= 1;
        __atomic_store_n(&secret, h, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(dst->w); i++)
        h = (h ^ dst->w[i]) * UINT32_C(0x9e3779b1);
    uint32_t *id = &ids[h >> 24];
    uint32_t zero = 0, first;
    if (__atomic_load_n(id, __ATOMIC_RELAXED) == 0) {
        krandom(&first, sizeof(first));
        (void)__atomic_compare_exchange_n(id, &zero, first | 1, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    return __atomic_fetch_add(id, 1, __ATOMIC_RELAXED);
}

/* --- one packet --- */

static uint8_t ttl_of(const struct ip_send *how)
{
    return how->ttl != 0 || how->ttl_set ? how->ttl : DEFAULT_TTL;
}

/* To the interface, or its neighbour. */
static void send_link(struct packet *p, const struct ip_route *r)
{
    if (r->netif->ethernet)
        ether_output(r->netif, p, r);
    else
        netif_send(r->netif, p);
}

/* To a group with a TTL of 0: for this machine only. RFC 1122, 3.2.1.7. */
static bool stays_here(const struct packet *p, const struct ip_route *r)
{
    const uint8_t *at = p->head + p->head_off;
    return r->multicast &&
           (at[0] >> 4 == 4 ? at[offsetof(struct ip4_header, ttl)]
                            : at[offsetof(struct ip6_header, hops)]) == 0;
}

/* IP header in front. Groups and broadcasts come back if we want them. */
static void send_ip(struct packet *p, const struct ip_route *r, bool loop)
{
    bool lo = (r->netif->flags & LX_IFF_LOOPBACK) != 0;
    if (!lo && (loop || r->broadcast)) {
        struct packet *c = packet_clone(p);
        if (c != NULL) {
            c->netif = r->netif;
            lo_queue(c);
        }
    }
    if (!lo && stays_here(p, r))
        packet_free(p);
    else
        send_link(p, r);
}

static void put_ip4(struct packet *p, const struct ip_send *how, uint32_t id,
                    uint32_t frag)
{
    static const uint8_t alert[4] = {0x94, 4, 0, 0}; /* RFC 2113, 2.1 */
    struct {
        struct ip4_header h;
        uint8_t alert[4];
    } b = {.h = {
               .version_ihl = 0x45,
               .tos = how->tos,
               .id = be16((uint16_t)id),
               .frag = be16((uint16_t)frag),
               .ttl = ttl_of(how),
               .protocol = how->protocol,
               .src = ip_to4(&how->src),
               .dst = ip_to4(&how->dst),
           }};
    uint16_t size = sizeof(b.h);
    if (how->router_alert) {
        memcpy(b.alert, alert, sizeof(alert));
        b.h.version_ihl = 0x46;
        size = sizeof(b);
    }
    void *at = packet_push(p, size);
    b.h.size = be16((uint16_t)p->size);
    b.h.csum = csum_fold(csum_add(0, &b, size));
    memcpy(at, &b, size);
}

static void put_ip6(struct packet *p, const struct ip_send *how, uint8_t next)
{
    /* RFC 2711, 2.1: for MLD; and a PadN of nothing */
    const uint8_t alert[8] = {next, 0, 5, 2, 0, 0, 1, 0};
    if (how->router_alert) {
        memcpy(packet_push(p, sizeof(alert)), alert, sizeof(alert));
        next = IP6_HOPOPTS;
    }
    struct ip6_header h = {
        .flow = be32(UINT32_C(6) << 28 | (uint32_t)how->tos << 20),
        .size = be16((uint16_t)p->size),
        .next = next,
        .hops = ttl_of(how),
    };
    memcpy(h.src, how->src.b, sizeof(h.src));
    memcpy(h.dst, how->dst.b, sizeof(h.dst));
    memcpy(packet_push(p, IP6_SIZE), &h, sizeof(h));
}

/* --- fragments --- */

/* RFC 791, 3.2 (p. 26); RFC 8200, 4.5: offsets in units of 8 bytes. */
static int send_fragment(const struct packet *p, const struct ip_route *r,
                         const struct ip_send *how, uint32_t off, uint32_t n,
                         uint32_t id)
{
    bool more = off + n < p->size;
    struct packet *q = packet_new(PACKET_ROOM / 2);
    if (q == NULL)
        return -ENOBUFS;
    int e = packet_slice(q, p, off, n);
    if (e < 0) {
        packet_free(q);
        return -ENOBUFS;
    }
    if (ip_is4(&how->dst)) {
        put_ip4(q, how, id, off / 8 | (more ? IP4_MF : 0));
    } else {
        struct ip6_fragment f = {
            .next = how->protocol,
            .frag = be16((uint16_t)(off | (more ? IP6_MF : 0))),
            .id = be32(id),
        };
        memcpy(packet_push(q, FRAG_SIZE), &f, sizeof(f));
        put_ip6(q, how, IP6_FRAGMENT);
    }
    send_ip(q, r, how->multicast_loop);
    return 0;
}

static int send_fragments(struct packet *p, const struct ip_route *r,
                          const struct ip_send *how, uint32_t mtu)
{
    uint32_t head = ip_is4(&how->dst) ? IP4_SIZE : IP6_SIZE + FRAG_SIZE;
    uint32_t step = ROUND_DOWN(mtu - head, 8u);
    uint32_t id = id_next(&how->dst);
    int e = 0;
    packet_csum_finish(p);
    for (uint32_t off = 0; off < p->size && e == 0; off += step)
        e = send_fragment(p, r, how, off, MIN(step, p->size - off), id);
    packet_free(p);
    return e;
}

/* --- the entrance --- */

int ip_output(struct packet *p, const struct ip_route *r,
              const struct ip_send *how)
{
    bool four = ip_is4(&how->dst);
    uint32_t head = four ? IP4_SIZE : IP6_SIZE;
    uint32_t mtu = how->mtu_probe ? r->netif->mtu : r->mtu;
    uint32_t most = four ? UINT16_MAX - head : UINT16_MAX;
    if (p->size > most) {
        packet_free(p);
        return -EMSGSIZE;
    }
    if (p->gso_size == 0 && p->size + head > mtu) {
        if (!how->dont_fragment)
            return send_fragments(p, r, how, MAX(mtu, 68u + 8));
        packet_free(p);
        return -EMSGSIZE;
    }
    if (four)
        put_ip4(p, how, how->dont_fragment ? 0 : id_next(&how->dst),
                how->dont_fragment ? IP4_DF : 0);
    else
        put_ip6(p, how, how->protocol);
    send_ip(p, r, how->multicast_loop);
    return 0;
}

void ip_output_headed(struct packet *p, const struct ip_route *r,
                      const struct ip_send *how)
{
    send_ip(p, r, how->multicast_loop);
}
