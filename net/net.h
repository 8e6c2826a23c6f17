// SPDX-License-Identifier: Apache-2.0
/*
 * What the host gives one micro-VM of a network: an fd that carries Ethernet
 * frames, and the addresses its guest is to use. Who uses it: supervisor/,
 * which passes the fd to the monitor and the addresses to the boot data.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

enum {
    NET_ADDRS_MAX = 4,
    NET_DNS_MAX = 4,
    NET_IFACES_MAX = 8,
};

/* How frames travel over the fd. */
enum net_frames {
    NET_FRAMES_TAP, /* a tap: struct virtio_net_hdr_mrg_rxbuf, then a frame */
    NET_FRAMES_STREAM, /* stream socket: big-endian 32-bit length, then a frame
                          (qemu's -netdev stream, which passt speaks) */
    NET_FRAMES_PACKET, /* packet socket or datagrams: a frame each, bare */
};

struct net_addr {
    bool v6;
    uint8_t b[16]; /* network order; IPv4: the first 4 */
    uint8_t prefix;
};

/* One interface of a VM. */
struct net_iface {
    int fd; /* owned; -1: none */
    enum net_frames frames;
    char name[IFNAMSIZ]; /* in the guest: eth0 ... */
    uint8_t mac[6];
    uint32_t mtu;
    unsigned addr_count;
    struct net_addr addr[NET_ADDRS_MAX];
    bool has_gateway4, has_gateway6;
    struct net_addr gateway4, gateway6;
    unsigned dns_count;
    struct net_addr dns[NET_DNS_MAX];
};
