// SPDX-License-Identifier: Apache-2.0
/* The network device between a driver and sockets, and a tap of a network
 * namespace of its own:
 *
 *   driver (rings) <-> virtio_net <-> socketpair <-> peer
 *   driver (rings) <-> virtio_net <-> tap t0 <-> packet socket
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "abi/virtio_mmio.h"

#include "tests/unit/vmm_driver.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/net.h"

enum { RXQ = 0, TXQ = 1, HEADER = 12, NONE = 99 };

struct fixture {
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_net net;
    struct virtio_mmio t;
    struct driver d[2];
    uint16_t seen[2]; /* used->idx so far */
    int ours;
    int peer;
    enum virtio_net_offload offload;
};

static int read_errors; /* readv() takes a frame and says EINVAL */

ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    ssize_t n = __real_readv(fd, iov, count);
    if (n < 0 || read_errors == 0)
        return n;
    read_errors--;
    errno = EINVAL;
    return -1;
}

static int setup(void **state)
{
    static struct fixture f;
    struct err e;
    memset(&f, 0, sizeof(f));
    f.ours = f.peer = -1;
    if (gmem_init(&f.mem, UINT64_C(16) << 20, &e) < 0 ||
        loop_init(&f.loop, &e) < 0)
        return -1;
    driver_init(&f.d[0], &f.mem, 0);
    driver_init(&f.d[1], &f.mem, 1);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    virtio_mmio_fini(&f->t);
    virtio_net_fini(&f->net);
    irq_fini(&f->irqs);
    loop_fini(&f->loop);
    gmem_fini(&f->mem);
    if (f->ours >= 0)
        (void)close(f->ours);
    if (f->peer >= 0)
        (void)close(f->peer);
    return 0;
}

static void start(struct fixture *f, enum virtio_net_frames frames,
                  uint16_t mtu, uint64_t rate)
{
    const struct virtio_net_want want = {.fd = f->ours,
                                         .frames = frames,
                                         .mac = {2, 0, 0, 0, 0, 1},
                                         .mtu = mtu,
                                         .rate = rate,
                                         .uso = true,
                                         .offload = f->offload};
    struct virtq_place place[VIRTIO_QUEUES_MAX] = {0};
    struct err e;
    place[RXQ] = f->d[RXQ].place;
    place[TXQ] = f->d[TXQ].place;
    assert_int_equal(virtio_net_init(&f->net, &f->loop, &want, &e), 0);
    assert_int_equal(
        virtio_mmio_init(&f->t, &f->net.vd, &f->mem, &f->loop, &f->irqs, &e),
        0);
    assert_int_equal(virtio_mmio_preset(&f->t, place, &e), 0);
}

static void start_sockets(struct fixture *f, enum virtio_net_frames frames,
                          uint16_t mtu, uint64_t rate)
{
    int pair[2];
    int type = frames == VIRTIO_NET_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
    f->ours = pair[0];
    f->peer = pair[1];
    start(f, frames, mtu, rate);
}

/* What is ready now, or becomes ready within `ms`. Returns how many. */
static int pump(struct fixture *f, int ms)
{
    struct epoll_event ev[8];
    int n = epoll_wait(f->loop.epoll_fd, ev, 8, ms);
    for (int i = 0; i < n; i++) {
        struct loop_source *s = ev[i].data.ptr;
        if (s->events != 0)
            s->ready(s, ev[i].events);
    }
    return n;
}

static void notify(struct fixture *f, uint16_t qi)
{
    f->net.vd.ops->notify(&f->net.vd, qi);
}

/* The next used element; `id` is NONE if there is none. */
static struct virtq_used_elem used(struct fixture *f, int qi)
{
    const struct virtq_used *u = driver_used(&f->d[qi]);
    if (u->idx == f->seen[qi])
        return (struct virtq_used_elem){NONE, 0};
    return u->ring[f->seen[qi]++ % DRIVER_QUEUE_SIZE];
}

static uint8_t *data_at(const struct fixture *f, unsigned i)
{
    return gmem_at(&f->mem, gpa(DRIVER_DATA + UINT64_C(0x20000) * i), 0x20000);
}

/* Header and frame of `size` bytes in one descriptor, or in two. */
static void send_frame(struct fixture *f, uint16_t head, uint32_t size,
                       const struct virtio_net_hdr *h)
{
    uint64_t at = DRIVER_DATA + UINT64_C(0x20000) * head;
    uint8_t *data = data_at(f, head);
    memcpy(data, h, sizeof(*h));
    for (uint32_t i = 0; i < size; i++)
        data[sizeof(*h) + i] = (uint8_t)(i * 7 + head);
    driver_put(&f->d[TXQ], head, at, (uint32_t)sizeof(*h) + size, false);
}

static const struct virtio_net_hdr plain;

static void frames_leave(void **state)
{
    struct fixture *f = *state;
    uint8_t got[2048];
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    send_frame(f, 0, 60, &plain);
    send_frame(f, 1, 1514, &plain);
    notify(f, TXQ);
    assert_int_equal(recv(f->peer, got, sizeof(got), MSG_DONTWAIT), 60);
    assert_int_equal(got[59], (uint8_t)(59 * 7));
    assert_int_equal(recv(f->peer, got, sizeof(got), MSG_DONTWAIT), 1514);
    assert_int_not_equal(used(f, TXQ).id, NONE);
    assert_int_not_equal(used(f, TXQ).id, NONE);
    assert_int_equal(used(f, TXQ).id, NONE);
}

static void offloads_that_were_not_offered_are_dropped(void **state)
{
    struct fixture *f = *state;
    uint8_t got[2048];
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    const struct virtio_net_hdr gso = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                       .gso_size = 1000};
    const struct virtio_net_hdr sum = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
    const struct virtio_net_hdr odd = {.gso_type = 77};
    send_frame(f, 0, 60, &gso);
    send_frame(f, 1, 60, &sum);
    send_frame(f, 2, 60, &odd);
    driver_put(&f->d[TXQ], 3, DRIVER_DATA, 5, false); /* half a header */
    driver_put(&f->d[TXQ], 4, DRIVER_DATA, 60, true); /* nothing to read */
    notify(f, TXQ);
    for (int i = 0; i < 5; i++)
        assert_int_not_equal(used(f, TXQ).id, NONE);
    assert_int_equal(recv(f->peer, got, sizeof(got), MSG_DONTWAIT), -1);
}

static void put_buffers(struct fixture *f, uint16_t first, uint16_t count,
                        uint32_t size)
{
    for (uint16_t i = first; i < first + count; i++)
        driver_put(&f->d[RXQ], i, DRIVER_DATA + UINT64_C(0x20000) * i, size,
                   true);
}

static void frames_arrive_in_merged_buffers(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[3000];
    struct virtio_net_hdr h;
    memset(frame, 0x5a, sizeof(frame));
    start_sockets(f, VIRTIO_NET_PACKET, 4000, 0);
    put_buffers(f, 0, 6, 1024);
    notify(f, RXQ);
    assert_int_equal(send(f->peer, frame, sizeof(frame), 0), sizeof(frame));
    while (pump(f, 0) > 0 && driver_used(&f->d[RXQ])->idx == 0)
        ;
    struct virtq_used_elem el = used(f, RXQ);
    assert_int_equal(el.len, 1024);
    memcpy(&h, data_at(f, el.id), sizeof(h));
    assert_int_equal(h.num_buffers, 3);
    assert_int_equal(h.gso_type, 0);
    assert_int_equal(used(f, RXQ).len, 1024);
    el = used(f, RXQ);
    assert_int_equal(el.len, sizeof(frame) + HEADER - 2048);
    assert_int_equal(data_at(f, el.id)[el.len - 1], 0x5a);
    assert_int_equal(used(f, RXQ).id, NONE);
}

static void a_guest_without_buffers_loses_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[100] = {1, 2, 3};
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    assert_int_equal(send(f->peer, frame, sizeof(frame), 0), sizeof(frame));
    while (pump(f, 0) > 0) /* ends: nobody asks for what cannot be taken */
        ;
    assert_true(f->net.rx.starved);
    put_buffers(f, 0, 1, 2048);
    notify(f, RXQ);
    struct virtq_used_elem el = used(f, RXQ);
    assert_int_equal(el.len, sizeof(frame) + HEADER);
    assert_memory_equal(data_at(f, 0) + HEADER, frame, sizeof(frame));
}

/* Another CPU of the guest, which gives again what was of no use: virtq_push()
 * is wrapped by the linker. */
static struct {
    struct fixture *f; /* NULL: it does nothing */
    unsigned count;
} refill;

void __real_virtq_push(struct virtq *q, const struct virtq_chain *c,
                       uint32_t written);
void __wrap_virtq_push(struct virtq *q, const struct virtq_chain *c,
                       uint32_t written);

void __wrap_virtq_push(struct virtq *q, const struct virtq_chain *c,
                       uint32_t written)
{
    __real_virtq_push(q, c, written);
    if (refill.f != NULL && refill.count++ < 10000)
        driver_put(&refill.f->d[RXQ], c->head, DRIVER_DATA, 4, true);
}

static void useless_buffers_without_end_take_turns(void **state)
{
    struct fixture *f = *state;
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    driver_put(&f->d[RXQ], 0, DRIVER_DATA, 4, true);
    refill.f = f;
    notify(f, RXQ);
    assert_in_range(refill.count, 1, 1000);
    unsigned before = refill.count;
    assert_int_equal(pump(f, 100), 1);
    assert_true(refill.count > before); /* it goes on by itself */
    refill.f = NULL;
}

static void frames_that_are_too_long_are_dropped(void **state)
{
    struct fixture *f = *state;
    static uint8_t frame[9000];
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    put_buffers(f, 0, 2, 2048);
    notify(f, RXQ);
    assert_int_equal(send(f->peer, frame, sizeof(frame), 0), sizeof(frame));
    assert_int_equal(send(f->peer, frame, 64, 0), 64);
    while (pump(f, 0) > 0)
        ;
    assert_int_equal(used(f, RXQ).len, 64 + HEADER);
    assert_int_equal(used(f, RXQ).id, NONE);
}

static void streams_are_framed(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[4 + 100 + 4 + 50] = {0, 0, 0, 100};
    uint8_t got[256];
    bytes[4 + 100 + 3] = 50;
    bytes[4] = 0xaa;
    bytes[108] = 0xbb;
    start_sockets(f, VIRTIO_NET_STREAM, 1500, 0);
    put_buffers(f, 0, 2, 2048);
    notify(f, RXQ);
    for (size_t i = 0; i < sizeof(bytes); i++) { /* byte by byte */
        assert_int_equal(send(f->peer, bytes + i, 1, 0), 1);
        (void)pump(f, 0);
    }
    assert_int_equal(used(f, RXQ).len, 112);
    assert_int_equal(data_at(f, 0)[HEADER], 0xaa);
    assert_int_equal(used(f, RXQ).len, 62);
    assert_int_equal(data_at(f, 1)[HEADER], 0xbb);
    send_frame(f, 3, 70, &plain);
    notify(f, TXQ);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), 74);
    assert_memory_equal(got, "\0\0\0F", 4);
    assert_int_equal(got[73], (uint8_t)(69 * 7 + 3));
}

static void a_slow_stream_gets_everything(void **state)
{
    struct fixture *f = *state;
    static uint8_t got[70000];
    int small = 4096;
    size_t total = 0;
    const size_t want = 6 * (65000 + 4);
    start_sockets(f, VIRTIO_NET_STREAM, 65535, 0);
    (void)setsockopt(f->ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    for (uint16_t i = 0; i < 6; i++)
        send_frame(f, i, 65000, &plain);
    notify(f, TXQ);
    assert_true(f->net.tx.blocked);
    for (int i = 0; i < 10000 && total < want; i++) {
        ssize_t n = recv(f->peer, got, sizeof(got), MSG_DONTWAIT);
        if (n > 0)
            total += (size_t)n;
        (void)pump(f, n > 0 ? 0 : 10);
    }
    assert_int_equal(total, want);
    for (int i = 0; i < 6; i++)
        assert_int_not_equal(used(f, TXQ).id, NONE);
    assert_false(f->net.tx.blocked);
}

static uint16_t link_status(const struct fixture *f)
{
    struct virtio_net_config c;
    memcpy(&c, f->net.vd.config, sizeof(c));
    return c.status;
}

static void a_peer_that_goes_takes_the_link_down(void **state)
{
    static const enum virtio_net_frames kinds[] = {VIRTIO_NET_STREAM,
                                                   VIRTIO_NET_PACKET};
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        uint64_t count;
        start_sockets(f, kinds[i], 1500, 0);
        put_buffers(f, 0, 2, 2048);
        notify(f, RXQ);
        assert_int_equal(link_status(f), 1);
        (void)close(f->peer);
        f->peer = -1;
        while (pump(f, 0) > 0)
            ;
        assert_int_equal(link_status(f), 0);
        assert_int_equal(read(f->irqs.fd[f->t.line], &count, 8), 8);
        send_frame(f, 3, 70, &plain);
        notify(f, TXQ); /* goes nowhere, comes back */
        assert_int_not_equal(used(f, TXQ).id, NONE);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void a_peer_that_sends_no_more_takes_the_link_down(void **state)
{
    struct fixture *f = *state;
    int turns = 0;
    for (int late = 0; late < 2; late++) {
        start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
        if (late != 0)
            assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
        assert_int_equal(pump(f, 0), 0); /* no buffers: nobody asks */
        put_buffers(f, 0, 2, 2048);
        notify(f, RXQ);
        assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
        while (pump(f, 0) > 0 && turns < 1000)
            turns++;
        assert_in_range(turns, 1, 10);
        assert_int_equal(link_status(f), 0);
        (void)teardown(state);
        (void)setup(state);
    }
}

/* Nothing but a frame for it tells that a datagram socket has gone. */
static void a_datagram_peer_that_goes_takes_the_link_down(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    f->ours = pair[0];
    f->peer = pair[1];
    start(f, VIRTIO_NET_PACKET, 1500, 0);
    put_buffers(f, 0, 2, 2048);
    notify(f, RXQ);
    (void)close(f->peer);
    f->peer = -1;
    for (uint16_t i = 0; i < 2; i++) {
        send_frame(f, i, 70, &plain);
        notify(f, TXQ);
        assert_int_not_equal(used(f, TXQ).id, NONE);
    }
    assert_int_equal(link_status(f), 0);
}

static void a_packet_the_tap_refuses_costs_only_itself(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[100] = {0};
    int pair[2];
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    f->ours = pair[0]; /* behaves as a tap once it is set up */
    f->peer = pair[1];
    f->offload = VIRTIO_NET_OFFLOAD_NONE;
    start(f, VIRTIO_NET_TAP, 1500, 0);
    put_buffers(f, 0, 2, 2048);
    notify(f, RXQ);
    read_errors = 1;
    for (uint8_t i = 1; i <= 2; i++) {
        frame[HEADER] = i;
        assert_int_equal(send(f->peer, frame, sizeof(frame), 0), sizeof(frame));
    }
    while (pump(f, 0) > 0)
        ;
    assert_int_equal(read_errors, 0);
    assert_int_equal(link_status(f), 1);
    struct virtq_used_elem el = used(f, RXQ);
    assert_int_equal(el.len, sizeof(frame));
    assert_int_equal(data_at(f, el.id)[HEADER], 2);
    assert_int_equal(used(f, RXQ).id, NONE);
}

static void a_stream_out_of_step_is_the_end_of_it(void **state)
{
    struct fixture *f = *state;
    start_sockets(f, VIRTIO_NET_STREAM, 1500, 0);
    put_buffers(f, 0, 2, 2048);
    notify(f, RXQ);
    assert_int_equal(send(f->peer, "\xff\xff\xff\xff", 4, 0), 4);
    while (pump(f, 0) > 0)
        ;
    assert_int_equal(link_status(f), 0);
}

static void a_rate_holds_frames_back_and_lets_them_go(void **state)
{
    struct fixture *f = *state;
    static uint8_t got[70000];
    unsigned count = 6;
    /* All of them pass where this took a second: then once more. */
    for (int tries = 0; tries < 20 && count == 6; tries++) {
        if (tries > 0) {
            (void)teardown(state);
            (void)setup(state);
        }
        count = 0;
        start_sockets(f, VIRTIO_NET_PACKET, 65535, 1600000); /* 200 kB/s */
        for (uint16_t i = 0; i < 6; i++)
            send_frame(f, i, 65000, &plain);
        notify(f, TXQ);
        while (recv(f->peer, got, sizeof(got), MSG_DONTWAIT) > 0)
            count++;
    }
    assert_in_range(count, 1, 5);
    for (int i = 0; i < 1000 && count < 6; i++) {
        (void)pump(f, 100);
        while (recv(f->peer, got, sizeof(got), MSG_DONTWAIT) > 0)
            count++;
    }
    assert_int_equal(count, 6);
}

/* Time is an argument: 8 Mbit/s are a byte a microsecond. */
static void buckets_fill_with_time(void **state)
{
    (void)state;
    struct net_bucket b;
    net_bucket_init(&b, 8000000, 1000);
    assert_int_equal(b.burst, 131072);
    assert_true(net_bucket_open(&b, 1000));
    net_bucket_take(&b, 131072 + 500); /* one may overdraw it */
    assert_false(net_bucket_open(&b, 1000));
    uint64_t wait = net_bucket_wait(&b);
    assert_in_range(wait, 501000, 501001);
    assert_false(net_bucket_open(&b, 1000 + wait - 2000));
    assert_true(net_bucket_open(&b, 1000 + wait));
    /* A long rest fills it and no more. */
    assert_true(net_bucket_open(&b, UINT64_C(1) << 60));
    assert_int_equal(b.tokens, b.burst);
    net_bucket_init(&b, 0, 0);
    net_bucket_take(&b, UINT64_MAX);
    assert_true(net_bucket_open(&b, 0));
    net_bucket_init(&b, UINT64_C(1000000000000), 0);
    assert_int_equal(b.burst, INT64_C(2500000000)); /* 20 ms of it */
}

/* A long wait counts in full: 64 kbit/s with the longest frames. */
static void slow_rates_are_what_was_asked_for(void **state)
{
    (void)state;
    enum { FRAME = 65554, FRAMES = 200 };
    struct net_bucket b;
    uint64_t now = 5;
    net_bucket_init(&b, 64000, now);
    net_bucket_take(&b, (uint64_t)b.burst); /* what passes at once */
    for (int i = 0; i < FRAMES; i++) {
        now += net_bucket_wait(&b);
        assert_true(net_bucket_open(&b, now));
        net_bucket_take(&b, FRAME);
    }
    /* The last frame is still to be paid for. */
    uint64_t rate = UINT64_C(8000000000) * FRAME * (FRAMES - 1) / now;
    assert_in_range(rate, 64000 * 95 / 100, 64000 * 105 / 100);
    /* A rest of a day fills it, once. */
    now += UINT64_C(86400000000000);
    assert_true(net_bucket_open(&b, now));
    assert_int_equal(b.tokens, b.burst);
    net_bucket_take(&b, (uint64_t)b.burst);
    assert_false(net_bucket_open(&b, now));
}

static void the_earlier_direction_sets_the_timer(void **state)
{
    struct fixture *f = *state;
    struct itimerspec left;
    for (int i = 0; i < 2; i++) {
        start_sockets(f, VIRTIO_NET_PACKET, 1500, 80000); /* 10 kB/s */
        f->net.tx.bucket.tokens = i == 0 ? -5000000 : -100000000;
        f->net.rx.bucket.tokens = i == 0 ? -100000000 : -5000000;
        send_frame(f, 3, 70, &plain);
        put_buffers(f, 0, 2, 2048);
        notify(f, TXQ);
        notify(f, RXQ);
        assert_int_equal(timerfd_gettime(f->net.timer.fd, &left), 0);
        assert_in_range(left.it_value.tv_sec, 1, 600);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void rings_with_loops_need_reset(void **state)
{
    struct fixture *f = *state;
    uint32_t status;
    start_sockets(f, VIRTIO_NET_PACKET, 1500, 0);
    *driver_desc(&f->d[TXQ], 0) = (struct virtq_desc){DRIVER_DATA, 64, 1, 0};
    driver_offer(&f->d[TXQ], 0);
    notify(f, TXQ);
    f->t.window.ops->read(&f->t.window, VIRTIO_MMIO_REG_STATUS,
                          (uint8_t *)&status, 4);
    assert_true(status & VIRTIO_STATUS_NEEDS_RESET);
    put_buffers(f, 0, 1, 0xffffffff);
    notify(f, RXQ);
    assert_int_equal(send(f->peer, "x", 1, 0), 1);
    while (pump(f, 0) > 0)
        ;
    assert_int_equal(used(f, RXQ).id, NONE);
}

/* A tap "t0" that is up, and a packet socket on it. False: not allowed. */
static bool open_tap(struct fixture *f)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
                      .ifr_name = "t0"};
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL)};
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    f->ours = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    f->peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (f->ours < 0 || f->peer < 0 || ioctl(f->ours, TUNSETIFF, &r) < 0)
        return false;
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    at.sll_ifindex = (int)if_nametoindex("t0");
    return ioctl(f->peer, SIOCSIFFLAGS, &r) == 0 &&
           bind(f->peer, (struct sockaddr *)&at, sizeof(at)) == 0;
}

/* The next frame of our own type at the packet socket, or 0. */
static ssize_t receive(const struct fixture *f, uint8_t *to, size_t room)
{
    for (int i = 0; i < 600; i++) {
        struct pollfd p = {.fd = f->peer, .events = POLLIN};
        (void)poll(&p, 1, 100);
        ssize_t n = recv(f->peer, to, room, MSG_DONTWAIT);
        if (n > 14 && to[12] == 0x88 && to[13] == 0xb5)
            return n;
    }
    return 0;
}

static void taps_take_and_give_frames(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[2048] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                           0,    0,    0,    0,    1,    0x88, 0xb5};
    if (!open_tap(f))
        skip();
    start(f, VIRTIO_NET_TAP, 1500, 0);
    assert_true(f->net.vd.features & VIRTIO_NET_F_HOST_TSO4);
    assert_true(f->net.vd.features & VIRTIO_NET_F_GUEST_TSO6);
    memcpy(data_at(f, 0) + HEADER, frame, 64);
    memset(data_at(f, 0), 0, HEADER);
    driver_put(&f->d[TXQ], 0, DRIVER_DATA, 64 + HEADER, false);
    notify(f, TXQ);
    assert_int_equal(receive(f, frame, sizeof(frame)), 64);

    frame[50] = 0x77;
    assert_int_equal(send(f->peer, frame, 80, 0), 80);
    put_buffers(f, 0, 6, 0x4000);
    notify(f, RXQ);
    for (int i = 0; i < 6000; i++) {
        (void)pump(f, 10);
        struct virtq_used_elem el = used(f, RXQ);
        if (el.id == NONE)
            continue;
        if (data_at(f, el.id)[HEADER + 12] != 0x88) { /* IPv6 says hello */
            put_buffers(f, (uint16_t)el.id, 1, 0x4000);
            notify(f, RXQ);
            continue;
        }
        assert_int_equal(el.len, 80 + HEADER);
        assert_int_equal(data_at(f, el.id)[HEADER + 50], 0x77);
        return;
    }
    fail();
}

static void a_tap_that_goes_takes_the_link_down(void **state)
{
    struct fixture *f = *state;
    if (!open_tap(f))
        skip();
    start(f, VIRTIO_NET_TAP, 1500, 0);
    put_buffers(f, 0, 6, 0x4000);
    notify(f, RXQ);
    assert_int_equal(ioctl(f->ours, TUNSETPERSIST, 1), 0);
    if (system("ip link del t0") != 0) /* not as root */
        skip();
    for (int i = 0; i < 600 && link_status(f) != 0; i++)
        (void)pump(f, 10);
    assert_int_equal(link_status(f), 0);
    send_frame(f, 3, 70, &plain);
    notify(f, TXQ);
    assert_int_not_equal(used(f, TXQ).id, NONE);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(frames_leave),
        CASE(offloads_that_were_not_offered_are_dropped),
        CASE(frames_arrive_in_merged_buffers),
        CASE(a_guest_without_buffers_loses_nothing),
        CASE(useless_buffers_without_end_take_turns),
        CASE(frames_that_are_too_long_are_dropped),
        CASE(streams_are_framed),
        CASE(a_slow_stream_gets_everything),
        CASE(a_peer_that_goes_takes_the_link_down),
        CASE(a_peer_that_sends_no_more_takes_the_link_down),
        CASE(a_datagram_peer_that_goes_takes_the_link_down),
        CASE(a_packet_the_tap_refuses_costs_only_itself),
        CASE(a_stream_out_of_step_is_the_end_of_it),
        CASE(a_rate_holds_frames_back_and_lets_them_go),
        CASE(buckets_fill_with_time),
        CASE(slow_rates_are_what_was_asked_for),
        CASE(the_earlier_direction_sets_the_timer),
        CASE(rings_with_loops_need_reset),
        CASE(taps_take_and_give_frames),
        CASE(a_tap_that_goes_takes_the_link_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
