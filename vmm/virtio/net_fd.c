// SPDX-License-Identifier: Apache-2.0
/* Frames over an fd: taps, stream sockets, packet sockets. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/iov.h"
#include "vmm/virtio/net.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define HEADER sizeof(struct virtio_net_hdr)

static int failed(ssize_t n)
{
    return n < 0 ? -errno : 0;
}

/* ---- set-up ---- */

static enum virtio_net_offload tap_offload(int fd, bool uso)
{
    const unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (uso && ioctl(fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) == 0)
        return VIRTIO_NET_OFFLOAD_USO;
    if (ioctl(fd, TUNSETOFFLOAD, base) == 0)
        return VIRTIO_NET_OFFLOAD_TSO;
    (void)ioctl(fd, TUNSETOFFLOAD, 0);
    return VIRTIO_NET_OFFLOAD_NONE;
}

static uint64_t offload_features(enum virtio_net_offload offload)
{
    uint64_t f = 0;
    if (offload >= VIRTIO_NET_OFFLOAD_TSO)
        f |= VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM |
             VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |
             VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_HOST_TSO4 |
             VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN;
    if (offload == VIRTIO_NET_OFFLOAD_USO)
        f |= VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6 |
             VIRTIO_NET_F_HOST_USO;
    return f;
}

int net_fd_setup(const struct virtio_net_want *w, uint64_t *features,
                 struct err *e)
{
    *features = offload_features(w->offload);
    if (w->frames != VIRTIO_NET_TAP || w->offload != VIRTIO_NET_OFFLOAD_ASK)
        return 0;
    int size = (int)HEADER;
    int flags = fcntl(w->fd, F_GETFL);
    if (flags < 0 || fcntl(w->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(e, -errno, "network fd %d: %s", w->fd, strerror(errno));
    if (ioctl(w->fd, TUNSETVNETHDRSZ, &size) < 0)
        return err_set(e, -errno, "network fd %d: not a tap: %s", w->fd,
                       strerror(errno));
    *features = offload_features(tap_offload(w->fd, w->uso));
    return 0;
}

/* ---- reading ---- */

static void put_header(const struct iovec *iov, unsigned count)
{
    static const struct virtio_net_hdr zero = {.num_buffers = 1};
    struct iovec part[HEADER];
    const uint8_t *from = (const uint8_t *)&zero;
    unsigned n = virtq_slice(iov, count, 0, HEADER, part, HEADER);
    for (unsigned i = 0; i < n; i++) {
        memcpy(part[i].iov_base, from, part[i].iov_len);
        from += part[i].iov_len;
    }
}

static ssize_t tap_read(const struct virtio_net *n, const struct iovec *iov,
                        unsigned count)
{
    ssize_t got = readv(n->source.fd, iov, (int)count);
    if (got >= 0)
        return got <= (ssize_t)HEADER ? 0 : got;
    if (errno == EAGAIN)
        return -EAGAIN;
    /* About one packet, which the kernel has dropped: EINVAL for one with
     * segments of no known kind. Else (EBADFD) the tap was removed. */
    return errno == EINTR || errno == EINVAL || errno == EFAULT ? 0 : -ENOLINK;
}

static ssize_t packet_read(const struct virtio_net *n, const struct iovec *iov,
                           unsigned count, uint64_t room)
{
    struct iovec part[VIRTQ_IOV_MAX];
    struct msghdr m = {.msg_iov = part};
    m.msg_iovlen =
        virtq_slice(iov, count, HEADER, room - HEADER, part, VIRTQ_IOV_MAX);
    ssize_t got = recvmsg(n->source.fd, &m, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0)
        return errno == EAGAIN                            ? -EAGAIN
               : errno == ECONNRESET || errno == ENOTCONN ? -ENOLINK
                                                          : 0;
    put_header(iov, count);
    return got == 0 ? 0 : got + (ssize_t)HEADER;
}

/* More bytes of the stream: 1, -EAGAIN or -ENOLINK. */
static int stream_fill(struct virtio_net *n)
{
    struct net_rx *rx = &n->rx;
    size_t left = rx->stream_end - rx->stream_at;
    memmove(rx->stream, rx->stream + rx->stream_at, left);
    rx->stream_at = 0;
    rx->stream_end = left;
    ssize_t got = recv(n->source.fd, rx->stream + left, NET_STREAM_ROOM - left,
                       MSG_DONTWAIT);
    if (got > 0)
        rx->stream_end += (size_t)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    return got > 0 ? 1 : -ENOLINK;
}

static ssize_t stream_read(struct virtio_net *n, const struct iovec *iov,
                           unsigned count, uint64_t room)
{
    struct net_rx *rx = &n->rx;
    struct iovec part[VIRTQ_IOV_MAX];
    for (;;) {
        uint32_t size = 0;
        size_t have = rx->stream_end - rx->stream_at;
        const uint8_t *at = rx->stream + rx->stream_at;
        if (have >= sizeof(size)) {
            memcpy(&size, at, sizeof(size));
            size = ntohl(size);
            if (size > VIRTIO_NET_FRAME_MAX) /* no way back into step */
                return -ENOLINK;
        }
        if (have < sizeof(size) || have - sizeof(size) < size) {
            int code = stream_fill(n);
            if (code < 0)
                return code;
            continue;
        }
        at += sizeof(size);
        rx->stream_at += sizeof(size) + size;
        if (size == 0 || size > room - HEADER)
            return size == 0 ? 0 : (ssize_t)(size + HEADER);
        unsigned k = virtq_slice(iov, count, HEADER, size, part, VIRTQ_IOV_MAX);
        for (unsigned i = 0; i < k; at += part[i++].iov_len)
            memcpy(part[i].iov_base, at, part[i].iov_len);
        put_header(iov, count);
        return (ssize_t)(size + HEADER);
    }
}

ssize_t net_fd_read(struct virtio_net *n, const struct iovec *iov,
                    unsigned count, uint64_t room)
{
    static uint8_t spill[VIRTIO_NET_FRAME_MAX]; /* what was too long */
    switch (n->frames) {
    case VIRTIO_NET_STREAM: return stream_read(n, iov, count, room);
    case VIRTIO_NET_PACKET: return packet_read(n, iov, count, room);
    case VIRTIO_NET_TAP:
    default: break;
    }
    struct iovec all[VIRTQ_IOV_MAX + 1];
    unsigned k = virtq_slice(iov, count, 0, room, all, VIRTQ_IOV_MAX);
    all[k] = (struct iovec){spill, sizeof(spill)};
    return tap_read(n, all, k + 1);
}

/* ---- writing ---- */

/* The guest's header, as far as the features go. False: the frame is none. */
static bool take_header(const struct virtio_net *n, struct virtio_net_hdr *h)
{
    const uint64_t f = n->vd.acked;
    uint64_t need = 0;
    h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    h->num_buffers = 0;
    switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE: break;
    case VIRTIO_NET_HDR_GSO_TCPV4: need = VIRTIO_NET_F_HOST_TSO4; break;
    case VIRTIO_NET_HDR_GSO_TCPV6: need = VIRTIO_NET_F_HOST_TSO6; break;
    case VIRTIO_NET_HDR_GSO_UDP_L4: need = VIRTIO_NET_F_HOST_USO; break;
    default: return false;
    }
    if ((h->gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0)
        need |= VIRTIO_NET_F_HOST_ECN;
    if (h->flags != 0)
        need |= VIRTIO_NET_F_CSUM;
    return (f & need) == need;
}

static int tap_write(const struct virtio_net *n, struct virtio_net_hdr *h)
{
    const struct virtq_chain *c = &n->tx.chain;
    struct iovec part[VIRTQ_IOV_MAX + 1];
    part[0] = (struct iovec){h, HEADER};
    unsigned k = virtq_slice(c->iov, c->out, HEADER, c->out_size - HEADER,
                             part + 1, VIRTQ_IOV_MAX);
    int code = failed(writev(n->source.fd, part, (int)k + 1));
    if (code == -EAGAIN || code == -EINTR)
        return -EAGAIN;
    /* Anything else is about this frame (EINVAL) or the moment (EIO: down). */
    return code == -EBADFD ? -ENOLINK : 0;
}

static int packet_write(const struct virtio_net *n)
{
    const struct virtq_chain *c = &n->tx.chain;
    struct iovec part[VIRTQ_IOV_MAX];
    struct msghdr m = {.msg_iov = part};
    m.msg_iovlen = virtq_slice(c->iov, c->out, HEADER, c->out_size - HEADER,
                               part, VIRTQ_IOV_MAX);
    int code = failed(sendmsg(n->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (code == -EAGAIN || code == -EINTR)
        return -EAGAIN;
    /* ENOTCONN: of datagrams on the same host, after one ECONNREFUSED; UDP
     * says that one, too, while nobody listens yet. */
    return code == -EPIPE || code == -ECONNRESET || code == -ENOTCONN ? -ENOLINK
                                                                      : 0;
}

/* Length and frame, from byte tx.done of both on. */
static int stream_write(struct virtio_net *n)
{
    struct net_tx *tx = &n->tx;
    const struct virtq_chain *c = &tx->chain;
    const uint64_t size = c->out_size - HEADER;
    uint32_t prefix = htonl((uint32_t)size);
    while (tx->done < size + sizeof(prefix)) {
        struct iovec part[VIRTQ_IOV_MAX + 1];
        unsigned k = 0;
        uint64_t at = 0;
        if (tx->done < sizeof(prefix))
            part[k++] = (struct iovec){(uint8_t *)&prefix + tx->done,
                                       sizeof(prefix) - tx->done};
        else
            at = tx->done - sizeof(prefix);
        k += virtq_slice(c->iov, c->out, HEADER + at, size - at, part + k,
                         VIRTQ_IOV_MAX);
        struct msghdr m = {.msg_iov = part, .msg_iovlen = k};
        ssize_t put = sendmsg(n->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ENOLINK;
        tx->done += (uint64_t)put;
    }
    return 0;
}

int net_fd_write(struct virtio_net *n)
{
    const struct virtq_chain *c = &n->tx.chain;
    struct virtio_net_hdr h;
    if (c->out_size <= HEADER || c->out_size - HEADER > VIRTIO_NET_FRAME_MAX ||
        virtq_copy_out(c, 0, &h, sizeof(h)) != sizeof(h) ||
        (n->tx.done == 0 && !take_header(n, &h)))
        return 0;
    switch (n->frames) {
    case VIRTIO_NET_STREAM: return stream_write(n);
    case VIRTIO_NET_PACKET: return packet_write(n);
    case VIRTIO_NET_TAP:
    default: return tap_write(n, &h);
    }
}
