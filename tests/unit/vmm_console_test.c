// SPDX-License-Identifier: Apache-2.0
/* The console and the control frames behind it. */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"

#include "base/log.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/ctl.h"
#include "vmm/report.h"
#include "vmm/virtio/mmio.h"

enum { QUEUES = VIRTIO_CONSOLE_QUEUES(BOOT_PORT_COUNT) };

static struct {
    struct ctl ctl; /* first member: the callbacks get it */
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_console console;
    struct virtio_mmio t;
    struct driver d[QUEUES];
    int in[2];
    int out[2];
    int client[2];
    unsigned exits;
    unsigned asked; /* for networks */
    bool drained;   /* asked at each on_written() */
    struct report report;
    char log[256];
} f;

static void on_exit_frame(struct ctl *c, const struct report *r)
{
    assert_ptr_equal(c, &f.ctl);
    f.exits++;
    f.report = *r;
}

static void on_written(struct ctl *c)
{
    assert_ptr_equal(c, &f.ctl);
    f.drained = console_drained(&f.console);
}

static void on_log(struct ctl *c, const char *text, size_t size)
{
    assert_ptr_equal(c, &f.ctl);
    assert_true(size < sizeof(f.log));
    memcpy(f.log, text, size);
}

static void on_net_asked(struct ctl *c, const struct ctl_client *from,
                         const struct ctl_header *h, int fd)
{
    assert_ptr_equal(c, &f.ctl);
    assert_true(from->used);
    assert_int_equal(h->type, CTL_NET_REMOVE);
    assert_int_equal(fd, -1);
    f.asked++;
}

static int setup(void **state)
{
    static const struct ctl_ops ops = {.exited = on_exit_frame,
                                       .logged = on_log,
                                       .written = on_written,
                                       .net_asked = on_net_asked};
    struct err e;
    struct console_streams streams = {.log_fd = -1};
    struct virtq_place place[QUEUES];
    (void)state;
    memset(&f, 0, sizeof(f));
    if (pipe(f.in) < 0 || pipe(f.out) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f.client) < 0 ||
        gmem_init(&f.mem, UINT64_C(16) << 20, &e) < 0 ||
        loop_init(&f.loop, &e) < 0)
        return -1;
    stream_open(&streams.in, f.in[0], false);
    stream_open(&streams.out, f.out[1], true);
    stream_open(&streams.err, -1, true);
    ctl_init(&f.ctl, &f.loop, &ops, &f.console);
    for (unsigned i = 0; i < QUEUES; i++) {
        driver_init(&f.d[i], &f.mem, i);
        place[i] = f.d[i].place;
    }
    if (virtio_console_init(&f.console, &f.loop, &streams, &f.ctl.peer, &e) ||
        virtio_mmio_init(&f.t, &f.console.vd, &f.mem, &f.loop, &f.irqs, &e) ||
        virtio_mmio_preset(&f.t, place, &e) ||
        ctl_attach(&f.ctl, f.client[1], -1, &e))
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    virtio_mmio_fini(&f.t);
    irq_fini(&f.irqs);
    loop_fini(&f.loop);
    gmem_fini(&f.mem);
    const int fds[] = {f.in[0], f.in[1], f.out[0], f.out[1], f.client[0]};
    for (unsigned i = 0; i < 5; i++)
        if (fds[i] > 0)
            (void)close(fds[i]);
    return 0;
}

static void notify(unsigned qi)
{
    f.console.vd.ops->notify(&f.console.vd, (uint16_t)qi);
}

/* One round of the loop: everything that is ready now. */
static void stop_loop(struct loop_source *s, uint32_t events)
{
    (void)events;
    (void)s;
    f.loop.stop = true;
}

static void turn(void)
{
    struct err e;
    int p[2];
    struct loop_source s = {.ready = stop_loop};
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "", 1), 1);
    s.fd = p[0];
    assert_int_equal(loop_add(&f.loop, &s, EPOLLIN, &e), 0);
    f.loop.stop = false;
    assert_int_equal(loop_run(&f.loop, &e), 0);
    loop_remove(&f.loop, &s);
    (void)close(p[0]);
    (void)close(p[1]);
}

static void put_frame(const void *bytes, uint32_t size)
{
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_CTL);
    assert_true(gmem_write(&f.mem, gpa(DRIVER_DATA), bytes, size));
    driver_put(&f.d[q], 0, DRIVER_DATA, size, false);
    notify(q);
}

static void output_waits_for_a_slow_reader(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    static char text[65536];
    memset(gmem_at(&f.mem, gpa(DRIVER_DATA), 196608), 'x', 196608);
    for (uint16_t i = 0; i < 3; i++)
        driver_put(&f.d[q], i, DRIVER_DATA, 65536, false);
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 1); /* the pipe is full */
    assert_false(console_drained(&f.console));
    size_t got = 0;
    while (got < sizeof(text) * 3) {
        ssize_t n = read(f.out[0], text, sizeof(text));
        assert_true(n > 0);
        got += (size_t)n;
        turn();
    }
    assert_int_equal(driver_used(&f.d[q])->idx, 3);
    assert_true(console_drained(&f.console));
}

static void reader_that_left_does_not_stop_the_guest(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    (void)close(f.out[0]);
    f.out[0] = -1;
    for (uint16_t i = 0; i < 3; i++)
        driver_put(&f.d[q], i, DRIVER_DATA, 65536, false);
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 3);
}

static void a_full_disk_does_not_end_the_output(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    struct console_flow *out = &f.console.out[0];
    char said[256] = "";
    int file = memfd_create("file", MFD_CLOEXEC);
    int says[2];
    struct rlimit old;
    assert_int_equal(pipe(says), 0);
    log_init(says[1], LOG_WARN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {50000, old.rlim_max};
    out->stream = (struct stream){.kind = STREAM_FILE, .fd = file};
    for (uint16_t i = 0; i < 3; i++)
        driver_put(&f.d[q], i, DRIVER_DATA, 40000, false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    notify(q);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(driver_used(&f.d[q])->idx, 3);
    assert_int_equal(lseek(file, 0, SEEK_END), 50000);
    driver_put(&f.d[q], 3, DRIVER_DATA, 10000, false);
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 4);
    assert_int_equal(lseek(file, 0, SEEK_END), 60000);
    assert_true(read(says[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "stdout: "));
    assert_int_equal(strlen(said), strcspn(said, "\n") + 1); /* once */
    log_init(STDERR_FILENO, LOG_WARN);
    (void)close(says[0]);
    (void)close(says[1]);
    (void)close(file);
}

static void the_end_waits_for_what_was_there(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    static char text[65536];
    size_t got = 0;
    memset(gmem_at(&f.mem, gpa(DRIVER_DATA), 65536), 'x', 65536);
    for (uint16_t i = 0; i < 3; i++)
        driver_put(&f.d[q], i, DRIVER_DATA, 65536, false);
    console_end(&f.console);
    assert_false(console_drained(&f.console));
    driver_put(&f.d[q], 3, DRIVER_DATA, 65536, false); /* too late */
    console_end(&f.console);
    for (int i = 0; !f.drained && i < 1000; i++) {
        ssize_t n = read(f.out[0], text, sizeof(text));
        got += n > 0 ? (size_t)n : 0;
        turn();
    }
    assert_true(f.drained);
    assert_int_equal(fcntl(f.out[0], F_SETFL, O_NONBLOCK), 0);
    for (ssize_t n; (n = read(f.out[0], text, sizeof(text))) > 0;)
        got += (size_t)n;
    assert_int_equal(got, 3 * sizeof(text));
    assert_int_equal(driver_used(&f.d[q])->idx, 3);
}

/* All descriptors in one chain over the same `size` bytes of `with`. */
static void put_long_chain(unsigned q, char with, uint32_t size)
{
    memset(gmem_at(&f.mem, gpa(DRIVER_DATA), size), with, size);
    for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++)
        *driver_desc(&f.d[q], i) = (struct virtq_desc){
            DRIVER_DATA, size,
            i + 1 < DRIVER_QUEUE_SIZE ? VIRTQ_DESC_F_NEXT : 0,
            (uint16_t)(i + 1)};
    driver_offer(&f.d[q], 0);
}

static void a_long_chain_is_written_in_turns(void **state)
{
    (void)state;
    enum { SIZE = 65536, ALL = SIZE * DRIVER_QUEUE_SIZE };
    static const char line[] = "2000-01-01T00:00:00.000000000Z stdout F \n";
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO);
    struct console_flow *out = &f.console.out[0];
    int log = memfd_create("log", MFD_CLOEXEC);
    int turns = 0;
    out->stream.kind = STREAM_NONE;
    out->log.fd = log;
    put_long_chain(q, '\n', SIZE);
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 0);
    assert_in_range(out->done, 1,
                    3 * SIZE); /* and what console_drained() did */
    assert_false(f.drained);
    for (; !f.drained && turns < ALL; turns++)
        turn(); /* nobody rings */
    assert_in_range(turns, 2, 100);
    assert_int_equal(driver_used(&f.d[q])->idx, 1);
    assert_int_equal(lseek(log, 0, SEEK_END), ALL * (sizeof(line) - 1));
    /* Nobody counts lines here, but megabytes are turns, too. */
    out->log.fd = -1;
    put_long_chain(q, 'x', 1 << 20);
    f.drained = false;
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 1);
    for (turns = 0; !f.drained && turns < ALL; turns++)
        turn();
    assert_in_range(turns, 2, DRIVER_QUEUE_SIZE);
    assert_int_equal(driver_used(&f.d[q])->idx, 2);
    (void)close(log);
}

static void control_frames_come_in_short_chains(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_CTL);
    put_long_chain(q, 0, 8192); /* frames of no type */
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 1);
    put_long_chain(q, 0, 8193);
    notify(q);
    assert_int_equal(driver_used(&f.d[q])->idx, 1);
    assert_true((f.t.status & VIRTIO_STATUS_NEEDS_RESET) != 0);
}

static void stdin_arrives_then_its_end(void **state)
{
    (void)state;
    unsigned q = VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO);
    unsigned c = VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL);
    struct {
        struct ctl_header h;
        uint64_t sent;
    } frame;
    assert_int_equal(write(f.in[1], "hello", 5), 5);
    turn();
    assert_int_equal(driver_used(&f.d[q])->idx, 0); /* no buffer yet */
    driver_put(&f.d[q], 0, DRIVER_DATA, 100, true);
    notify(q);
    turn();
    assert_int_equal(driver_used(&f.d[q])->ring[0].len, 5);
    assert_memory_equal(gmem_at(&f.mem, gpa(DRIVER_DATA), 5), "hello", 5);
    driver_put(&f.d[q], 1, DRIVER_DATA, 100, true);
    notify(q);
    (void)close(f.in[1]);
    f.in[1] = -1;
    turn();
    driver_put(&f.d[c], 0, DRIVER_DATA, sizeof(frame), true);
    notify(c);
    assert_true(gmem_read(&f.mem, gpa(DRIVER_DATA), &frame, sizeof(frame)));
    assert_int_equal(frame.h.type, CTL_STDIN_EOF);
    assert_int_equal(frame.sent, 5);
}

static void frames_may_arrive_in_pieces(void **state)
{
    (void)state;
    struct {
        struct ctl_header h;
        struct ctl_exit x;
        char msg[4];
    } frame = {{CTL_EXIT, sizeof(struct ctl_exit) + 4},
               {.kind = CTL_EXITED, .code = 7, .msg_size = 4},
               "abc"};
    const uint8_t *p = (const uint8_t *)&frame;
    for (size_t i = 0; i < 8 + frame.h.size; i++)
        put_frame(p + i, 1);
    assert_int_equal(f.exits, 1);
    assert_int_equal(f.report.exit.code, 7);
    assert_string_equal(f.report.message, "abc");
    struct ctl_header log = {CTL_LOG, 2};
    put_frame(&log, sizeof(log));
    put_frame("hi", 2);
    assert_string_equal(f.log, "hi");
}

static void wrong_frames_are_ignored(void **state)
{
    (void)state;
    struct {
        struct ctl_header h;
        struct ctl_exit x;
    } frame = {{CTL_EXIT, sizeof(struct ctl_exit)}, {.kind = CTL_MONITOR}};
    put_frame(&frame, sizeof(frame)); /* not the guest's to say */
    frame.h.size = 8;
    put_frame(&frame, 16); /* too short */
    struct ctl_header odd = {99, 0};
    put_frame(&odd, sizeof(odd));
    assert_int_equal(f.exits, 0);
    odd.size = CTL_FRAME_MAX; /* the framing is lost now */
    put_frame(&odd, sizeof(odd));
    frame.h.size = sizeof(struct ctl_exit);
    frame.x.kind = CTL_EXITED;
    put_frame(&frame, sizeof(frame));
    assert_int_equal(f.exits, 0);
    assert_true(f.ctl.deaf);
}

/* A guest that talks for ever must not fill the socket before CTL_EXIT. */
static void notices_are_passed_on_but_not_for_ever(void **state)
{
    (void)state;
    struct {
        struct ctl_header h;
        char text[CTL_MSG_MAX + 1];
    } m = {{CTL_KILLED, 3}, "hog"}, got;
    for (int i = 0; i < 100; i++)
        put_frame(&m, sizeof(m.h) + 3);
    for (int i = 0; i < CTL_NOTICES_MAX; i++) {
        assert_int_equal(recv(f.client[0], &got, sizeof(got), MSG_DONTWAIT),
                         sizeof(m.h) + 3);
        assert_memory_equal(&got, &m, sizeof(m.h) + 3);
    }
    assert_int_equal(recv(f.client[0], &got, sizeof(got), MSG_DONTWAIT), -1);
    f.ctl.notices = 0;
    m.h.size = CTL_MSG_MAX + 1; /* more than a client takes */
    put_frame(&m, sizeof(m));
    assert_int_equal(recv(f.client[0], &got, sizeof(got), MSG_DONTWAIT), -1);
}

static void client_signals_reach_the_guest(void **state)
{
    (void)state;
    unsigned c = VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL);
    struct {
        struct ctl_header h;
        struct ctl_signal s;
    } m = {{CTL_SIGNAL, sizeof(struct ctl_signal)}, {.signo = 15}};
    char byte;
    assert_int_equal(send(f.client[0], &m, sizeof(m), 0), sizeof(m));
    turn();
    driver_put(&f.d[c], 0, DRIVER_DATA, 64, true);
    notify(c);
    assert_int_equal(driver_used(&f.d[c])->ring[0].len, sizeof(m));
    assert_memory_equal(gmem_at(&f.mem, gpa(DRIVER_DATA), sizeof(m)), &m,
                        sizeof(m));
    m.s.signo = 65; /* there is no such signal: the client goes */
    assert_int_equal(send(f.client[0], &m, sizeof(m), 0), sizeof(m));
    turn();
    assert_int_equal(recv(f.client[0], &byte, 1, 0), 0);
}

static void clients_wait_while_the_guest_is_slow(void **state)
{
    (void)state;
    struct {
        struct ctl_header h;
        struct ctl_winsize w;
    } m = {{CTL_WINSIZE, sizeof(struct ctl_winsize)}, {.rows = 1}};
    unsigned sent = 0;
    while (send(f.client[0], &m, sizeof(m), MSG_DONTWAIT) > 0) {
        sent++;
        turn();
    }
    assert_true(sent > 100);
    assert_true(f.console.pending_size < sizeof(f.console.pending));
    unsigned c = VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL);
    size_t got = 0;
    for (uint16_t i = 0; got < sent * sizeof(m); i++) {
        driver_put(&f.d[c], i % DRIVER_QUEUE_SIZE, DRIVER_DATA, 4096, true);
        notify(c);
        turn();
        turn();
        assert_true(i < 10000);
        got = 0;
        for (uint16_t u = 0; u < driver_used(&f.d[c])->idx; u++)
            got +=
                u < DRIVER_QUEUE_SIZE ? driver_used(&f.d[c])->ring[u].len : 0;
        if (driver_used(&f.d[c])->idx >= DRIVER_QUEUE_SIZE)
            break; /* moving: enough */
    }
    assert_true(got > 0);
}

/* More clients than there are places, while the guest reads nothing. */
static void clients_that_left_keep_no_place(void **state)
{
    (void)state;
    const struct {
        struct ctl_header h;
        struct ctl_signal s;
    } m = {{CTL_SIGNAL, sizeof(struct ctl_signal)}, {.signo = 10}};
    const struct {
        struct ctl_header h;
        struct ctl_net_slot s;
    } net = {{CTL_NET_REMOVE, sizeof(struct ctl_net_slot)}, {.slot = 0}};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(at);
    struct err e;
    int listener =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (void *)&at, sizeof(at.sun_family)), 0);
    assert_int_equal(getsockname(listener, (void *)&at, &size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(ctl_attach(&f.ctl, -1, listener, &e), 0);
    while (send(f.client[0], &m, sizeof(m), MSG_DONTWAIT) > 0)
        turn();
    for (unsigned i = 0; i < 4 * CTL_CLIENTS_MAX; i++) {
        const void *what = i % 3 == 0 ? (const void *)&m : &net;
        const size_t length = i % 3 == 0 ? sizeof(m) : sizeof(net);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        unsigned asked = f.asked;
        assert_int_equal(connect(fd, (void *)&at, size), 0);
        turn();
        if (i % 3 != 2) /* the third says nothing */
            assert_int_equal(send(fd, what, length, 0), length);
        turn();
        assert_int_equal(f.asked, asked + (i % 3 == 1));
        (void)close(fd);
        turn();
    }
    assert_true(f.ctl.client[0].used); /* it is still there */
    (void)close(listener);
}

static void control_queue_answers_a_stock_driver(void **state)
{
    (void)state;
    struct virtio_console_control ready = {0, VIRTIO_CONSOLE_DEVICE_READY, 1};
    struct virtio_console_control add;
    unsigned rx = VIRTIO_CONSOLE_CTL_RXQ;
    unsigned tx = VIRTIO_CONSOLE_CTL_TXQ;
    for (uint16_t i = 0; i < 3; i++)
        driver_put(&f.d[rx], i, DRIVER_DATA + 64 * (uint64_t)i, 64, true);
    assert_true(gmem_write(&f.mem, gpa(0x200000), &ready, sizeof(ready)));
    driver_put(&f.d[tx], 0, 0x200000, sizeof(ready), false);
    notify(tx);
    assert_int_equal(driver_used(&f.d[rx])->idx, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(gmem_read(&f.mem, gpa(DRIVER_DATA + 64 * (uint64_t)i), &add,
                              sizeof(add)));
        assert_int_equal(add.id, i);
        assert_int_equal(add.event, VIRTIO_CONSOLE_DEVICE_ADD);
    }
}

static void set(uint32_t reg, uint32_t v)
{
    f.t.window.ops->write(&f.t.window, reg, (uint8_t *)&v, sizeof(v));
}

/* 4.2.3.1, with all queues. */
static void negotiate(void)
{
    set(VIRTIO_MMIO_REG_STATUS, 0);
    set(VIRTIO_MMIO_REG_STATUS, 3);
    set(VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_REG_DRIVER_FEATURES, 1);
    set(VIRTIO_MMIO_REG_STATUS, 11);
    for (uint32_t q = 0; q < QUEUES; q++) {
        driver_init(&f.d[q], &f.mem, q);
        const struct virtq_place *p = &f.d[q].place;
        set(VIRTIO_MMIO_REG_QUEUE_SEL, q);
        set(VIRTIO_MMIO_REG_QUEUE_NUM, p->size);
        set(VIRTIO_MMIO_REG_QUEUE_DESC_LOW, (uint32_t)p->desc);
        set(VIRTIO_MMIO_REG_QUEUE_DRIVER_LOW, (uint32_t)p->avail);
        set(VIRTIO_MMIO_REG_QUEUE_DEVICE_LOW, (uint32_t)p->used);
        set(VIRTIO_MMIO_REG_QUEUE_READY, 1);
    }
    set(VIRTIO_MMIO_REG_STATUS, 15);
}

static void tell(uint32_t port, uint16_t event, uint16_t number)
{
    const struct virtio_console_control m = {port, event, number};
    assert_true(gmem_write(&f.mem, gpa(0x200000), &m, sizeof(m)));
    driver_put(&f.d[VIRTIO_CONSOLE_CTL_TXQ], 0, 0x200000, sizeof(m), false);
    notify(VIRTIO_CONSOLE_CTL_TXQ);
}

static void ports_get_nothing_before_they_are_open(void **state)
{
    (void)state;
    const unsigned in = VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO);
    const unsigned ctl = VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL);
    negotiate();
    assert_int_equal(write(f.in[1], "hello", 5), 5);
    (void)close(f.in[1]);
    f.in[1] = -1;
    for (uint16_t i = 0; i < 2; i++)
        driver_put(&f.d[in], i, DRIVER_DATA + 64 * (uint64_t)i, 64, true);
    driver_put(&f.d[ctl], 0, 0x300000, 64, true);
    notify(in);
    notify(ctl);
    turn();
    assert_int_equal(driver_used(&f.d[in])->idx, 0);
    tell(BOOT_PORT_STDIO, VIRTIO_CONSOLE_PORT_OPEN, 1);
    turn();
    assert_int_equal(driver_used(&f.d[in])->idx, 1);
    assert_memory_equal(gmem_at(&f.mem, gpa(DRIVER_DATA), 5), "hello", 5);
    turn(); /* the end of stdin, on the other port */
    assert_int_equal(driver_used(&f.d[ctl])->idx, 0);
    tell(99, VIRTIO_CONSOLE_PORT_OPEN, 1);
    tell(BOOT_PORT_CTL, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_int_equal(driver_used(&f.d[ctl])->idx, 1);
    assert_int_equal(*(uint32_t *)gmem_at(&f.mem, gpa(0x300000), 4),
                     CTL_STDIN_EOF);
}

static void report_is_collected_without_a_doorbell(void **state)
{
    (void)state;
    const struct {
        struct ctl_header h;
        struct ctl_exit x;
    } frame = {{CTL_EXIT, sizeof(struct ctl_exit)}, {.code = 9}};
    unsigned q = VIRTIO_CONSOLE_TXQ(BOOT_PORT_CTL);
    assert_true(gmem_write(&f.mem, gpa(DRIVER_DATA), &frame, sizeof(frame)));
    driver_put(&f.d[q], 0, DRIVER_DATA, sizeof(frame), false);
    console_collect(&f.console);
    assert_int_equal(f.exits, 1);
    assert_int_equal(f.report.exit.code, 9);
}

#define CONSOLE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONSOLE_TEST(output_waits_for_a_slow_reader),
        CONSOLE_TEST(reader_that_left_does_not_stop_the_guest),
        CONSOLE_TEST(a_full_disk_does_not_end_the_output),
        CONSOLE_TEST(the_end_waits_for_what_was_there),
        CONSOLE_TEST(a_long_chain_is_written_in_turns),
        CONSOLE_TEST(control_frames_come_in_short_chains),
        CONSOLE_TEST(stdin_arrives_then_its_end),
        CONSOLE_TEST(ports_get_nothing_before_they_are_open),
        CONSOLE_TEST(report_is_collected_without_a_doorbell),
        CONSOLE_TEST(frames_may_arrive_in_pieces),
        CONSOLE_TEST(wrong_frames_are_ignored),
        CONSOLE_TEST(notices_are_passed_on_but_not_for_ever),
        CONSOLE_TEST(client_signals_reach_the_guest),
        CONSOLE_TEST(clients_wait_while_the_guest_is_slow),
        CONSOLE_TEST(clients_that_left_keep_no_place),
        CONSOLE_TEST(control_queue_answers_a_stock_driver),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
