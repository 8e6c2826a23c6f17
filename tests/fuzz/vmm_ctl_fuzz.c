// SPDX-License-Identifier: Apache-2.0
/* Any bytes from the guest's control port, in any pieces, and any messages
 * from a client. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/klog.h"
#include "vmm/ctl.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ctl_ops ops = {
        .exited = on_exit_frame, .logged = on_log, .written = on_written};
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
    size_t half = size / 2;
    for (size_t at = 0; at < half;) {
        size_t n = 1 + data[at] % 64;
        if (n > half - at)
            n = half - at;
        c.peer.ops->bytes(&c.peer, data + at, n);
        at += n;
    }
    (void)send(pair[0], data + half, size - half, MSG_DONTWAIT);
    if (c.client[0].used)
        c.client[0].source.ready(&c.client[0].source, 1);
    klog_flush(&klog);
    if (c.client[0].used)
        (void)close(pair[1]);
    (void)close(pair[0]);
    loop_fini(&l);
    return 0;
}
