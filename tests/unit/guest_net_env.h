// SPDX-License-Identifier: Apache-2.0
/* A machine with one Ethernet interface whose other end is the test. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/net/dgram.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/netif.h"
#include "guest/net/proto.h"

#define FRAMES_MAX 64

struct net_frame {
    uint32_t size;
    uint8_t data[2048];
};

static struct net_frame net_frames[FRAMES_MAX]; /* what it sent, oldest first */
static unsigned net_frame_count;

static const uint8_t net_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t net_peer[6] = {2, 0, 0, 0, 0, 2};

static void net_env_send(struct netif *n, struct packet *p)
{
    (void)n;
    if (net_frame_count < FRAMES_MAX) {
        struct net_frame *f = &net_frames[net_frame_count++];
        f->size = MIN(p->size, (uint32_t)sizeof(f->data));
        packet_copy_out(p, 0, f->data, f->size);
    }
    packet_free(p);
}

static const struct netif_ops net_env_ops = {.send = net_env_send};
static struct netif net_eth = {
    .ops = &net_env_ops,
    .name = "eth0",
    .mac = {2, 0, 0, 0, 0, 1},
    .ethernet = true,
    .mtu = 1500,
    .flags = LX_IFF_BROADCAST | LX_IFF_MULTICAST,
};

static inline struct ip_addr net_ip4(unsigned a, unsigned b, unsigned c,
                                     unsigned d)
{
    return ip_from4(be32(a << 24 | b << 16 | c << 8 | d));
}

/* 10.0.0.1/24 and 2001:db8::1/64, up. */
static inline void net_env_init(void)
{
    struct netif_addr four = {.addr = net_ip4(10, 0, 0, 1), .prefix = 24};
    struct netif_addr six = {.addr = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
                             .prefix = 64};
    fake_init(64u << 20);
    if (netif_add(&net_eth) < 0 || netif_addr_add(&net_eth, &four) < 0 ||
        netif_addr_add(&net_eth, &six) < 0)
        abort();
    netif_set_flags(&net_eth, net_eth.flags | LX_IFF_UP);
    net_frame_count = 0;
}

/* Let the net thread do what it has to. */
static inline void net_env_run(void)
{
    for (int i = 0; i < 8; i++)
        sched_yield();
}

/* A frame, spread over two places of memory at `cut`. */
static inline void net_env_receive(const uint8_t *data, uint32_t size,
                                   uint32_t cut, uint8_t csum)
{
    struct packet *p = packet_new(0);
    cut = MIN(cut, size);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t n = i == 0 ? cut : size - cut;
        paddr_t pa = n != 0 ? page_alloc(4, 0) : 0;
        if (pa == 0)
            continue;
        memcpy((uint8_t *)page_virt(pa) + 3, data + (i == 0 ? 0 : cut), n);
        if (p == NULL || packet_add(p, pa, 3, n) < 0)
            abort();
        page_put(pa);
    }
    p->csum = csum;
    netif_receive(&net_eth, p);
    net_flush();
}

/* Ethernet and IPv4 headers; returns where the payload goes. */
static inline uint8_t *net_env_ip4(uint8_t *f, struct ip_addr src,
                                   uint8_t protocol, uint32_t size,
                                   uint32_t frag)
{
    struct ether_header e = {.type = be16(ETHER_IP4)};
    struct ip4_header h = {.version_ihl = 0x45,
                           .size = be16((uint16_t)(size + sizeof(h))),
                           .id = be16(77),
                           .frag = be16((uint16_t)frag),
                           .ttl = 64,
                           .protocol = protocol,
                           .src = ip_to4(&src),
                           .dst = be32(0x0a000001)};
    memcpy(e.dst, net_mac, 6);
    memcpy(e.src, net_peer, 6);
    h.csum = csum_fold(csum_add(0, &h, sizeof(h)));
    memcpy(f, &e, sizeof(e));
    memcpy(f + sizeof(e), &h, sizeof(h));
    return f + sizeof(e) + sizeof(h);
}
