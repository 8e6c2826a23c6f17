// SPDX-License-Identifier: Apache-2.0
/* A guest that writes anything into memory, registers and rings of network
 * devices, and a peer that sends anything. ASan is the oracle. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "vmm/gmem.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RAM that starts on its own, so that ASan guards its end. */
enum { RAM_SIZE = 32768, DEVICES = 2 };

struct machine {
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_net net[DEVICES];
    struct virtio_mmio t[DEVICES];
    int ours[DEVICES], peer[DEVICES];
};

static void machine_init(struct machine *m, bool offloads)
{
    struct err e;
    if (loop_init(&m->loop, &e) < 0)
        abort();
    m->mem.range[0] = (struct gmem_range){0, RAM_SIZE, malloc(RAM_SIZE)};
    memset(m->mem.range[0].host, 0, RAM_SIZE);
    for (unsigned i = 0; i < DEVICES; i++) {
        int pair[2];
        struct virtio_net_want want = {.frames = i == 0 ? VIRTIO_NET_STREAM
                                                        : VIRTIO_NET_PACKET,
                                       .mac = {2},
                                       .mtu = 1500};
        if (socketpair(AF_UNIX, i == 0 ? SOCK_STREAM : SOCK_SEQPACKET, 0,
                       pair) < 0)
            abort();
        m->ours[i] = want.fd = pair[0];
        m->peer[i] = pair[1];
        if (virtio_net_init(&m->net[i], &m->loop, &want, &e) < 0 ||
            virtio_mmio_init(&m->t[i], &m->net[i].vd, &m->mem, &m->loop,
                             &m->irqs, &e) < 0)
            abort();
        if (offloads) /* as a tap has, for the header's checks */
            m->net[i].vd.features |= VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4;
    }
}

static void machine_fini(struct machine *m)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        virtio_mmio_fini(&m->t[i]);
        virtio_net_fini(&m->net[i]);
        (void)close(m->ours[i]);
        if (m->peer[i] >= 0)
            (void)close(m->peer[i]);
    }
    irq_fini(&m->irqs);
    loop_fini(&m->loop);
    free(m->mem.range[0].host);
}

/* Queues of 8 in the pages after the first, and buffers in both. */
static void preset(struct machine *m, struct virtio_mmio *t, unsigned page)
{
    struct virtq_place place[VIRTIO_QUEUES_MAX] = {0};
    struct err e;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = 4096 * (uint64_t)page + 1024 * (uint64_t)i;
        struct virtq_desc *d = (void *)(m->mem.range[0].host + at);
        place[i] = (struct virtq_place){at, at + 256, at + 512, 8};
        for (unsigned k = 0; k < 8; k++)
            d[k] = (struct virtq_desc){12288 + 2048 * (uint64_t)k, 2048,
                                       i == 0 ? VIRTQ_DESC_F_WRITE : 0, 0};
    }
    (void)virtio_mmio_preset(t, place, &e);
}

static void pump(struct machine *m)
{
    struct epoll_event ev[8];
    int n = epoll_wait(m->loop.epoll_fd, ev, 8, 0);
    for (int i = 0; i < n; i++) {
        struct loop_source *s = ev[i].data.ptr;
        if (s->events != 0)
            s->ready(s, ev[i].events);
    }
}

static void peer(struct machine *m, unsigned i, uint16_t n, uint32_t value)
{
    uint8_t bytes[4096];
    if (m->peer[i] < 0)
        return;
    memset(bytes, (int)(value >> 24), sizeof(bytes));
    bytes[0] = bytes[1] = 0;
    bytes[2] = (uint8_t)(n >> 8 & 7);
    bytes[3] = (uint8_t)n;
    (void)send(m->peer[i], bytes, value % sizeof(bytes), MSG_DONTWAIT);
    (void)recv(m->peer[i], bytes, sizeof(bytes), MSG_DONTWAIT);
    if (value == 0) {
        (void)close(m->peer[i]);
        m->peer[i] = -1;
    }
}

/* Script of 8-byte steps: what, device, 16-bit offset, 32-bit value. */
static void step(struct machine *m, const uint8_t *s)
{
    unsigned i = s[1] % DEVICES;
    struct virtio_mmio *t = &m->t[i];
    uint16_t at;
    uint32_t value;
    memcpy(&at, s + 2, sizeof(at));
    memcpy(&value, s + 4, sizeof(value));
    uint8_t *ram = m->mem.range[0].host;
    switch (s[0] % 6) {
    case 0:
        t->window.ops->write(&t->window, at % 4093, (uint8_t *)&value, 4);
        break;
    case 1:
        t->window.ops->read(&t->window, at % 4093, (uint8_t *)&value, 4);
        break;
    case 2: memcpy(ram + at % (RAM_SIZE - 3), &value, sizeof(value)); break;
    case 3: peer(m, i, at, value); break;
    case 4: pump(m); break;
    default:
        if ((t->status & 4) != 0)
            t->dev->ops->notify(t->dev, at % 2);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine m;
    memset(&m, 0, sizeof(m));
    machine_init(&m, size > 0 && data[0] % 4 > 1);
    if (size > 0 && data[0] % 2 == 0)
        for (unsigned i = 0; i < DEVICES; i++)
            preset(&m, &m.t[i], 1 + i);
    for (size_t at = 1; size >= 9 && at <= size - 8; at += 8)
        step(&m, data + at);
    for (int i = 0; i < 4; i++)
        pump(&m);
    machine_fini(&m);
    return 0;
}
