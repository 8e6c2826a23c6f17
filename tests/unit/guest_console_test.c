// SPDX-License-Identifier: Apache-2.0
/*
 * The console driver on a preset device played by the test: rings, kicks,
 * streams, control frames, standard input and output as files.
 */
#include <libfdt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_ring.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/cpu.h"
#include "guest/core/fdt.h"
#include "guest/core/irq.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/virtio/console.h"
#include "guest/virtio/virtio.h"

#define QUEUES  VIRTIO_CONSOLE_QUEUES(BOOT_PORT_COUNT)
#define SIZE    8u
#define IRQ     0x50u
#define NO_KICK 0xffffffffu

/* The device's side of a queue. */
struct dq {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint16_t seen; /* of avail */
    uint16_t done; /* used.idx */
};

static struct dq dq[QUEUES];
static volatile uint32_t *doorbell;
static char blob[16384];

static void be(uint8_t *to, uint64_t v, unsigned cells)
{
    for (unsigned i = 0; i < cells * 4; i++)
        to[i] = (uint8_t)(v >> (8 * (cells * 4 - 1 - i)));
}

static void *page(paddr_t *pa)
{
    *pa = page_alloc(0, PAGE_ZERO);
    assert_int_not_equal(*pa, 0);
    return page_virt(*pa);
}

static void make_queue(unsigned i, uint8_t cells[28])
{
    paddr_t pa;
    char *ring = page(&pa);
    dq[i] = (struct dq){.desc = (void *)ring,
                        .avail = (void *)(ring + 1024),
                        .used = (void *)(ring + 2048)};
    be(cells, pa, 2);
    be(cells + 8, pa + 1024, 2);
    be(cells + 16, pa + 2048, 2);
    be(cells + 24, SIZE, 1);
}

static void make_fdt(void)
{
    uint8_t reg[16], id[4], feat[8], queues[QUEUES * 28],
        irqs[(QUEUES + 1) * 4];
    paddr_t regs;
    doorbell = (void *)((char *)page(&regs) + VIRTIO_MMIO_REG_QUEUE_NOTIFY);
    be(reg, regs, 2);
    be(reg + 8, 4096, 2);
    be(id, VIRTIO_ID_CONSOLE, 1);
    be(feat,
       VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_CONSOLE_F_MULTIPORT, 2);
    for (unsigned i = 0; i < QUEUES; i++)
        make_queue(i, queues + 28 * i);
    for (unsigned i = 0; i <= QUEUES; i++)
        be(irqs + 4 * i, IRQ + i, 1);
    assert_int_equal(fdt_create(blob, sizeof(blob)), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    assert_int_equal(fdt_begin_node(blob, ""), 0);
    assert_int_equal(fdt_begin_node(blob, "virtio@0"), 0);
    assert_int_equal(fdt_property(blob, "compatible", "virtio,mmio", 12), 0);
    assert_int_equal(fdt_property(blob, "reg", reg, sizeof(reg)), 0);
    assert_int_equal(fdt_property(blob, "interrupts", irqs, sizeof(irqs)), 0);
    assert_int_equal(fdt_property(blob, "limpet,device", id, 4), 0);
    assert_int_equal(fdt_property(blob, "limpet,features", feat, 8), 0);
    assert_int_equal(
        fdt_property(blob, "limpet,queues", queues, sizeof(queues)), 0);
    assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_finish(blob), 0);
    assert_int_equal(fdt_init(blob, sizeof(blob)), 0);
}

/* One device for the whole program: drivers start once. */
static int group_setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    make_fdt();
    virtio_init();
    return 0;
}

static uint16_t *used_event(struct dq *q)
{
    return &q->avail->ring[SIZE];
}

static uint16_t *avail_event(struct dq *q)
{
    return (uint16_t *)(void *)&q->used->ring[SIZE];
}

/* Next buffer the driver gave: its index, or -1. */
static int dev_pop(struct dq *q, char **data, uint32_t *len)
{
    if (q->seen == q->avail->idx)
        return -1;
    uint16_t head = q->avail->ring[q->seen++ % SIZE];
    *data = page_virt(q->desc[head].addr);
    *len = q->desc[head].len;
    *avail_event(q) = q->seen; /* tell me of the next one */
    return head;
}

static void dev_push(struct dq *q, int head, uint32_t len)
{
    q->used->ring[q->done % SIZE] =
        (struct virtq_used_elem){(uint32_t)head, len};
    uint16_t old = q->done++;
    q->used->idx = q->done;
    /* 2.7.10.1: interrupt only if the driver asked for this one. */
    if ((uint16_t)(q->done - *used_event(q) - 1) < (uint16_t)(q->done - old))
        irq_dispatch(IRQ + 1 + (uint32_t)(q - dq));
}

/* Everything the guest wrote to a port, consumed. */
static size_t dev_take(enum boot_port port, char *to, size_t max)
{
    struct dq *q = &dq[VIRTIO_CONSOLE_TXQ(port)];
    char *data;
    uint32_t len;
    size_t n = 0;
    for (int head; (head = dev_pop(q, &data, &len)) >= 0;) {
        assert_true(n + len <= max);
        memcpy(to + n, data, len);
        n += len;
        dev_push(q, head, 0);
    }
    return n;
}

static bool dev_send(enum boot_port port, const void *data, uint32_t n)
{
    struct dq *q = &dq[VIRTIO_CONSOLE_RXQ(port)];
    char *to;
    uint32_t room;
    int head = dev_pop(q, &to, &room);
    if (head < 0)
        return false;
    assert_true(n <= room);
    memcpy(to, data, n);
    dev_push(q, head, n);
    return true;
}

static void test_write(void **state)
{
    (void)state;
    char buf[64];
    *doorbell = NO_KICK;
    assert_int_equal(console_write(BOOT_PORT_STDIO, "hello", 5), 5);
    assert_int_equal(*doorbell, VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO));
    assert_int_equal(console_queued(BOOT_PORT_STDIO), 5);
    /* The device has not asked to hear of more: no second kick. */
    *doorbell = NO_KICK;
    assert_int_equal(console_write(BOOT_PORT_STDIO, " you", 4), 4);
    assert_int_equal(*doorbell, NO_KICK);
    assert_int_equal(dev_take(BOOT_PORT_STDIO, buf, sizeof(buf)), 9);
    assert_memory_equal(buf, "hello you", 9);
    assert_int_equal(console_queued(BOOT_PORT_STDIO), 0);
    console_drain();
}

static uint32_t rung_locked, rung;

/* Where CPUs are few the monitor runs instead of who rings. */
static void rung_at(int sig, siginfo_t *info, void *ucontext)
{
    (void)sig;
    (void)ucontext;
    void *page = (void *)((uintptr_t)doorbell & ~(uintptr_t)4095);
    if ((uintptr_t)info->si_addr != (uintptr_t)doorbell)
        abort();
    rung++;
    rung_locked += arch_this_cpu()->lock_depth;
    (void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

/* The doorbell is rung, and not under a lock. */
static void rings(void (*fn)(void))
{
    void *page = (void *)((uintptr_t)doorbell & ~(uintptr_t)4095);
    struct sigaction act = {.sa_sigaction = rung_at, .sa_flags = SA_SIGINFO};
    struct sigaction old;
    rung = rung_locked = 0;
    assert_int_equal(sigaction(SIGSEGV, &act, &old), 0);
    assert_int_equal(mprotect(page, 4096, PROT_READ), 0);
    fn();
    (void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
    (void)sigaction(SIGSEGV, &old, NULL);
    assert_int_equal(rung, 1);
    assert_int_equal(rung_locked, 0);
}

static void ring_write(void)
{
    assert_int_equal(console_write(BOOT_PORT_STDERR, "x", 1), 1);
}

static void ring_commit(void)
{
    char *at;
    assert_true(console_reserve(BOOT_PORT_STDIO, &at) > 0);
    *at = 'x';
    console_commit(BOOT_PORT_STDIO, 1);
}

static void ring_frame(void)
{
    assert_int_equal(ctl_send(CTL_LOG, "x", 1), 0);
}

static void test_rings_unlocked(void **state)
{
    (void)state;
    char buf[64];
    rings(ring_write);
    rings(ring_commit);
    rings(ring_frame);
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        assert_true(dev_take((enum boot_port)i, buf, sizeof(buf)) > 0);
}

/* Nothing is lost or mixed up when the ring fills and wraps. */
static void test_write_much(void **state)
{
    (void)state;
    static char in[300000], out[300000];
    size_t sent = 0, got = 0;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (char)(i * 7 + i / 251);
    unsigned full = 0;
    while (got < sizeof(in)) {
        size_t want = MIN(sizeof(in) - sent, (size_t)7777);
        size_t n = console_write(BOOT_PORT_STDIO, in + sent, want);
        sent += n;
        if (n < want || sent == sizeof(in)) {
            full++;
            got += dev_take(BOOT_PORT_STDIO, out + got, sizeof(out) - got);
        }
    }
    assert_true(full > 3);
    assert_memory_equal(in, out, sizeof(in));
}

static unsigned waiter_calls;

static bool waiter_called(struct waiter *w, uint32_t events)
{
    (void)w;
    assert_true((events & EPOLLOUT) != 0);
    waiter_calls++;
    return true;
}

/* A full ring asks for an interrupt, a free one does not. */
static void test_room(void **state)
{
    (void)state;
    static char buf[1 << 17];
    struct waiter w;
    waiter_init(&w);
    w.wake = waiter_called;
    waitq_add(console_out_waitq(BOOT_PORT_STDERR), &w);
    assert_true(console_room(BOOT_PORT_STDERR) > 0);
    assert_int_equal(console_write(BOOT_PORT_STDERR, buf, 10), 10);
    (void)dev_take(BOOT_PORT_STDERR, buf, sizeof(buf));
    assert_int_equal(waiter_calls, 0);
    size_t n = console_write(BOOT_PORT_STDERR, buf, sizeof(buf));
    assert_in_range(n, 1, sizeof(buf) - 1);
    assert_int_equal(console_room(BOOT_PORT_STDERR), 0);
    assert_int_equal(dev_take(BOOT_PORT_STDERR, buf, sizeof(buf)), n);
    assert_true(waiter_calls >= 1);
    assert_true(console_room(BOOT_PORT_STDERR) > 0);
    waitq_remove(&w);
}

static void test_control_frames(void **state)
{
    (void)state;
    char buf[256];
    struct ctl_header h;
    ctl_init();
    assert_int_equal(ctl_send(CTL_LOG, "text", 4), 0);
    assert_int_equal(dev_take(BOOT_PORT_CTL, buf, sizeof(buf)), 12);
    memcpy(&h, buf, sizeof(h));
    assert_int_equal(h.type, CTL_LOG);
    assert_int_equal(h.size, 4);
    assert_memory_equal(buf + 8, "text", 4);
    assert_int_equal(ctl_send(CTL_LOG, buf, CTL_FRAME_MAX), -EINVAL);
    unsigned sent = 0;
    static char big[1000];
    while (ctl_send(CTL_LOG, big, sizeof(big)) == 0)
        sent++;
    assert_in_range(sent, 2, 16);
    static char all[1 << 16];
    /* Whole frames only. */
    assert_int_equal(dev_take(BOOT_PORT_CTL, all, sizeof(all)), sent * 1008);
}

/* Frames arrive in pieces, unknown ones are skipped. */
static void test_control_input(void **state)
{
    (void)state;
    struct {
        struct ctl_header h;
        struct ctl_signal s;
    } f = {{CTL_SIGNAL, 8}, {LX_SIGUSR1, 0}};
    struct process *p = current()->proc;
    p->sighand->action[LX_SIGUSR1 - 1].handler = 4096;
    current()->sigmask = UINT64_MAX;
    struct {
        struct ctl_header h;
        char junk[200];
    } unknown = {{77, 200}, {0}};
    assert_true(dev_send(BOOT_PORT_CTL, &unknown, sizeof(unknown)));
    assert_true(dev_send(BOOT_PORT_CTL, &f, 5));
    assert_int_equal(p->pending.set & SIG_BIT(LX_SIGUSR1), 0);
    assert_true(dev_send(BOOT_PORT_CTL, (char *)&f + 5, sizeof(f) - 5));
    assert_true((p->pending.set & SIG_BIT(LX_SIGUSR1)) != 0);
    f.s.signo = 4000000000u; /* nonsense does nothing */
    assert_true(dev_send(BOOT_PORT_CTL, &f, sizeof(f)));
}

static int64_t file_io(struct file *f, bool out, void *data, size_t n)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    uio_kernel(&u, &seg, data, n);
    return out ? f->ops->write(f, &u, &pos) : f->ops->read(f, &u, &pos);
}

static void test_stdio_files(void **state)
{
    (void)state;
    struct file *f[3];
    char buf[32] = "to stderr";
    assert_int_equal(console_open_stdio(false, true, f), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f[i]->inode->mode & LX_S_IFMT, LX_S_IFIFO);
        assert_int_equal(f[i]->ops->ioctl(f[i], 0x5401, 0), -ENOTTY);
        f[i]->flags |= LX_O_NONBLOCK;
    }
    assert_int_equal(file_io(f[2], true, buf, 9), 9);
    assert_int_equal(dev_take(BOOT_PORT_STDERR, buf, sizeof(buf)), 9);
    assert_int_equal(file_io(f[1], false, buf, 1), -EBADF);

    assert_int_equal(file_io(f[0], false, buf, sizeof(buf)), -EAGAIN);
    assert_int_equal(f[0]->ops->poll(f[0], NULL), 0);
    assert_true(dev_send(BOOT_PORT_STDIO, "input", 5));
    assert_int_equal(f[0]->ops->poll(f[0], NULL) & EPOLLIN, EPOLLIN);
    assert_int_equal(file_io(f[0], false, buf, 2), 2);
    assert_int_equal(file_io(f[0], false, buf, sizeof(buf)), 3);
    assert_memory_equal(buf, "put", 3);
    for (unsigned i = 0; i < 3; i++)
        file_put(f[i]);
}

/* The end of input comes on another port than the input: bytes that are still
 * under way are read first. */
static void test_stdin_eof(void **state)
{
    (void)state;
    struct file *f[3];
    struct {
        struct ctl_header h;
        uint64_t count;
    } __attribute__((packed)) eof = {{CTL_STDIN_EOF, 8}, 5 + 4};
    char buf[32];
    assert_int_equal(console_open_stdio(false, true, f), 0);
    f[0]->flags |= LX_O_NONBLOCK;
    assert_true(dev_send(BOOT_PORT_CTL, &eof, sizeof(eof)));
    assert_int_equal(file_io(f[0], false, buf, sizeof(buf)), -EAGAIN);
    assert_true(dev_send(BOOT_PORT_STDIO, "last", 4));
    assert_int_equal(file_io(f[0], false, buf, sizeof(buf)), 4);
    assert_int_equal(file_io(f[0], false, buf, sizeof(buf)), 0);
    assert_true((f[0]->ops->poll(f[0], NULL) & EPOLLHUP) != 0);
    for (unsigned i = 0; i < 3; i++)
        file_put(f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_rings_unlocked),
        cmocka_unit_test(test_write_much),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_control_frames),
        cmocka_unit_test(test_control_input),
        cmocka_unit_test(test_stdio_files),
        cmocka_unit_test(test_stdin_eof),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
