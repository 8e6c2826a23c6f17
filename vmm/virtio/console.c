// SPDX-License-Identifier: Apache-2.0
/* The console device. Virtio 1.2, section 5.3. */
#include "vmm/virtio/console.h"

#include <string.h>
#include <sys/epoll.h>

#include "abi/stock.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"

/* Chains handled before other sources get a turn. */
#define CONSOLE_BUDGET 128
/* Bytes per system call on a stream: a file would move any amount at once.
 * After as many others get a turn: a chain may name the same RAM 64 times. */
#define CONSOLE_CHUNK (UINT64_C(1) << 20)
/* The same where a log is written, which takes a call for each line. */
#define CONSOLE_LOG_CHUNK (UINT64_C(32) << 10)
/* Bytes of a chain of control frames; no driver of ours or Linux's has more. */
#define CONSOLE_FRAMES_MAX (UINT64_C(64) << 10)

_Static_assert(VIRTIO_CONSOLE_QUEUES(BOOT_PORT_COUNT) <= VIRTIO_QUEUES_MAX,
               "queues of all ports");

static struct virtio_console *console_of(struct virtio_dev *vd)
{
    return (struct virtio_console *)vd;
}

static struct virtq *queue_of(const struct console_flow *f)
{
    return &f->console->vd.queue[f->queue];
}

/* Take a chain into f->chain. Returns false when there is none; then the
 * driver will ring. */
static bool flow_take(struct console_flow *f)
{
    struct virtq *q = queue_of(f);
    while (!f->held) {
        if (f->ending && f->left == 0)
            return false;
        int got = virtq_pop(q, &f->chain);
        if (got < 0)
            virtio_fail(&f->console->vd, f->queue);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            return false;
        f->held = got == 1;
        if (f->ending && f->held)
            f->left--;
        f->skipped = false;
        f->done = 0;
    }
    return true;
}

static void flow_give(struct console_flow *f, uint32_t written)
{
    f->held = false;
    virtq_push(queue_of(f), &f->chain, written);
}

/* ---- output ---- */

static void log_output(const struct console_flow *f, uint64_t size)
{
    char text[4096];
    for (uint64_t off = 0; f->log.fd >= 0 && off < size;) {
        size_t want = size - off < sizeof(text) ? size - off : sizeof(text);
        size_t n = virtq_copy_out(&f->chain, f->done + off, text, want);
        if (n == 0)
            return;
        crilog_write(&f->log, text, n);
        off += n;
    }
}

/* Nobody reads any more: as a closed pipe would, it takes everything. But a
 * disk that is full now may have room later. */
static void out_failed(struct console_flow *f, int error)
{
    f->skipped = true;
    f->finished =
        error == EPIPE || error == ECONNRESET || error == EIO || error == EBADF;
    if (!f->finished && !f->warned) {
        f->warned = true;
        log_warn("%s: %s: output is lost", f->log.name, strerror(error));
    }
}

/* Write on while *bytes are left; false when the reader is slow. */
static bool out_write(struct console_flow *f, int64_t *bytes)
{
    const uint64_t chunk = f->log.fd < 0 ? CONSOLE_CHUNK : CONSOLE_LOG_CHUNK;
    struct iovec part[VIRTQ_IOV_MAX];
    while (*bytes > 0 && f->done < f->chain.out_size) {
        uint64_t left = f->chain.out_size - f->done;
        if (left > chunk)
            left = chunk;
        unsigned n = virtq_slice(f->chain.iov, f->chain.out, f->done, left,
                                 part, VIRTQ_IOV_MAX);
        ssize_t put = f->finished || f->skipped
                          ? (ssize_t)left
                          : stream_write(&f->stream, part, n);
        if (put == -EAGAIN)
            return false;
        if (put == -EINTR)
            continue;
        if (put < 0) {
            out_failed(f, (int)-put);
            continue;
        }
        log_output(f, (uint64_t)put);
        f->done += (uint64_t)put;
        *bytes -= put;
    }
    return true;
}

static void out_run(struct console_flow *f)
{
    struct virtio_dev *vd = &f->console->vd;
    int64_t bytes = f->log.fd < 0 ? CONSOLE_CHUNK : CONSOLE_LOG_CHUNK;
    int budget = CONSOLE_BUDGET;
    while (bytes > 0 && budget-- > 0 && flow_take(f)) {
        if (!out_write(f, &bytes)) {
            loop_want(f->console->loop, &f->source, EPOLLOUT);
            break;
        }
        if (f->done == f->chain.out_size)
            flow_give(f, 0);
    }
    if (bytes <= 0 || budget < 0)
        virtio_kick(vd, f->queue);
    virtio_signal(vd, f->queue);
}

static void out_turn(struct console_flow *f)
{
    out_run(f);
    f->console->peer->ops->written(f->console->peer);
}

static void out_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct console_flow *f = (struct console_flow *)s;
    loop_want(f->console->loop, s, 0);
    out_turn(f);
}

void console_end(struct virtio_console *c)
{
    for (unsigned i = 0; i < ARRAY_COUNT(c->out); i++) {
        struct console_flow *f = &c->out[i];
        uint16_t waiting = virtq_waiting(queue_of(f));
        f->left = f->ending && f->left < waiting ? f->left : waiting;
        f->ending = true;
    }
}

bool console_drained(struct virtio_console *c)
{
    bool done = true;
    for (unsigned i = 0; i < ARRAY_COUNT(c->out); i++) {
        struct console_flow *f = &c->out[i];
        out_run(f);
        struct virtq *q = queue_of(f);
        bool last = f->ending && f->left == 0;
        done = done && !f->held && (last || q->broken || !virtq_arm(q));
    }
    return done;
}

/* ---- stdin ---- */

static void in_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct console_flow *f = (struct console_flow *)s;
    if (f->finished || !f->console->open[BOOT_PORT_STDIO] || !flow_take(f)) {
        loop_want(f->console->loop, s, 0);
        return;
    }
    const struct virtq_chain *c = &f->chain;
    if (c->in_size == 0) { /* legal and useless; do not read end of file */
        flow_give(f, 0);
        return;
    }
    struct iovec part[VIRTQ_IOV_MAX];
    unsigned count = virtq_slice(c->iov + c->out, c->in, 0, CONSOLE_CHUNK, part,
                                 VIRTQ_IOV_MAX);
    ssize_t n = stream_read(&f->stream, part, count);
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0) { /* a terminal that hung up reads as an error */
        f->finished = true;
        loop_want(f->console->loop, s, 0);
        f->console->peer->ops->stdin_eof(f->console->peer, f->total);
        return;
    }
    f->total += (uint64_t)n;
    flow_give(f, (uint32_t)n);
    virtio_signal(&f->console->vd, f->queue);
}

/* ---- control port (frames) ---- */

static void frames_from_guest(struct virtio_console *c)
{
    uint16_t qi = VIRTIO_CONSOLE_TXQ(BOOT_PORT_CTL);
    struct virtq *q = &c->vd.queue[qi];
    struct virtq_chain chain;
    int budget = CONSOLE_BUDGET;
    int got = 0;
    while (budget-- > 0) {
        got = virtq_pop(q, &chain);
        if (got == 1 && chain.out_size > CONSOLE_FRAMES_MAX)
            got = -EPROTO;
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            break;
        if (got == 0)
            continue;
        uint8_t part[CTL_FRAME_MAX];
        uint64_t off = 0;
        for (size_t n; off < chain.out_size; off += n) {
            n = virtq_copy_out(&chain, off, part, sizeof(part));
            if (n == 0)
                break;
            c->peer->ops->bytes(c->peer, part, n);
        }
        virtq_push(q, &chain, 0);
    }
    if (got < 0)
        virtio_fail(&c->vd, qi);
    if (budget < 0)
        virtio_kick(&c->vd, qi);
    virtio_signal(&c->vd, qi);
}

static void frames_to_guest(struct virtio_console *c)
{
    uint16_t qi = VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL);
    struct virtq *q = &c->vd.queue[qi];
    struct virtq_chain chain;
    bool moved = false;
    int budget = CONSOLE_BUDGET; /* of chains that may be empty */
    while (c->pending_size > 0 && c->open[BOOT_PORT_CTL]) {
        if (budget-- == 0) {
            virtio_kick(&c->vd, qi);
            break;
        }
        int got = virtq_pop(q, &chain);
        if (got < 0)
            virtio_fail(&c->vd, qi);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            break;
        if (got == 0)
            continue;
        size_t n = virtq_copy_in(&chain, 0, c->pending, c->pending_size);
        c->pending_size -= n;
        memmove(c->pending, c->pending + n, c->pending_size);
        virtq_push(q, &chain, (uint32_t)n);
        moved = true;
    }
    virtio_signal(&c->vd, qi);
    if (moved)
        c->peer->ops->writable(c->peer);
}

bool console_send(struct virtio_console *c, const void *frame, size_t size)
{
    if (size > sizeof(c->pending) - c->pending_size)
        return false;
    memcpy(c->pending + c->pending_size, frame, size);
    c->pending_size += size;
    frames_to_guest(c);
    return true;
}

/* ---- port handshake, 5.3.6.2: only drivers that reset the device ---- */

static void events_to_guest(struct virtio_console *c)
{
    struct virtq *q = &c->vd.queue[VIRTIO_CONSOLE_CTL_RXQ];
    struct virtq_chain chain;
    while (c->events_size > 0) {
        int got = virtq_pop(q, &chain);
        if (got < 0)
            virtio_fail(&c->vd, VIRTIO_CONSOLE_CTL_RXQ);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            break;
        if (got == 0)
            continue;
        size_t n =
            virtq_copy_in(&chain, 0, c->events[0].data, c->events[0].size);
        c->events_size--;
        memmove(&c->events[0], &c->events[1],
                c->events_size * sizeof(c->events[0]));
        virtq_push(q, &chain, (uint32_t)n);
    }
    virtio_signal(&c->vd, VIRTIO_CONSOLE_CTL_RXQ);
}

static void event_add(struct virtio_console *c, uint32_t port, uint16_t event,
                      uint16_t value, const char *name)
{
    if (c->events_size == ARRAY_COUNT(c->events))
        return; /* a driver that repeats itself loses answers */
    struct virtio_console_control m = {port, event, value};
    size_t name_size = strlen(name);
    uint8_t *out = c->events[c->events_size].data;
    memcpy(out, &m, sizeof(m));
    for (size_t i = 0; i < name_size; i++) /* no NUL goes with it */
        out[sizeof(m) + i] = (uint8_t)name[i];
    c->events[c->events_size++].size = (uint8_t)(sizeof(m) + name_size);
}

static void port_opened(struct virtio_console *c, uint32_t port, bool open)
{
    c->open[port] = open;
    if (open && port == BOOT_PORT_STDIO && !c->in.finished)
        loop_want(c->loop, &c->in.source, EPOLLIN);
    if (open && port == BOOT_PORT_CTL)
        frames_to_guest(c);
}

static void event_from_guest(struct virtio_console *c,
                             const struct virtio_console_control *m)
{
    static const char *const names[BOOT_PORT_COUNT] = {
        [BOOT_PORT_STDIO] = STOCK_PORT_STDIO,
        [BOOT_PORT_STDERR] = STOCK_PORT_STDERR,
        [BOOT_PORT_CTL] = STOCK_PORT_CTL,
    };
    if (m->event == VIRTIO_CONSOLE_DEVICE_READY && m->value == 1)
        for (uint32_t i = 0; i < BOOT_PORT_COUNT; i++)
            event_add(c, i, VIRTIO_CONSOLE_DEVICE_ADD, 1, "");
    if (m->id >= BOOT_PORT_COUNT)
        return;
    if (m->event == VIRTIO_CONSOLE_PORT_OPEN)
        port_opened(c, m->id, m->value == 1);
    if (m->event != VIRTIO_CONSOLE_PORT_READY || m->value != 1)
        return;
    event_add(c, m->id, VIRTIO_CONSOLE_PORT_NAME, 1, names[m->id]);
    event_add(c, m->id, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
}

static void events_from_guest(struct virtio_console *c)
{
    uint16_t qi = VIRTIO_CONSOLE_CTL_TXQ;
    struct virtq *q = &c->vd.queue[qi];
    struct virtq_chain chain;
    int budget = CONSOLE_BUDGET;
    while (budget-- > 0) {
        int got = virtq_pop(q, &chain);
        if (got < 0)
            virtio_fail(&c->vd, qi);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            break;
        if (got == 0)
            continue;
        struct virtio_console_control m;
        if (virtq_copy_out(&chain, 0, &m, sizeof(m)) == sizeof(m))
            event_from_guest(c, &m);
        virtq_push(q, &chain, 0);
    }
    if (budget < 0)
        virtio_kick(&c->vd, qi);
    virtio_signal(&c->vd, qi);
    events_to_guest(c);
}

/* ---- device ---- */

void console_collect(struct virtio_console *c)
{
    frames_from_guest(c);
}

static void console_notify(struct virtio_dev *vd, uint16_t qi)
{
    struct virtio_console *c = console_of(vd);
    switch (qi) {
    case VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO):
        if (!c->in.finished)
            loop_want(c->loop, &c->in.source, EPOLLIN);
        break;
    case VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO): out_turn(&c->out[0]); break;
    case VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDERR): out_turn(&c->out[1]); break;
    case VIRTIO_CONSOLE_CTL_RXQ: events_to_guest(c); break;
    case VIRTIO_CONSOLE_CTL_TXQ: events_from_guest(c); break;
    case VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL): frames_to_guest(c); break;
    case VIRTIO_CONSOLE_TXQ(BOOT_PORT_CTL): frames_from_guest(c); break;
    default: break; /* stderr has no input */
    }
}

static void console_start(struct virtio_dev *vd)
{
    struct virtio_console *c = console_of(vd);
    for (uint16_t i = 0; i < vd->ops->queue_count; i++)
        (void)virtq_arm(&vd->queue[i]);
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        c->open[i] = vd->preset;
    if (c->in.stream.kind == STREAM_NONE && !c->in.finished) {
        c->in.finished = true;
        c->peer->ops->stdin_eof(c->peer, 0);
    }
    if (!c->in.finished)
        loop_want(c->loop, &c->in.source, EPOLLIN);
}

static void console_stop(struct virtio_dev *vd)
{
    struct virtio_console *c = console_of(vd);
    struct console_flow *const flows[] = {&c->in, &c->out[0], &c->out[1]};
    for (unsigned i = 0; i < ARRAY_COUNT(flows); i++) {
        loop_want(c->loop, &flows[i]->source, 0);
        flows[i]->held = false;
    }
    c->events_size = 0;
}

static int flow_init(struct console_flow *f, struct virtio_console *c,
                     const struct stream *s, loop_ready_fn *ready,
                     struct err *e)
{
    f->console = c;
    f->stream = *s;
    f->source.fd = s->fd;
    f->source.ready = ready;
    f->log.fd = -1;
    if (s->kind == STREAM_NONE)
        return 0;
    if (loop_add(c->loop, &f->source, EPOLLIN, e) < 0)
        return e->code;
    loop_want(c->loop, &f->source, 0);
    return 0;
}

int virtio_console_init(struct virtio_console *c, struct loop *l,
                        const struct console_streams *streams,
                        struct console_peer *peer, struct err *e)
{
    static const struct virtio_ops ops = {
        .name = "console",
        .type = VIRTIO_ID_CONSOLE,
        .queue_count = VIRTIO_CONSOLE_QUEUES(BOOT_PORT_COUNT),
        .queue_size = 64,
        .start = console_start,
        .notify = console_notify,
        .stop = console_stop,
    };
    struct virtio_console_config config = {.max_nr_ports = BOOT_PORT_COUNT};
    memset(c, 0, sizeof(*c));
    c->vd.ops = &ops;
    c->vd.features =
        VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_CONSOLE_F_MULTIPORT;
    c->vd.config_size = sizeof(config);
    memcpy(c->vd.config, &config, sizeof(config));
    c->loop = l;
    c->peer = peer;
    if (flow_init(&c->in, c, &streams->in, in_ready, e) < 0 ||
        flow_init(&c->out[0], c, &streams->out, out_ready, e) < 0 ||
        flow_init(&c->out[1], c, &streams->err, out_ready, e) < 0)
        return e->code;
    c->in.queue = VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO);
    c->out[0].queue = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    c->out[1].queue = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDERR);
    c->out[0].log = (struct crilog){streams->log_fd, "stdout"};
    c->out[1].log = (struct crilog){streams->log_fd, "stderr"};
    return 0;
}
