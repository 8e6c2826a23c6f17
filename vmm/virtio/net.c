// SPDX-License-Identifier: Apache-2.0
/* The network device. Virtio 1.2, section 5.1. */
#include "vmm/virtio/net.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "abi/virtio_mmio.h"

#include "base/auto.h"
#include "base/err.h"

/* Frames of one direction before other sources get a turn. */
#define NET_BUDGET 64

#define HEADER sizeof(struct virtio_net_hdr)
#define RXQ    VIRTIO_NET_RXQ(0)
#define TXQ    VIRTIO_NET_TXQ(0)
#define GUEST_OFFLOADS                                                         \
    (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |                       \
     VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |                        \
     VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6)

static struct virtio_net *net_of(struct virtio_dev *vd)
{
    return (struct virtio_net *)vd;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The fd is watched for what can be done about it; a tap for its end, too,
 * which epoll tells of with any event; a packet socket, whose errors must be
 * read away, for its end only while it is read or written. */
static void want(struct virtio_net *n, bool throttled)
{
    uint32_t events = n->frames == VIRTIO_NET_TAP ? EPOLLRDHUP : 0;
    if (n->gone)
        return;
    if (!n->rx.starved && !throttled && n->vd.queue[RXQ].ready)
        events |= EPOLLIN;
    if (n->tx.blocked)
        events |= EPOLLOUT;
    if (n->frames == VIRTIO_NET_PACKET && events != 0)
        events |= EPOLLRDHUP;
    loop_want(n->loop, &n->source, events);
}

/* ---- rate limits ---- */

static bool may_pass(struct virtio_net *n, struct net_bucket *b)
{
    if (b->rate == 0)
        return true;
    uint64_t now = now_ns();
    if (net_bucket_open(b, now))
        return true;
    uint64_t ns = net_bucket_wait(b);
    /* One timer for both directions: the earlier one wins, and the other asks
     * again. */
    if (n->timer_ns != 0 && n->timer_ns <= now + ns)
        return false;
    n->timer_ns = now + ns;
    struct itimerspec t = {
        .it_value = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};
    (void)timerfd_settime(n->timer.fd, 0, &t, NULL);
    return false;
}

/* ---- the link ---- */

static void link_down(struct virtio_net *n)
{
    struct virtio_net_config c;
    n->gone = true;
    n->tx.blocked = false;
    loop_remove(n->loop, &n->source);
    memcpy(&c, n->vd.config, sizeof(c));
    c.status &= (uint16_t)~VIRTIO_NET_S_LINK_UP;
    memcpy(n->vd.config, &c, sizeof(c));
    virtio_config_changed(&n->vd);
}

/* ---- to the guest ---- */

static void rx_compact(struct net_rx *rx)
{
    memmove(rx->buf, rx->buf + rx->buf_first, rx->buf_count * sizeof(*rx->buf));
    memmove(rx->iov, rx->iov + rx->iov_first, rx->iov_count * sizeof(*rx->iov));
    rx->buf_first = rx->iov_first = 0;
}

static void rx_add(struct net_rx *rx, const struct virtq_chain *c)
{
    struct net_buf *b = &rx->buf[rx->buf_first + rx->buf_count++];
    *b = (struct net_buf){c->head, c->in, (uint32_t)c->in_size};
    memcpy(rx->iov + rx->iov_first + rx->iov_count, c->iov + c->out,
           c->in * sizeof(struct iovec));
    rx->iov_count += c->in;
    rx->room += c->in_size;
}

/* Take chains until the longest frame fits; false if there are too few: then
 * the driver will ring. Without MRG_RXBUF one chain is all a frame gets. */
static bool rx_gather(struct virtio_net *n)
{
    struct net_rx *rx = &n->rx;
    struct virtq *q = &n->vd.queue[RXQ];
    bool merge = (n->vd.acked & VIRTIO_NET_F_MRG_RXBUF) != 0;
    struct virtq_chain c;
    int budget = NET_BUDGET;
    while (merge ? rx->room < n->frame_max : rx->buf_count == 0) {
        if (rx->buf_count == NET_RX_BUFS ||
            rx->iov_count > NET_RX_IOVS - VIRTQ_IOV_MAX)
            return rx->room > HEADER; /* a driver of tiny buffers */
        if (rx->buf_first + rx->buf_count == NET_RX_BUFS ||
            rx->iov_first + rx->iov_count > NET_RX_IOVS - VIRTQ_IOV_MAX)
            rx_compact(rx);
        int got = virtq_pop(q, &c);
        if (got < 0)
            virtio_fail(&n->vd, RXQ);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            return false;
        if (got == 0)
            continue;
        if (c.in_size > HEADER && c.in_size <= UINT32_MAX) {
            rx_add(rx, &c);
            continue;
        }
        virtq_push(q, &c, 0); /* legal and useless, and perhaps without end */
        if (--budget == 0) {
            virtio_kick(&n->vd, RXQ);
            return false;
        }
    }
    return true;
}

/* Give `size` bytes to the driver in as many chains as they take. */
static void rx_give(struct virtio_net *n, uint64_t size)
{
    struct net_rx *rx = &n->rx;
    struct virtq *q = &n->vd.queue[RXQ];
    uint16_t count = 0;
    struct iovec part[2];
    for (uint64_t held = 0; held < size;)
        held += rx->buf[rx->buf_first + count++].size;
    /* 5.1.6.4, wherever the driver's segments put it. */
    const uint8_t *from = (const uint8_t *)&count;
    unsigned k = virtq_slice(rx->iov + rx->iov_first, rx->iov_count,
                             offsetof(struct virtio_net_hdr, num_buffers),
                             sizeof(count), part, ARRAY_COUNT(part));
    for (unsigned i = 0; i < k; from += part[i++].iov_len)
        memcpy(part[i].iov_base, from, part[i].iov_len);
    for (; count > 0; count--) {
        const struct net_buf *b = &rx->buf[rx->buf_first++];
        uint32_t written = size < b->size ? (uint32_t)size : b->size;
        virtq_stage(q, b->head, written);
        size -= written;
        rx->room -= b->size;
        rx->iov_first += b->iov_count;
        rx->iov_count -= b->iov_count;
        rx->buf_count--;
    }
    virtq_publish(q); /* a frame in pieces would be lost */
}

/* One frame; false: no more for now, *throttled: by the rate. */
static bool rx_one(struct virtio_net *n, bool *throttled)
{
    struct net_rx *rx = &n->rx;
    *throttled = !may_pass(n, &rx->bucket);
    if (*throttled)
        return false;
    rx->starved = !rx_gather(n);
    if (rx->starved)
        return false;
    bool merge = (n->vd.acked & VIRTIO_NET_F_MRG_RXBUF) != 0;
    uint64_t room = merge ? rx->room : rx->buf[rx->buf_first].size;
    ssize_t got = net_fd_read(n, rx->iov + rx->iov_first, rx->iov_count, room);
    if (got == -ENOLINK)
        link_down(n);
    if (got > 0 && (uint64_t)got <= room) {
        rx_give(n, (uint64_t)got);
        net_bucket_take(&rx->bucket, (uint64_t)got);
    }
    return got >= 0;
}

static void rx_run(struct virtio_net *n)
{
    int budget = NET_BUDGET;
    bool throttled = false;
    if (!n->vd.queue[RXQ].ready)
        return;
    while (budget > 0 && !n->gone && rx_one(n, &throttled))
        budget--;
    if (budget == 0)
        virtio_kick(&n->vd, RXQ); /* STREAM: the fd may be empty by now */
    virtio_signal(&n->vd, RXQ);
    want(n, throttled);
}

/* ---- from the guest ---- */

/* Take a chain into tx.chain; false when there is none. */
static bool tx_take(struct virtio_net *n)
{
    struct net_tx *tx = &n->tx;
    struct virtq *q = &n->vd.queue[TXQ];
    while (!tx->held) {
        int got = virtq_pop(q, &tx->chain);
        if (got < 0)
            virtio_fail(&n->vd, TXQ);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            return false;
        tx->held = got == 1;
        tx->done = 0;
    }
    return true;
}

/* One frame; false: no more for now. */
static bool tx_one(struct virtio_net *n)
{
    struct net_tx *tx = &n->tx;
    if (!tx_take(n))
        return false;
    if (!n->gone) {
        if (tx->done == 0 && !may_pass(n, &tx->bucket))
            return false;
        int code = net_fd_write(n);
        tx->blocked = code == -EAGAIN;
        if (tx->blocked)
            return false;
        if (code == -ENOLINK)
            link_down(n);
        net_bucket_take(&tx->bucket, tx->chain.out_size);
    }
    tx->held = false;
    virtq_push(&n->vd.queue[TXQ], &tx->chain, 0);
    return true;
}

static void tx_run(struct virtio_net *n)
{
    int budget = NET_BUDGET;
    while (budget > 0 && tx_one(n))
        budget--;
    if (budget == 0)
        virtio_kick(&n->vd, TXQ);
    virtio_signal(&n->vd, TXQ);
}

/* ---- events ---- */

static void fd_ready(struct loop_source *s, uint32_t events)
{
    struct virtio_net *n =
        (struct virtio_net *)(void *)((uint8_t *)s -
                                      offsetof(struct virtio_net, source));
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && n->tx.blocked) {
        tx_run(n);
        want(n, false);
    }
    if (n->gone)
        return;
    rx_run(n);
    /* Whatever could be read was read; an error that reading does not show
     * would be reported for ever. */
    uint32_t fatal = n->frames == VIRTIO_NET_PACKET ? EPOLLHUP | EPOLLRDHUP
                                                    : EPOLLHUP | EPOLLERR;
    if ((events & fatal) != 0 && !n->gone && n->source.events != 0)
        link_down(n);
}

static void timer_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct virtio_net *n =
        (struct virtio_net *)(void *)((uint8_t *)s -
                                      offsetof(struct virtio_net, timer));
    uint64_t count;
    ssize_t got = read(s->fd, &count, sizeof(count));
    (void)got;
    n->timer_ns = 0;
    tx_run(n);
    rx_run(n);
}

static void net_notify(struct virtio_dev *vd, uint16_t qi)
{
    struct virtio_net *n = net_of(vd);
    if (qi == RXQ) {
        rx_run(n);
        return;
    }
    if (n->tx.blocked)
        return; /* the fd wakes us */
    tx_run(n);
    if (n->tx.blocked)
        loop_want(n->loop, &n->source, n->source.events | EPOLLOUT);
}

static void net_start(struct virtio_dev *vd)
{
    struct virtio_net *n = net_of(vd);
    /* The tap has been told what the driver takes, and nothing can be told
     * any more: a driver that takes less cannot have this device. */
    if ((vd->features & GUEST_OFFLOADS & ~vd->acked) != 0) {
        virtio_fail(vd, RXQ);
        return;
    }
    (void)virtq_arm(&vd->queue[TXQ]);
    rx_run(n);
}

static void net_stop(struct virtio_dev *vd)
{
    struct virtio_net *n = net_of(vd);
    if (!n->gone)
        loop_want(n->loop, &n->source, 0);
    n->tx.held = n->tx.blocked = false;
    n->rx.buf_first = n->rx.buf_count = 0;
    n->rx.iov_first = n->rx.iov_count = 0;
    n->rx.room = 0;
    n->rx.starved = false;
}

/* ---- set-up ---- */

static int timer_init(struct virtio_net *n, const struct virtio_net_want *w,
                      struct err *e)
{
    uint64_t now = now_ns();
    net_bucket_init(&n->rx.bucket, w->rate, now);
    net_bucket_init(&n->tx.bucket, w->rate, now);
    if (w->rate == 0)
        return 0;
    n->timer.ready = timer_ready;
    n->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (n->timer.fd < 0)
        return err_set(e, -errno, "timerfd: %s", strerror(errno));
    return loop_add(n->loop, &n->timer, EPOLLIN, e);
}

static void describe(struct virtio_net *n, const struct virtio_net_want *w,
                     uint64_t offloads)
{
    struct virtio_net_config c = {.status = VIRTIO_NET_S_LINK_UP,
                                  .max_virtqueue_pairs = 1,
                                  .mtu = w->mtu};
    memcpy(c.mac, w->mac, sizeof(c.mac));
    n->vd.features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
                     VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU |
                     VIRTIO_NET_F_MRG_RXBUF | offloads;
    n->vd.config_size = sizeof(c);
    memcpy(n->vd.config, &c, sizeof(c));
    /* With offloads the host puts frames together. */
    bool big = (offloads & GUEST_OFFLOADS) != 0;
    n->frame_max =
        (uint32_t)HEADER + (big ? VIRTIO_NET_FRAME_MAX : w->mtu + 18U);
}

void virtio_net_init_spare(struct virtio_net *n)
{
    static const struct virtio_ops ops = {
        .name = "net",
        .type = VIRTIO_ID_NET,
        .queue_count = 2,
        .queue_size = NET_QUEUE_SIZE,
        .start = net_start,
        .notify = net_notify,
        .stop = net_stop,
    };
    memset(n, 0, sizeof(*n));
    n->vd.ops = &ops;
    n->source.fd = n->timer.fd = -1;
}

int virtio_net_init(struct virtio_net *n, struct loop *l,
                    const struct virtio_net_want *w, struct err *e)
{
    uint64_t offloads;
    virtio_net_init_spare(n);
    n->loop = l;
    n->frames = w->frames;
    n->source.fd = w->fd;
    n->source.ready = fd_ready;
    if (net_fd_setup(w, &offloads, e) < 0)
        return e->code;
    describe(n, w, offloads);
    if (w->frames == VIRTIO_NET_STREAM) {
        n->rx.stream = malloc(NET_STREAM_ROOM);
        if (n->rx.stream == NULL)
            return err_set(e, -ENOMEM, "network: out of memory");
    }
    if (timer_init(n, w, e) < 0 || loop_add(l, &n->source, EPOLLIN, e) < 0)
        return e->code;
    loop_want(l, &n->source, 0); /* until there is a driver */
    return 0;
}

void virtio_net_fini(struct virtio_net *n)
{
    if (n->loop == NULL)
        return;
    loop_remove(n->loop, &n->source);
    loop_remove(n->loop, &n->timer);
    if (n->timer.fd >= 0)
        (void)close(n->timer.fd);
    free(n->rx.stream);
    n->loop = NULL;
}
