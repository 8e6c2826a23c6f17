// SPDX-License-Identifier: Apache-2.0
/*
 * Each port has a ring of output bytes and two input buffers, both made at
 * first use. Output is one descriptor per write: the device takes them in
 * order (virtio 1.2, 5.3.6: a stream), so used buffers free the ring from its
 * tail. Used output is looked for when we write; interrupts are on only while
 * somebody waits for room.
 */
#include "guest/virtio/console.h"

#include "abi/linux/errno.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/virtio/ports.h"
#include "guest/virtio/queue.h"

#define CONSOLE_BUFS  2
#define CONSOLE_SPIN  UINT64_C(200000)  /* ns of polling before sleeping */
#define CONSOLE_SLEEP UINT64_C(1000000) /* ns between looks after that */

struct port {
    struct virtq *rx, *tx; /* NULL: no such port */

    /* tx->lock */
    char *out;
    uint32_t out_size;   /* power of two */
    uint32_t head, tail; /* free-running: bytes queued, bytes taken */
    struct waitq out_waitq;

    /* rx->lock */
    char *in[CONSOLE_BUFS];
    uint32_t in_size; /* of one buffer */
    char *at;         /* first unread byte, NULL: none */
    uint32_t left;    /* bytes from there */
    uint64_t count;   /* bytes read so far */
    uint64_t eof;     /* no byte after that many */
    struct waitq in_waitq;
    void (*input)(void);
};

/* Page orders of the buffers. Control frames are small; a terminal or a pipe
 * is not. Pages cost nothing before they are touched. */
static const struct {
    uint8_t out_order, in_order;
} port_orders[BOOT_PORT_COUNT] = {
    [BOOT_PORT_STDIO] = {4, 3},
    [BOOT_PORT_STDERR] = {2, 0},
    [BOOT_PORT_CTL] = {0, 0},
};

static struct port ports[BOOT_PORT_COUNT];

struct waitq *console_out_waitq(enum boot_port port)
{
    return &ports[port].out_waitq;
}

struct waitq *console_in_waitq(enum boot_port port)
{
    return &ports[port].in_waitq;
}

void console_set_input(enum boot_port port, void (*fn)(void))
{
    ports[port].input = fn;
}

/* --- output --- */

static paddr_t buffer_alloc(unsigned *order)
{
    paddr_t pa = page_alloc(*order, PAGE_KERNEL);
    if (pa == 0) {
        *order = 0;
        pa = page_alloc(0, PAGE_KERNEL);
    }
    return pa;
}

int console_prepare_out(enum boot_port port)
{
    struct port *p = &ports[port];
    if (p->tx == NULL || __atomic_load_n(&p->out, __ATOMIC_ACQUIRE) != NULL)
        return 0;
    unsigned order = port_orders[port].out_order;
    paddr_t pa = buffer_alloc(&order);
    if (pa == 0)
        return -ENOMEM;
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    if (p->out == NULL) {
        virtq_disable_irq(p->tx);
        p->out_size = (uint32_t)PAGE_SIZE << order;
        __atomic_store_n(&p->out, page_virt(pa), __ATOMIC_RELEASE);
        pa = 0;
    }
    spin_unlock_irq(&p->tx->lock, flags);
    if (pa != 0)
        page_put(pa);
    return 0;
}

/* The lock is held. An empty ring starts over, on pages already touched. */
static void out_reclaim(struct port *p)
{
    void *cookie;
    while ((cookie = virtq_pop(p->tx, NULL)) != NULL)
        p->tail += (uint32_t)(uintptr_t)cookie;
    if (p->tail == p->head) {
        p->head = 0;
        p->tail = 0;
    }
}

/* Contiguous room; 0 also when there is no free descriptor. Lock held. */
static uint32_t out_room(const struct port *p)
{
    uint32_t pos = p->head & (p->out_size - 1);
    uint32_t room = p->out_size - (p->head - p->tail);
    return p->tx->free_count > 0 ? MIN(room, p->out_size - pos) : 0;
}

/* As out_room, but never 0 without having asked for an interrupt. */
static uint32_t out_room_or_irq(struct port *p)
{
    uint32_t room;
    do {
        out_reclaim(p);
        room = out_room(p);
    } while (room == 0 && !virtq_enable_irq(p->tx));
    return room;
}

static bool out_add(struct port *p, uint32_t n)
{
    char *at = p->out + (p->head & (p->out_size - 1));
    struct virtq_buf b = {page_phys(at), n};
    if (virtq_add(p->tx, &b, 1, 0, (void *)(uintptr_t)n) < 0)
        return false;
    p->head += n;
    return true;
}

size_t console_write(enum boot_port port, const void *data, size_t n)
{
    struct port *p = &ports[port];
    const char *from = data;
    size_t done = 0;
    if (p->tx == NULL)
        return n;
    if (console_prepare_out(port) < 0)
        return 0;
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    while (done < n) {
        uint32_t room = out_room_or_irq(p);
        uint32_t take = (uint32_t)MIN(room, n - done);
        if (take == 0)
            break;
        memcpy(p->out + (p->head & (p->out_size - 1)), from + done, take);
        if (!out_add(p, take))
            break;
        done += take;
    }
    virtq_unlock_kick(p->tx, flags);
    return done;
}

/* Lock held, and there is room. */
static int out_copy(struct port *p, const void *data, size_t n)
{
    const char *from = data;
    while (n > 0) {
        uint32_t take = (uint32_t)MIN(out_room(p), n);
        memcpy(p->out + (p->head & (p->out_size - 1)), from, take);
        if (!out_add(p, take))
            return -EAGAIN;
        from += take;
        n -= take;
    }
    return 0;
}

int console_write_frame(enum boot_port port, const void *head, size_t head_size,
                        const void *data, size_t n)
{
    struct port *p = &ports[port];
    if (p->tx == NULL)
        return 0;
    if (console_prepare_out(port) < 0)
        return -EAGAIN;
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    out_reclaim(p);
    /* Two pieces, of which one may wrap around: three descriptors. */
    int r = p->out_size - (p->head - p->tail) >= head_size + n &&
                    p->tx->free_count >= 3
                ? 0
                : -EAGAIN;
    if (r == 0)
        r = out_copy(p, head, head_size);
    if (r == 0)
        r = out_copy(p, data, n);
    virtq_unlock_kick(p->tx, flags);
    return r;
}

size_t console_reserve(enum boot_port port, char **at)
{
    struct port *p = &ports[port];
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    uint32_t room = out_room_or_irq(p);
    *at = p->out + (p->head & (p->out_size - 1));
    spin_unlock_irq(&p->tx->lock, flags);
    return room;
}

void console_commit(enum boot_port port, size_t n)
{
    struct port *p = &ports[port];
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    if (n > 0)
        (void)out_add(p, (uint32_t)n);
    virtq_unlock_kick(p->tx, flags);
}

size_t console_room(enum boot_port port)
{
    struct port *p = &ports[port];
    if (p->tx == NULL)
        return PAGE_SIZE;
    if (p->out == NULL)
        return console_prepare_out(port) < 0 ? 0 : p->out_size;
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    uint32_t room = out_room_or_irq(p);
    spin_unlock_irq(&p->tx->lock, flags);
    return room;
}

size_t console_queued(enum boot_port port)
{
    struct port *p = &ports[port];
    if (p->tx == NULL || p->out == NULL)
        return 0;
    unsigned long flags = spin_lock_irq(&p->tx->lock);
    out_reclaim(p);
    uint32_t queued = p->head - p->tail;
    spin_unlock_irq(&p->tx->lock, flags);
    return queued;
}

static void out_interrupt(struct virtq *q)
{
    struct port *p = q->owner;
    virtq_disable_irq(q);
    waitq_wake(&p->out_waitq, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

/* --- input --- */

static void in_post(struct port *p, char *buf)
{
    struct virtq_buf b = {page_phys(buf), p->in_size};
    (void)virtq_add(p->rx, &b, 0, 1, buf); /* the ring is larger than 2 */
}

int console_prepare_in(enum boot_port port)
{
    struct port *p = &ports[port];
    if (p->rx == NULL || __atomic_load_n(&p->in[0], __ATOMIC_ACQUIRE) != NULL)
        return 0;
    unsigned order = port_orders[port].in_order;
    paddr_t pa = buffer_alloc(&order);
    if (pa == 0)
        return -ENOMEM;
    unsigned long flags = spin_lock_irq(&p->rx->lock);
    if (p->in[0] == NULL) {
        p->in_size = ((uint32_t)PAGE_SIZE << order) / CONSOLE_BUFS;
        for (unsigned i = CONSOLE_BUFS; i-- > 0;) {
            char *buf = (char *)page_virt(pa) + i * p->in_size;
            in_post(p, buf);
            __atomic_store_n(&p->in[i], buf, __ATOMIC_RELEASE);
        }
        pa = 0;
    }
    virtq_unlock_kick(p->rx, flags);
    if (pa != 0)
        page_put(pa);
    return 0;
}

/* Lock held: the next used buffer becomes the one being read. */
static bool in_next(struct port *p)
{
    for (;;) {
        uint32_t size = 0;
        char *buf = virtq_pop(p->rx, &size);
        if (buf != NULL && size > 0) {
            p->at = buf;
            p->left = MIN(size, p->in_size);
            return true;
        }
        if (buf != NULL)
            in_post(p, buf);
        else if (virtq_enable_irq(p->rx))
            return false;
    }
}

size_t console_peek(enum boot_port port, const char **at)
{
    struct port *p = &ports[port];
    if (p->rx == NULL || console_prepare_in(port) < 0)
        return 0;
    unsigned long flags = spin_lock_irq(&p->rx->lock);
    if (p->at == NULL)
        (void)in_next(p);
    *at = p->at;
    size_t left = p->at != NULL ? p->left : 0;
    spin_unlock_irq(&p->rx->lock, flags);
    return left;
}

void console_skip(enum boot_port port, size_t n)
{
    struct port *p = &ports[port];
    unsigned long flags = spin_lock_irq(&p->rx->lock);
    if (p->at != NULL) {
        uint32_t skip = (uint32_t)MIN(n, p->left);
        p->at += skip;
        p->left -= skip;
        p->count += skip;
        if (p->left == 0) {
            /* `at` is behind a byte of its buffer. */
            bool second = p->at > p->in[1];
            p->at = NULL;
            in_post(p, p->in[second]);
        }
    }
    virtq_unlock_kick(p->rx, flags);
}

size_t console_read(enum boot_port port, void *to, size_t n)
{
    const char *at;
    size_t have = MIN(console_peek(port, &at), n);
    if (have == 0)
        return 0;
    memcpy(to, at, have);
    console_skip(port, have);
    return have;
}

bool console_eof(enum boot_port port)
{
    struct port *p = &ports[port];
    if (p->rx == NULL)
        return true;
    unsigned long flags = spin_lock_irq(&p->rx->lock);
    bool eof = p->count >= p->eof && p->at == NULL && !virtq_has_used(p->rx);
    spin_unlock_irq(&p->rx->lock, flags);
    return eof;
}

void console_set_eof(enum boot_port port, uint64_t count)
{
    struct port *p = &ports[port];
    if (p->rx == NULL)
        return;
    unsigned long flags = spin_lock_irq(&p->rx->lock);
    p->eof = count;
    spin_unlock_irq(&p->rx->lock, flags);
    waitq_wake(&p->in_waitq, EPOLLIN | EPOLLHUP, WAKE_ALL);
}

static void in_interrupt(struct virtq *q)
{
    struct port *p = q->owner;
    virtq_disable_irq(q);
    if (p->input != NULL)
        p->input();
    else
        waitq_wake(&p->in_waitq, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
}

/* --- start and end --- */

struct nap {
    struct timer timer;
    struct task *task;
};

static void nap_over(struct timer *t)
{
    (void)sched_wake(CONTAINER_OF(t, struct nap, timer)->task);
}

/* Spin, later sleep; without looking at signals: the task may be dying of
 * one. */
static void drain_pause(nsec_t since)
{
    struct nap nap = {.task = current()};
    if (clock_now() - since < CONSOLE_SPIN || nap.task == NULL ||
        nap.task == arch_this_cpu()->idle) {
        arch_pause();
        return;
    }
    timer_init(&nap.timer, nap_over);
    sched_prepare(TASK_DEADLY);
    timer_start(&nap.timer, clock_now() + CONSOLE_SLEEP);
    sched_sleep();
    (void)timer_stop(&nap.timer);
}

void console_drain(void)
{
    nsec_t since = clock_now();
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        while (console_queued((enum boot_port)i) > 0)
            drain_pause(since);
}

static void port_init(struct port *p, struct virtio_device *d, uint32_t id)
{
    p->rx = &d->queues[VIRTIO_CONSOLE_RXQ(id)];
    p->tx = &d->queues[VIRTIO_CONSOLE_TXQ(id)];
    p->eof = UINT64_MAX;
    p->rx->owner = p;
    p->tx->owner = p;
    p->rx->fn = in_interrupt;
    p->tx->fn = out_interrupt;
}

void virtio_console_init(struct virtio_device *d)
{
    int32_t ids[BOOT_PORT_COUNT];
    if (ports[0].rx != NULL || ports_find(d, ids) < 0)
        return;
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++) {
        waitq_init(&ports[i].out_waitq);
        waitq_init(&ports[i].in_waitq);
        if (ids[i] >= 0)
            port_init(&ports[i], d, (uint32_t)ids[i]);
    }
}
