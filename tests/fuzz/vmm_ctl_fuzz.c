// SPDX-License-Identifier: Apache-2.0
/* Any bytes from the guest's control port, in any pieces, and any messages
 * from a client, with an fd or without: places for network devices, too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/klog.h"
#include "vmm/ctl.h"
#include "vmm/gmem.h"
#include "vmm/plug.h"
#include "vmm/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct klog klog;

static void on_exit_frame(struct ctl *c, const struct report *r)
{
    char json[REPORT_JSON_MAX];
    uint8_t frame[CTL_FRAME_MAX];
    size_t n = report_json(r, json);
    if (n == 0 || n >= sizeof(json) || json[n - 1] != '\n')
        abort();
    ctl_broadcast(c, frame, report_frame(r, frame));
}

static void on_written(struct ctl *c)
{
    (void)c;
}

static void on_log(struct ctl *c, const char *text, size_t size)
{
    (void)c;
    klog_write(&klog, text, size);
}

/* ---- network devices ---- */

static struct plug plug;
static struct bus bus;
static struct irq_lines irqs;
static struct virtio_net nets[2];
static struct virtio_mmio devs[2];

static bool on_tell(struct plug *p, const void *frame, size_t size)
{
    struct ctl_header h;
    (void)p;
    memcpy(&h, frame, sizeof(h));
    if (size > CTL_FRAME_MAX || h.size != size - sizeof(h))
        abort();
    return size % 2 == 0;
}

static void on_answer(struct plug *p, const void *client, int error)
{
    (void)p;
    if (client == NULL || error > 0)
        abort();
}

static void on_net(struct ctl *c, const struct ctl_client *from,
                   const struct ctl_header *h, int fd)
{
    (void)c;
    plug_ask(&plug, from, h->type, h + 1, h->size, fd);
}

static void on_done(struct ctl *c, const void *payload, size_t size)
{
    (void)c;
    plug_done(&plug, payload, size);
}

static void on_gone(struct ctl *c, const struct ctl_client *client)
{
    (void)c;
    plug_forget(&plug, client);
}

static void places_start(struct loop *l)
{
    static const struct plug_ops ops = {.tell = on_tell, .answer = on_answer};
    static const struct gmem mem; /* no queue is ever started */
    struct err e;
    memset(&plug, 0, sizeof(plug));
    memset(&bus, 0, sizeof(bus));
    plug.ops = &ops;
    plug.bus = &bus;
    plug.loop = l;
    for (unsigned i = 0; i < 2; i++) {
        virtio_net_init_spare(&nets[i]);
        if (virtio_mmio_init(&devs[i], &nets[i].vd, &mem, l, &irqs, &e) < 0 ||
            bus_attach(&bus, i + 1, &devs[i].window) < 0)
            abort();
        plug_place(&plug, &nets[i], &devs[i], -1);
    }
}

static void places_end(void)
{
    for (unsigned i = 0; i < 2; i++) {
        virtio_mmio_fini(&devs[i]);
        virtio_net_fini(&nets[i]);
        if (plug.slot[i].fd >= 0)
            (void)close(plug.slot[i].fd);
    }
    irq_fini(&irqs);
}

/* A message, with an fd that is no tap if its last byte says so. */
static void client_says(int to, const uint8_t *data, size_t size)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    uint8_t copy[2 * CTL_FRAME_MAX];
    size = size < sizeof(copy) ? size : sizeof(copy);
    memcpy(copy, data, size);
    struct iovec v = {copy, size};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (size > 0 && (data[size - 1] & 1) != 0) {
        m.msg_control = control.space;
        m.msg_controllen = sizeof(control.space);
        struct cmsghdr *x = CMSG_FIRSTHDR(&m);
        x->cmsg_level = SOL_SOCKET;
        x->cmsg_type = SCM_RIGHTS;
        x->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(x), &to, sizeof(to));
    }
    (void)sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ctl_ops ops = {.exited = on_exit_frame,
                                       .logged = on_log,
                                       .written = on_written,
                                       .net_asked = on_net,
                                       .net_done = on_done,
                                       .gone = on_gone};
    static struct virtio_console console;
    static struct ctl c;
    struct loop l;
    struct err e;
    int pair[2];
    memset(&console, 0, sizeof(console));
    klog_init(&klog, -1, -1);
    if (loop_init(&l, &e) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        abort();
    ctl_init(&c, &l, &ops, &console);
    if (ctl_attach(&c, pair[1], -1, &e) < 0)
        abort();
    places_start(&l);
    size_t half = size / 2;
    client_says(pair[0], data + half, size - half);
    if (c.client[0].used)
        c.client[0].source.ready(&c.client[0].source, 1);
    for (size_t at = 0; at < half;) {
        size_t n = 1 + data[at] % 64;
        if (n > half - at)
            n = half - at;
        c.peer.ops->bytes(&c.peer, data + at, n);
        at += n;
    }
    client_says(pair[0], data + half, size - half); /* and again */
    if (c.client[0].used)
        c.client[0].source.ready(&c.client[0].source, 1);
    klog_flush(&klog);
    if (c.client[0].used)
        (void)close(pair[1]);
    (void)close(pair[0]);
    places_end();
    loop_fini(&l);
    return 0;
}
