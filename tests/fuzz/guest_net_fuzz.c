// SPDX-License-Identifier: Apache-2.0
/*
 * Any frames from the network. Input: frames, each after a byte of flags and
 * two of length; flags say how it lies in memory and what of it is made right,
 * so that it gets further: type, IP checksum and addresses, transport checksum.
 * Memory stays bounded whatever comes.
 */
#include <stddef.h>
#include <stdint.h>

#include "guest/core/uio.h"
#include "guest/net/ip_impl.h"
#include "tests/unit/guest_net_env.h"

#define FIX_IP    1u
#define FIX_IP6   2u
#define FIX_SUM   4u
#define PASS_TIME 8u
#define CUT_SHIFT 4

static struct socket *socks[4], *listener;
static uint64_t free_at_start;

static void fuzz_init(void)
{
    struct net_addr a = {.size = sizeof(struct lx_sockaddr_in)};
    struct lx_sockaddr_in in = {.family = LX_AF_INET, .port = be16(53)};
    struct page_stats s;
    net_env_init();
    memcpy(a.data, &in, sizeof(in));
    if (udp_create(LX_AF_INET, LX_IPPROTO_UDP, &socks[0]) < 0 ||
        raw_create(LX_AF_INET, LX_SOCK_RAW, LX_IPPROTO_UDP, &socks[1]) < 0 ||
        raw_create(LX_AF_INET6, LX_SOCK_RAW, LX_IPPROTO_ICMPV6, &socks[2]) <
            0 ||
        raw_create(LX_AF_INET, LX_SOCK_DGRAM, LX_IPPROTO_ICMP, &socks[3]) < 0 ||
        tcp_create(LX_AF_INET, LX_IPPROTO_TCP, &listener) < 0 ||
        socks[0]->ops->bind(socks[0], &a) < 0 ||
        listener->ops->bind(listener, &a) < 0 ||
        listener->ops->listen(listener, 16) < 0)
        abort();
    page_stats(&s);
    free_at_start = s.free;
}

static void fix(uint8_t *f, uint32_t n, uint8_t flags)
{
    static const struct ip_addr ours6 = {
        .b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    if (n < 14 + 20 || (flags & (FIX_IP | FIX_IP6)) == 0)
        return;
    memcpy(f, net_mac, 6);
    f[6] &= 0xfe;
    if ((flags & FIX_IP) != 0) {
        const uint32_t dst = be32(0x0a000001);
        unsigned head = (f[14] & 15u) * 4;
        f[12] = 8;
        f[13] = 0;
        f[14] = (uint8_t)(0x40 | (f[14] & 15));
        memcpy(f + 30, &dst, 4);
        memset(f + 24, 0, 2);
        if (head < 20 || 14 + head > n)
            return;
        uint16_t sum = csum_fold(csum_add(0, f + 14, head));
        memcpy(f + 24, &sum, 2);
    } else if (n >= 14 + 40) {
        f[12] = 0x86;
        f[13] = 0xdd;
        f[14] = (uint8_t)(0x60 | (f[14] & 15));
        memcpy(f + 14 + 24, ours6.b, 16);
    }
}

static void drain(struct socket *s)
{
    uint8_t data[256];
    struct uio u;
    struct uio_seg seg;
    struct net_addr from;
    for (int i = 0; i < 100; i++) {
        uio_kernel(&u, &seg, data, sizeof(data));
        struct message m = {.u = &u, .flags = LX_MSG_DONTWAIT, .addr = &from};
        int64_t r = s->io->recv(s, &m);
        control_fini(&m.control);
        if (r < 0)
            return;
    }
}

/* Connections that came about: gone again. */
static void hang_up(void)
{
    struct socket *s;
    for (int i = 0; i < 32 && listener->ops->accept(listener, true, &s) == 0;
         i++) {
        drain(s);
        s->io->release(s);
    }
    net_env_run();
}

static void check_bounds(void)
{
    struct page_stats s;
    struct neigh_info e;
    page_stats(&s);
    if (reassembly_charge() > (1u << 20) || neigh_at(NEIGH_MAX, &e))
        abort();
    if (free_at_start > s.free && free_at_start - s.free > (8u << 20) / 4096)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t f[4096];
    if (socks[0] == NULL)
        fuzz_init();
    while (size >= 3) {
        uint8_t flags = data[0];
        uint32_t n = data[1] | (data[2] & 7u) << 8;
        data += 3;
        size -= 3;
        n = (uint32_t)MIN((size_t)n, size);
        memcpy(f, data, n);
        data += n;
        size -= n;
        fix(f, n, flags);
        net_env_receive(f, n, (flags >> CUT_SHIFT) * 13u,
                        (flags & FIX_SUM) != 0 ? PACKET_CSUM_GOOD
                                               : PACKET_CSUM_UNKNOWN);
        if ((flags & PASS_TIME) != 0) {
            fake_clock_add(3 * NSEC_PER_SEC);
            net_env_run();
        }
        net_frame_count = 0;
    }
    check_bounds();
    for (unsigned i = 0; i < ARRAY_COUNT(socks); i++)
        drain(socks[i]);
    hang_up();
    return 0;
}
