// SPDX-License-Identifier: Apache-2.0
/* A guest that writes anything into memory, registers and rings of a console,
 * a disk and the entropy device. ASan is the oracle. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "vmm/ctl.h"
#include "vmm/gmem.h"
#include "vmm/report.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A page of guest RAM that starts on its own, so that ASan guards its end. */
enum { RAM_SIZE = 16384 };

struct machine {
    struct ctl ctl; /* first member */
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_console console;
    struct virtio_blk blk;
    struct virtio_rng rng;
    struct virtio_mmio t[3];
    int disk;
};

static void on_exit_frame(struct ctl *c, const struct report *r)
{
    char json[REPORT_JSON_MAX];
    (void)c;
    (void)report_json(r, json);
}

static void on_written(struct ctl *c)
{
    (void)c;
}

static void on_log(struct ctl *c, const char *text, size_t size)
{
    (void)c;
    (void)text;
    (void)size;
}

static void machine_init(struct machine *m)
{
    static const struct ctl_ops ops = {
        .exited = on_exit_frame, .logged = on_log, .written = on_written};
    const struct console_streams streams = {.log_fd = -1};
    struct err e;
    m->disk = memfd_create("disk", MFD_CLOEXEC);
    if (m->disk < 0 || ftruncate(m->disk, 4096) < 0 ||
        loop_init(&m->loop, &e) < 0)
        abort();
    m->mem.range[0] = (struct gmem_range){0, RAM_SIZE, malloc(RAM_SIZE)};
    memset(m->mem.range[0].host, 0, RAM_SIZE);
    ctl_init(&m->ctl, &m->loop, &ops, &m->console);
    if (virtio_console_init(&m->console, &m->loop, &streams, &m->ctl.peer, &e) <
            0 ||
        virtio_blk_init(&m->blk, m->disk, false, 0, &e) < 0)
        abort();
    virtio_rng_init(&m->rng);
    struct virtio_dev *const devs[] = {&m->console.vd, &m->blk.vd, &m->rng.vd};
    for (unsigned i = 0; i < ARRAY_COUNT(devs); i++)
        if (virtio_mmio_init(&m->t[i], devs[i], &m->mem, &m->loop, &m->irqs,
                             &e) < 0)
            abort();
}

static void machine_fini(struct machine *m)
{
    for (unsigned i = 0; i < ARRAY_COUNT(m->t); i++)
        virtio_mmio_fini(&m->t[i]);
    irq_fini(&m->irqs);
    loop_fini(&m->loop);
    free(m->mem.range[0].host);
    (void)close(m->disk);
}

/* Queues 0 to 3 of a device ready in the pages after the first. */
static void preset(struct machine *m, struct virtio_mmio *t)
{
    struct virtq_place place[VIRTIO_QUEUES_MAX];
    struct err e;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        uint64_t at = 4096 + 1024 * (uint64_t)(i % 4);
        place[i] = (struct virtq_place){at, at + 256, at + 512, 8};
    }
    (void)m;
    (void)virtio_mmio_preset(t, place, &e);
}

/* Script of 8-byte steps: what, device, 16-bit offset, 32-bit value. */
static void step(struct machine *m, const uint8_t *s)
{
    struct virtio_mmio *t = &m->t[s[1] % ARRAY_COUNT(m->t)];
    uint16_t at;
    uint32_t value;
    memcpy(&at, s + 2, sizeof(at));
    memcpy(&value, s + 4, sizeof(value));
    uint8_t *ram = m->mem.range[0].host;
    switch (s[0] % 4) {
    case 0:
        t->window.ops->write(&t->window, at % 4093, (uint8_t *)&value, 4);
        break;
    case 1:
        t->window.ops->read(&t->window, at % 4093, (uint8_t *)&value, 4);
        break;
    case 2: memcpy(ram + at % (RAM_SIZE - 3), &value, sizeof(value)); break;
    default:
        if ((t->status & 4) != 0)
            t->dev->ops->notify(t->dev,
                                (uint16_t)(at % t->dev->ops->queue_count));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine m;
    memset(&m, 0, sizeof(m));
    machine_init(&m);
    if (size > 0 && data[0] % 2 == 0)
        for (unsigned i = 0; i < ARRAY_COUNT(m.t); i++)
            preset(&m, &m.t[i]);
    for (size_t at = 1; size >= 9 && at <= size - 8; at += 8)
        step(&m, data + at);
    (void)console_drained(&m.console);
    machine_fini(&m);
    return 0;
}
