// SPDX-License-Identifier: Apache-2.0
/* Virtio network device. Source: VIRTIO 1.2, section 5.1; USO: 1.3. */
#pragma once

#include "abi/abi.h"

/* 5.1.3: HOST: what the device takes; GUEST: what the driver takes. */
#define VIRTIO_NET_F_CSUM       (UINT64_C(1) << 0)
#define VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VIRTIO_NET_F_MTU        (UINT64_C(1) << 3)
#define VIRTIO_NET_F_MAC        (UINT64_C(1) << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define VIRTIO_NET_F_GUEST_ECN  (UINT64_C(1) << 9)
#define VIRTIO_NET_F_HOST_TSO4  (UINT64_C(1) << 11)
#define VIRTIO_NET_F_HOST_TSO6  (UINT64_C(1) << 12)
#define VIRTIO_NET_F_HOST_ECN   (UINT64_C(1) << 13)
#define VIRTIO_NET_F_MRG_RXBUF  (UINT64_C(1) << 15)
#define VIRTIO_NET_F_STATUS     (UINT64_C(1) << 16)
#define VIRTIO_NET_F_GUEST_USO4 (UINT64_C(1) << 54)
#define VIRTIO_NET_F_GUEST_USO6 (UINT64_C(1) << 55)
#define VIRTIO_NET_F_HOST_USO   (UINT64_C(1) << 56)

/* 5.1.2; later pairs come in between, and a control queue last. */
#define VIRTIO_NET_RXQ(pair) ((size_t)2 * (pair))
#define VIRTIO_NET_TXQ(pair) ((size_t)2 * (pair) + 1)

/* 5.1.4 */
struct virtio_net_config {
    uint8_t mac[6];
    uint16_t status; /* VIRTIO_NET_S_* */
    uint16_t max_virtqueue_pairs;
    uint16_t mtu;
};
#define VIRTIO_NET_S_LINK_UP 1

/* 5.1.6: in front of every frame. */
struct virtio_net_hdr {
    uint8_t flags;    /* VIRTIO_NET_HDR_F_* */
    uint8_t gso_type; /* VIRTIO_NET_HDR_GSO_* */
    uint16_t hdr_len; /* bytes of headers, if gso_type */
    uint16_t gso_size;
    uint16_t csum_start; /* from the Ethernet header */
    uint16_t csum_offset;
    uint16_t num_buffers; /* received: chains it takes, MRG_RXBUF */
};
#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1 /* csum_start, csum_offset count */
#define VIRTIO_NET_HDR_F_DATA_VALID 2 /* received: the checksum is right */

#define VIRTIO_NET_HDR_GSO_NONE   0
#define VIRTIO_NET_HDR_GSO_TCPV4  1
#define VIRTIO_NET_HDR_GSO_TCPV6  4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#define VIRTIO_NET_HDR_GSO_ECN    0x80 /* or'ed: TCP has ECN set */

/* Longest frame: 64 KiB of IP with an Ethernet header and a VLAN tag. */
#define VIRTIO_NET_FRAME_MAX 65554

ABI_SIZE(struct virtio_net_config, 12);
ABI_SIZE(struct virtio_net_hdr, 12);
