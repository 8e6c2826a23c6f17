// SPDX-License-Identifier: Apache-2.0
/* Packets, checksums, neighbours, fragments, ICMP: RFC 826, 1071, 4861, 5722.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/uio.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/netlink.h"
#include "guest/net/route.h"
#include "guest/net/udp.h"
#include "tests/unit/guest_net_env.h"

#define ETH sizeof(struct ether_header)

static uint8_t frame[70000];

static uint16_t naive_csum(const uint8_t *d, size_t n)
{
    uint32_t s = 0;
    for (size_t i = 0; i < n; i++)
        s += i % 2 == 0 ? (uint32_t)d[i] << 8 : d[i];
    while (s >> 16 != 0)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

static void test_csum(void **state)
{
    static uint8_t data[3000];
    (void)state;
    krandom(data, sizeof(data));
    for (size_t n = 0; n < 200; n++)
        for (size_t off = 0; off < 9; off++)
            assert_int_equal(be16(csum_fold(csum_add(0, data + off, n))),
                             naive_csum(data + off, n));
    memset(data, 0xff, sizeof(data));
    assert_int_equal(csum_fold(csum_add(0, data, 3000)), 0);
}

static void test_packet(void **state)
{
    uint8_t in[600], out[600];
    (void)state;
    krandom(in, sizeof(in));
    for (uint32_t cut = 0; cut < 40; cut++) {
        struct packet *p = packet_new(64);
        paddr_t pa = page_alloc(0, 0);
        memcpy(page_virt(pa), in + cut, 600 - cut);
        memcpy(packet_append(p, (uint16_t)cut), in, cut);
        assert_int_equal(packet_add(p, pa, 0, 100), 0);
        assert_int_equal(packet_add(p, pa, 100, 500 - cut), 0);
        assert_int_equal(p->frag_count, 1);
        page_put(pa);
        packet_copy_out(p, 0, out, 600);
        assert_memory_equal(in, out, 600);
        for (uint32_t off = 0; off < 60; off++)
            assert_int_equal(
                be16(csum_fold(packet_csum(p, off, 601 - off - 1))),
                naive_csum(in + off, 600 - off));
        struct packet *c = packet_clone(p);
        assert_memory_equal(packet_pull(c, 150), in, 150);
        packet_skip(c, 33);
        packet_trim(c, 400);
        packet_copy_out(c, 0, out, 400);
        assert_memory_equal(in + 33, out, 400);
        assert_null(packet_pull(c, 401));
        struct packet *s = packet_new(0);
        assert_int_equal(packet_slice(s, p, 10, 300), 0);
        packet_copy_out(s, 0, out, 300);
        assert_memory_equal(in + 10, out, 300);
        packet_free(s);
        packet_free(c);
        packet_free(p);
    }
}

static void arp_frame(uint8_t *f, uint16_t op, uint32_t src, uint32_t dst)
{
    struct ether_header e = {.type = be16(ETHER_ARP)};
    struct arp_packet a = {.hw = be16(1),
                           .proto = be16(ETHER_IP4),
                           .hw_size = 6,
                           .proto_size = 4,
                           .op = be16(op)};
    memset(e.dst, 0xff, 6);
    memcpy(e.src, net_peer, 6);
    memcpy(a.src_mac, net_peer, 6);
    src = be32(src);
    dst = be32(dst);
    memcpy(a.src, &src, 4);
    memcpy(a.dst, &dst, 4);
    memcpy(f, &e, sizeof(e));
    memcpy(f + sizeof(e), &a, sizeof(a));
}

static unsigned neigh_count(void)
{
    struct neigh_info e;
    unsigned n = 0;
    while (neigh_at(n, &e))
        n++;
    return n;
}

static void send_udp(struct ip_addr to)
{
    struct ip_route r;
    struct ip_send how = {.dst = to, .protocol = LX_IPPROTO_UDP};
    struct packet *p = packet_new(88);
    memset(packet_append(p, 8), 0, 8);
    assert_int_equal(ip_route(&r, &to, NULL, 0), 0);
    how.src = r.src;
    assert_int_equal(ip_output(p, &r, &how), 0);
    net_flush();
}

static void test_arp(void **state)
{
    uint8_t f[64];
    (void)state;
    net_frame_count = 0;
    /* Packets wait, three of them, until the neighbour answers. */
    for (int i = 0; i < 5; i++)
        send_udp(net_ip4(10, 0, 0, 9));
    assert_int_equal(net_frame_count, 1);
    assert_int_equal(net_frames[0].data[ETH + 7], 1); /* a request */
    arp_frame(f, 2, 0x0a000009, 0x0a000001);
    net_env_receive(f, 60, 60, 0);
    assert_int_equal(net_frame_count, 4);
    assert_memory_equal(net_frames[3].data, net_peer, 6);
    /* Who asks for us is answered, who asks for others is not. */
    net_frame_count = 0;
    arp_frame(f, 1, 0x0a000008, 0x0a000001);
    net_env_receive(f, 60, 5, 0);
    assert_int_equal(net_frame_count, 1);
    arp_frame(f, 1, 0x0a000008, 0x0a000007);
    net_env_receive(f, 60, 60, 0);
    assert_int_equal(net_frame_count, 1);
    /* Nobody answers: three questions, then silence. */
    net_frame_count = 0;
    send_udp(net_ip4(10, 0, 0, 99));
    for (int i = 0; i < 6; i++) {
        fake_clock_add(NSEC_PER_SEC);
        net_env_run();
    }
    assert_int_equal(net_frame_count, 3);
}

static void test_arp_flood(void **state)
{
    uint8_t f[64];
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        arp_frame(f, 1, 0x0a000000 + i % 254 + 1, 0x0a000001);
        net_env_receive(f, 60, 60, 0);
        net_frame_count = 0;
    }
    assert_true(neigh_count() <= NEIGH_MAX);
    for (uint32_t i = 0; i < 2000; i++) {
        struct ip_addr a = {.b = {0x20, 0x01, 0x0d, 0xb8, [13] = 9,
                                  (uint8_t)(i >> 8), (uint8_t)i}};
        send_udp(a);
    }
    assert_true(neigh_count() <= NEIGH_MAX);
    neigh_flush(&net_eth);
    net_frame_count = 0;
}

/* A neighbour solicitation; src NULL: from nobody, looking for a duplicate. */
static void ns_in(const struct ip_addr *src, const struct ip_addr *target)
{
    struct ether_header e = {.type = be16(ETHER_IP6)};
    struct ip_addr group = nd_group(target), from = {.q = {0}};
    uint32_t n = src != NULL ? 32 : 24;
    struct ip6_header h = {.flow = be32(6u << 28),
                           .size = be16((uint16_t)n),
                           .next = 58,
                           .hops = 255};
    uint8_t m[32] = {135};
    if (src != NULL)
        from = *src;
    memcpy(h.src, from.b, 16);
    memcpy(h.dst, group.b, 16);
    memcpy(m + 8, target->b, 16);
    m[24] = 1;
    m[25] = 1;
    memcpy(m + 26, net_peer, 6);
    uint16_t sum =
        csum_fold(csum_pseudo(&from, &group, 58, n) + csum_add(0, m, n));
    memcpy(m + 2, &sum, 2);
    e.dst[0] = e.dst[1] = 0x33;
    memcpy(e.dst + 2, group.b + 12, 4);
    memcpy(e.src, net_peer, 6);
    memcpy(frame, &e, sizeof(e));
    memcpy(frame + ETH, &h, sizeof(h));
    memcpy(frame + ETH + 40, m, n);
    net_env_receive(frame, (uint32_t)ETH + 40 + n, 30, 0);
}

static void test_nd(void **state)
{
    const struct ip_addr ours = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    const struct ip_addr peer = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    (void)state;
    fake_clock_add(5 * NSEC_PER_SEC);
    net_frame_count = 0;
    ns_in(&peer, &ours);
    assert_int_equal(net_frame_count, 1);
    assert_int_equal(net_frames[0].data[ETH + 40], 136);
    assert_memory_equal(net_frames[0].data, net_peer, 6);
    /* Now it is known: no question before a packet goes there. */
    send_udp(peer);
    assert_int_equal(net_frame_count, 2);
    assert_int_equal(net_frames[1].data[ETH + 6], LX_IPPROTO_UDP);
    /* Long after we took it, nobody can talk us out of our address ... */
    ns_in(NULL, &ours);
    assert_true(ip_is_ours(&ours));
    /* ... but out of one just taken. */
    struct netif_addr young = {.addr = ours, .prefix = 64};
    young.addr.b[15] = 7;
    assert_int_equal(netif_addr_add(&net_eth, &young), 0);
    ns_in(NULL, &young.addr);
    assert_false(ip_is_ours(&young.addr));
}

/* An echo request of `size` bytes, its bytes [off, off + n) as a fragment. */
static void echo_part(uint32_t size, uint32_t off, uint32_t n)
{
    static uint8_t echo[70000];
    memset(echo, 0x5a, size);
    memset(echo, 0, 8);
    echo[0] = 8;
    uint16_t sum = csum_fold(csum_add(0, echo, size));
    memcpy(echo + 2, &sum, 2);
    bool more = off + n < size;
    uint8_t *at = net_env_ip4(frame, net_ip4(10, 0, 0, 2), LX_IPPROTO_ICMP, n,
                              off / 8 | (more ? IP4_MF : 0));
    memcpy(at, echo + off, n);
    net_env_receive(frame, (uint32_t)(at - frame) + n, 40, 0);
}

static void test_fragments(void **state)
{
    uint8_t f[64];
    (void)state;
    arp_frame(f, 1, 0x0a000002, 0x0a000001);
    net_env_receive(f, 60, 60, 0);
    net_frame_count = 0;
    echo_part(4000, 0, 1480);
    echo_part(4000, 1480, 1480);
    assert_int_equal(net_frame_count, 0);
    echo_part(4000, 2960, 1040);
    assert_int_equal(net_frame_count, 3); /* the answer, as large */
    /* Backwards, and one of them twice. */
    net_frame_count = 0;
    echo_part(4000, 2960, 1040);
    echo_part(4000, 1480, 1480);
    echo_part(4000, 1480, 1480);
    echo_part(4000, 0, 1480);
    assert_int_equal(net_frame_count, 3);
    /* Overlapping: nothing of it remains. RFC 5722. */
    net_frame_count = 0;
    echo_part(4000, 0, 1480);
    echo_part(4000, 1472, 1480);
    assert_int_equal(reassembly_charge(), 0);
    echo_part(4000, 2952, 1048);
    assert_int_equal(net_frame_count, 0);
    fake_clock_add(70 * NSEC_PER_SEC);
    net_env_run();
    net_frame_count = 0;
    /* As large as it gets. */
    for (uint32_t off = 0; off < 60000; off += 1480)
        echo_part(60000, off, MIN(1480, 60000 - off));
    assert_true(net_frame_count > 30);
    /* Beyond 64 KiB, of no bytes, of odd size. */
    net_frame_count = 0;
    echo_part(66000, 65528, 400);
    echo_part(4000, 0, 0);
    echo_part(4000, 8, 1001);
    fake_clock_add(70 * NSEC_PER_SEC);
    net_env_run();
    assert_int_equal(reassembly_charge(), 0);
}

static void test_fragment_flood(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        uint8_t *at = net_env_ip4(frame, net_ip4(10, 0, i >> 8 & 255, i & 255),
                                  17, 800, (i % 50 * 100) | IP4_MF);
        memset(at, 0, 800);
        net_env_receive(frame, (uint32_t)(at - frame) + 800, 0, 0);
    }
    assert_true(reassembly_charge() <= 1u << 20);
    fake_clock_add(70 * NSEC_PER_SEC);
    net_env_run();
    fake_clock_add(70 * NSEC_PER_SEC);
    net_env_run();
    assert_int_equal(reassembly_charge(), 0);
}

/* Errors are limited, and never answer errors. */
static void test_icmp_errors(void **state)
{
    (void)state;
    fake_clock_add(NSEC_PER_SEC);
    net_frame_count = 0;
    unsigned told = 0;
    for (int i = 0; i < 500; i++) {
        uint8_t *at =
            net_env_ip4(frame, net_ip4(10, 0, 0, 2), LX_IPPROTO_UDP, 12, 0);
        const uint8_t udp[12] = {0, 9, 0x99, 0x99, 0, 12, 0, 0};
        memcpy(at, udp, 12);
        net_env_receive(frame, 46, 46, 0);
        told += net_frame_count;
        net_frame_count = 0;
    }
    assert_true(told > 10 && told <= 60);
    fake_clock_add(NSEC_PER_SEC);
    uint8_t *at =
        net_env_ip4(frame, net_ip4(10, 0, 0, 2), LX_IPPROTO_ICMP, 36, 0);
    memset(at, 0, 36);
    at[0] = 3;
    at[1] = 3;
    at[8] = 0x45;
    uint16_t sum = csum_fold(csum_add(0, at, 36));
    memcpy(at + 2, &sum, 2);
    net_env_receive(frame, 70, 70, 0);
    assert_int_equal(net_frame_count, 0);
}

/* "Fragmentation needed", about a packet of ours to 10.0.0.2. */
static void too_big_in(uint8_t protocol, uint16_t sport, uint32_t seq)
{
    uint8_t *at =
        net_env_ip4(frame, net_ip4(10, 0, 0, 9), LX_IPPROTO_ICMP, 36, 0);
    const struct ip4_header h = {.version_ihl = 0x45,
                                 .size = be16(1500),
                                 .ttl = 64,
                                 .protocol = protocol,
                                 .src = be32(0x0a000001),
                                 .dst = be32(0x0a000002)};
    const uint8_t icmp[8] = {3, 4, [6] = 600 >> 8, 600 & 0xff};
    const uint16_t ports[2] = {be16(sport), be16(80)};
    memcpy(at, icmp, sizeof(icmp));
    memcpy(at + 8, &h, sizeof(h));
    memcpy(at + 28, ports, sizeof(ports));
    seq = be32(seq);
    memcpy(at + 32, &seq, sizeof(seq));
    uint16_t sum = csum_fold(csum_add(0, at, 36));
    memcpy(at + 2, &sum, sizeof(sum));
    net_env_receive(frame, (uint32_t)ETH + 56, 60, 0);
}

static struct net_addr sock_addr(uint32_t ip, uint16_t port)
{
    const struct lx_sockaddr_in in = {
        .family = LX_AF_INET, .port = be16(port), .addr = be32(ip)};
    struct net_addr a = {.size = sizeof(in)};
    memcpy(a.data, &in, sizeof(in));
    return a;
}

/* RFC 5927, 7: the MTU of a path is lowered by who knows what was sent there.
 */
static void test_path_mtu(void **state)
{
    const struct ip_addr to = net_ip4(10, 0, 0, 2);
    const struct net_addr own = sock_addr(0, 5353),
                          peer = sock_addr(0x0a000002, 80);
    struct socket *udp, *tcp;
    uint8_t f[64];
    uint32_t seq;
    (void)state;
    arp_frame(f, 1, 0x0a000002, 0x0a000001);
    net_env_receive(f, 60, 60, 0);
    assert_int_equal(udp_create(LX_AF_INET, LX_IPPROTO_UDP, &udp), 0);
    assert_int_equal(tcp_create(LX_AF_INET, LX_IPPROTO_TCP, &tcp), 0);
    assert_int_equal(udp->ops->bind(udp, &own), 0);
    assert_int_equal(tcp->ops->bind(tcp, &own), 0);
    net_frame_count = 0;
    assert_int_equal(tcp->ops->connect(tcp, &peer, true), -EINPROGRESS);
    assert_int_equal(net_frame_count, 1);
    memcpy(&seq, net_frames[0].data + ETH + 24, sizeof(seq));
    seq = be32(seq);
    too_big_in(LX_IPPROTO_UDP, 5354, 0);
    too_big_in(LX_IPPROTO_TCP, 5354, seq);
    too_big_in(LX_IPPROTO_TCP, 5353, seq + 1);
    too_big_in(LX_IPPROTO_TCP, 5353, seq - 1);
    too_big_in(LX_IPPROTO_ICMP, 0x0800, 0);
    too_big_in(99, 0, 0);
    assert_int_equal(path_mtu(&to, 1500), 1500);
    too_big_in(LX_IPPROTO_TCP, 5353, seq);
    assert_int_equal(path_mtu(&to, 1500), 600);
    fake_clock_add(601 * NSEC_PER_SEC);
    assert_int_equal(path_mtu(&to, 1500), 1500);
    too_big_in(LX_IPPROTO_UDP, 5353, 0); /* whoever it sends to */
    assert_int_equal(path_mtu(&to, 1500), 600);
    fake_clock_add(601 * NSEC_PER_SEC);
    udp->io->release(udp);
    tcp->io->release(tcp);
}

static void send_by(struct socket *s, struct net_addr *to)
{
    struct uio u;
    struct uio_seg seg;
    struct message m = {.u = &u, .addr = to};
    uint8_t byte = 0;
    uio_kernel(&u, &seg, &byte, 1);
    assert_int_equal(s->io->send(s, &m), 1);
}

/* RFC 1122, 3.2.1.7: to a group with a TTL of 0 it does not leave this machine.
 */
static void test_ttl_0(void **state)
{
    struct net_addr group = sock_addr(0xef010203, 9);
    struct lx_sockaddr_in6 six = {
        .family = LX_AF_INET6, .port = be16(9), .addr = {0xff, 0x0e, [15] = 9}};
    struct net_addr group6 = {.size = sizeof(six)};
    struct socket *s, *s6;
    (void)state;
    memcpy(group6.data, &six, sizeof(six));
    assert_int_equal(udp_create(LX_AF_INET, LX_IPPROTO_UDP, &s), 0);
    assert_int_equal(udp_create(LX_AF_INET6, LX_IPPROTO_UDP, &s6), 0);
    inet_of(s)->mcast_oif = net_eth.index;
    inet_of(s6)->mcast_oif6 = net_eth.index;
    net_frame_count = 0;
    send_by(s, &group);
    send_by(s6, &group6);
    assert_int_equal(net_frame_count, 2);
    assert_int_equal(net_frames[0].data[ETH + 8], 1);
    assert_int_equal(net_frames[1].data[ETH + 7], 1);
    net_frame_count = 0;
    inet_of(s)->mcast_ttl = 0;
    inet_of(s6)->mcast_hops = 0;
    send_by(s, &group);
    send_by(s6, &group6);
    assert_int_equal(net_frame_count, 0);
    s->io->release(s);
    s6->io->release(s6);
}

/* Answers that nobody reads: no more memory than their socket may have. */
static void test_netlink_flood(void **state)
{
    static struct lx_nlmsghdr h[4000];
    const struct lx_sockaddr_nl nl = {.family = LX_AF_NETLINK, .pid = 5};
    struct net_addr own = {.size = sizeof(nl)};
    struct page_stats before, after;
    struct socket *s;
    struct uio u;
    struct uio_seg seg;
    struct message m = {.u = &u};
    (void)state;
    memcpy(own.data, &nl, sizeof(nl));
    for (unsigned i = 0; i < ARRAY_COUNT(h); i++)
        h[i] = (struct lx_nlmsghdr){.size = sizeof(h[i]),
                                    .type = 1,
                                    .flags = LX_NLM_F_REQUEST | LX_NLM_F_ACK};
    assert_int_equal(netlink_family.create(LX_SOCK_RAW, LX_NETLINK_ROUTE, &s),
                     0);
    assert_int_equal(s->ops->bind(s, &own), 0);
    page_stats(&before);
    for (int i = 0; i < 2; i++) {
        uio_kernel(&u, &seg, h, sizeof(h));
        assert_int_equal(s->io->send(s, &m), sizeof(h));
    }
    assert_int_equal(socket_error(s), -ENOBUFS);
    page_stats(&after);
    assert_true((before.free - after.free) * PAGE_SIZE < 2 * SOCKET_BUFFER);
    s->io->release(s);
}

/* What nobody may send us. */
static void test_spoofed(void **state)
{
    const struct ip_addr bad[] = {net_ip4(127, 0, 0, 1), net_ip4(224, 0, 0, 1),
                                  net_ip4(255, 255, 255, 255),
                                  net_ip4(10, 0, 0, 255)};
    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        uint8_t *at = net_env_ip4(frame, bad[i], LX_IPPROTO_ICMP, 8, 0);
        const uint8_t echo[8] = {8, 0, 0xf7, 0xff};
        memcpy(at, echo, 8);
        net_frame_count = 0;
        net_env_receive(frame, 42, 42, 0);
        assert_int_equal(net_frame_count, 0);
    }
}

/* Extension headers of IPv6: what is unknown is told, where it says so. */
static void test_ip6_options(void **state)
{
    const struct ip_addr peer = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    (void)state;
    fake_clock_add(NSEC_PER_SEC);
    for (unsigned act = 0; act < 4; act++) {
        struct ether_header e = {.type = be16(ETHER_IP6)};
        struct ip6_header h = {
            .flow = be32(6u << 28), .size = be16(16), .next = 60, .hops = 64};
        uint8_t m[16] = {58, 0, (uint8_t)(act << 6 | 0x3e), 4};
        const struct ip_addr ours = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
        m[8] = 128;
        uint16_t sum =
            csum_fold(csum_pseudo(&peer, &ours, 58, 8) + csum_add(0, m + 8, 8));
        memcpy(m + 10, &sum, 2);
        memcpy(e.dst, net_mac, 6);
        memcpy(e.src, net_peer, 6);
        memcpy(h.src, peer.b, 16);
        memcpy(h.dst, ours.b, 16);
        memcpy(frame, &e, ETH);
        memcpy(frame + ETH, &h, 40);
        memcpy(frame + ETH + 40, m, 16);
        net_frame_count = 0;
        net_env_receive(frame, (uint32_t)ETH + 56, 20, 0);
        assert_int_equal(net_frame_count, act == 1 ? 0 : 1);
        if (net_frame_count != 0)
            assert_int_equal(net_frames[0].data[ETH + 40], act == 0 ? 129 : 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csum),
        cmocka_unit_test(test_packet),
        cmocka_unit_test(test_arp),
        cmocka_unit_test(test_nd),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_icmp_errors),
        cmocka_unit_test(test_netlink_flood),
        cmocka_unit_test(test_path_mtu),
        cmocka_unit_test(test_ttl_0),
        cmocka_unit_test(test_spoofed),
        cmocka_unit_test(test_ip6_options),
        cmocka_unit_test(test_arp_flood),
        cmocka_unit_test(test_fragment_flood),
    };
    net_env_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
