// SPDX-License-Identifier: Apache-2.0
/*
 * A network interface: frames between the guest and one fd, in place. Nothing
 * ever blocks: a reader that is slow leaves frames in the guest's queue, a
 * guest that is slow leaves them in the host's. An fd whose other side is gone
 * takes the link down and the VM lives on. Device thread only.
 */
#pragma once

#include "abi/virtio_net.h"

#include "vmm/loop.h"
#include "vmm/virtio/bucket.h"
#include "vmm/virtio/virtio.h"

struct err;

/* How frames travel over the fd; net/net.h has the same. */
enum virtio_net_frames {
    VIRTIO_NET_TAP,    /* struct virtio_net_hdr, then the frame */
    VIRTIO_NET_STREAM, /* be32 length, then the frame */
    VIRTIO_NET_PACKET, /* a frame each */
};

/* What a tap has been told to take as it is. */
enum virtio_net_offload {
    VIRTIO_NET_OFFLOAD_ASK, /* nothing yet: virtio_net_init() does */
    /* Whoever opened it has set header size, O_NONBLOCK and: */
    VIRTIO_NET_OFFLOAD_NONE,
    VIRTIO_NET_OFFLOAD_TSO,
    VIRTIO_NET_OFFLOAD_USO,
};

struct virtio_net_want {
    int fd; /* borrowed */
    enum virtio_net_frames frames;
    uint8_t mac[6];
    uint16_t mtu;
    uint64_t rate; /* bits a second, each way; 0: no limit */
    bool uso;      /* the driver knows USO (Linux since 6.2) */
    enum virtio_net_offload offload;
};

enum {
    NET_QUEUE_SIZE = 256,
    NET_RX_BUFS = 64,  /* chains taken and not used yet */
    NET_RX_IOVS = 256, /* their segments */
    NET_STREAM_ROOM = 2 * (VIRTIO_NET_FRAME_MAX + 4),
};

/* A receive chain that was taken; its segments follow the one before. */
struct net_buf {
    uint16_t head;
    uint16_t iov_count;
    uint32_t size; /* bytes */
};

struct net_rx {
    struct net_buf buf[NET_RX_BUFS];
    struct iovec iov[NET_RX_IOVS];
    unsigned buf_first, buf_count;
    unsigned iov_first, iov_count;
    uint64_t room; /* bytes of all */
    bool starved;  /* the driver will ring */
    struct net_bucket bucket;
    uint8_t *stream; /* owned; STREAM: bytes that were read */
    size_t stream_at, stream_end;
};

struct net_tx {
    bool held;     /* `chain` is taken and not yet given back */
    bool blocked;  /* the fd is full */
    uint64_t done; /* STREAM: bytes of it that were sent */
    struct virtq_chain chain;
    struct net_bucket bucket;
};

struct virtio_net {
    struct virtio_dev vd; /* first member */
    struct loop *loop;
    struct loop_source source; /* the fd */
    struct loop_source timer;  /* rate limits; fd owned, -1: none */
    uint64_t timer_ns;         /* when it fires; 0: it is not set */
    enum virtio_net_frames frames;
    uint32_t frame_max; /* bytes, received */
    bool gone;          /* the other side of the fd */
    struct net_rx rx;
    struct net_tx tx;
};

/* Before the jail is complete, unless it is a tap whose offloads are set, and
 * without a rate. */
int virtio_net_init(struct virtio_net *n, struct loop *l,
                    const struct virtio_net_want *w, struct err *e);
void virtio_net_fini(struct virtio_net *n);
/* A device that is not there yet: it only has its type. */
void virtio_net_init_spare(struct virtio_net *n);

/* --- net_fd.c --- */
/* Offloads of a tap, as features; 0 for anything else. */
int net_fd_setup(const struct virtio_net_want *w, uint64_t *features,
                 struct err *e);
/*
 * One frame, in front of it room for a header (filled in), into iov. Bytes
 * with the header, more than `room` if it was cut off; 0: nothing of use came;
 * -EAGAIN; -ENOLINK: the other side is gone.
 */
ssize_t net_fd_read(struct virtio_net *n, const struct iovec *iov,
                    unsigned count, uint64_t room);
/* The frame of n->tx.chain: 0: it went or cannot go, -EAGAIN, -ENOLINK. */
int net_fd_write(struct virtio_net *n);
