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
    NET_ROUTES_MAX = 64,
    NET_IFACES_MAX = 8,
    NET_ADDR_TEXT_SIZE = 64,
    NET_MAC_TEXT_SIZE = 18,
    NET_MTU_MIN = 68, /* RFC 791, 3.2 */
    NET_MTU_MAX = 65535,
    NET_MTU_DEFAULT = 1500,
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

/* A route through an interface. All addresses are of one family. */
struct net_route {
    struct net_addr to;
    bool has_via, has_src;
    bool onlink; /* `via` is a neighbour, whatever prefixes say */
    struct net_addr via, src;
    uint32_t metric;
    uint8_t protocol, scope; /* RTPROT_*, RT_SCOPE_* of rtnetlink(7) */
};

/* One interface of a VM. */
struct net_iface {
    int fd; /* owned; -1: none */
    enum net_frames frames;
    char name[IFNAMSIZ]; /* in the guest: eth0 ... */
    uint8_t mac[6];
    uint32_t mtu;
    uint64_t rate; /* bits a second, each way; 0: no limit */
    unsigned addr_count;
    struct net_addr addr[NET_ADDRS_MAX];
    bool alone[NET_ADDRS_MAX]; /* its prefix is not on the link */
    bool has_gateway4, has_gateway6;
    struct net_addr gateway4, gateway6;
    unsigned route_count;
    struct net_route route[NET_ROUTES_MAX]; /* beside those to the gateways */
    bool resolver; /* `dns` is ours: it knows the names of its networks */
    unsigned dns_count;
    struct net_addr dns[NET_DNS_MAX];
};

/* "10.0.0.2/24", "fd00::2/64"; without a prefix all bits count. -EINVAL. */
int net_addr_parse(const char *text, struct net_addr *out);
/* With the prefix, or without. */
void net_addr_text(const struct net_addr *a, bool prefix,
                   char out[NET_ADDR_TEXT_SIZE]);

/* "02:11:22:33:44:55", unicast and not 0. -EINVAL. */
int net_mac_parse(const char *text, uint8_t out[6]);
void net_mac_text(const uint8_t mac[6], char out[NET_MAC_TEXT_SIZE]);
/* Locally administered, random. */
int net_mac_random(uint8_t out[6], struct err *e);

/*
 * Open a queue of the tap `name`, which exists (-ENODEV if not), for frames
 * with headers, without blocking. *mtu: its MTU. Returns the fd.
 */
int net_tap_open(const char *name, uint32_t *mtu, struct err *e);

/* What a tap has learned to take as it is. */
enum net_offload { NET_OFFLOAD_NONE, NET_OFFLOAD_TSO, NET_OFFLOAD_USO };

/* For a monitor that may ask it for nothing any more: no blocking, headers of
 * its size, every offload that this kernel has. */
int net_tap_prepare(int fd, enum net_offload *out, struct err *e);

/* What frames an fd carries: a tap with IFF_VNET_HDR and IFF_NO_PI, or a
 * connected socket. -EINVAL if it is neither. *mtu: a tap's, else default. */
int net_fd_frames(int fd, enum net_frames *frames, uint32_t *mtu,
                  struct err *e);
