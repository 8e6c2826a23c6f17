// SPDX-License-Identifier: Apache-2.0
/* Pipes and FIFOs: order, atomicity, blocking, ends going away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/signal.h"

#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/uio.h"
#include "guest/fs/pipe.h"
#include "guest/fs/poll.h"
#include "tests/unit/guest_fs_env.h"

static struct file *rd, *wr;
static char trace[64];
static int running;

static int setup_group(void **state)
{
    (void)state;
    fake_init(64 << 20); /* once: the name cache outlives it */
    return 0;
}

static int setup(void **state)
{
    (void)state;
    env_root(NULL, 4 << 20);
    assert_int_equal(pipe_new(&rd, &wr, 0), 0);
    trace[0] = '\0';
    running = 0;
    return 0;
}

static int64_t give(struct file *f, const void *from, size_t n)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    uio_kernel(&u, &seg, (void *)(uintptr_t)from, n);
    return f->ops->write(f, &u, &pos);
}

static int64_t take(struct file *f, void *to, size_t n)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    uio_kernel(&u, &seg, to, n);
    return f->ops->read(f, &u, &pos);
}

static void spawn(void (*fn)(void *arg), void *arg)
{
    struct task *t = task_new_kernel("helper", fn, arg);
    assert_non_null(t);
    running++;
    sched_start(t);
}

static void settle(void)
{
    for (unsigned n = 0; n < 100; n++)
        sched_yield();
}

static void test_bytes_in_order(void **state)
{
    (void)state;
    static uint8_t in[200000], out[200000];
    size_t given = 0, taken = 0;
    unsigned step = 1;
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 31 >> 3);
    wr->flags |= LX_O_NONBLOCK;
    rd->flags |= LX_O_NONBLOCK;
    while (taken < sizeof(in)) {
        step = step * 7 % 9973 + 1;
        int64_t r = given < sizeof(in)
                        ? give(wr, in + given, MIN(step, sizeof(in) - given))
                        : -EAGAIN;
        if (r > 0)
            given += (size_t)r;
        step = step * 13 % 7919 + 1;
        r = take(rd, out + taken, MIN(step, sizeof(in) - taken));
        if (r > 0)
            taken += (size_t)r;
    }
    assert_memory_equal(in, out, sizeof(in));
}

static void test_nonblock_and_atomic(void **state)
{
    (void)state;
    static uint8_t block[70000];
    uint8_t byte;
    rd->flags |= LX_O_NONBLOCK;
    wr->flags |= LX_O_NONBLOCK;
    assert_int_equal(take(rd, &byte, 1), -EAGAIN);
    assert_int_equal(give(wr, block, sizeof(block)), 65536);
    assert_int_equal(give(wr, block, 1), -EAGAIN);
    assert_int_equal(wr->ops->poll(wr, NULL), 0);
    /* Room is counted in pages: one that was begun does not count. */
    assert_int_equal(take(rd, block, 100), 100);
    assert_int_equal(give(wr, block, 100), -EAGAIN);
    assert_int_equal(take(rd, block, 3996), 3996);
    assert_int_equal(give(wr, block, 1), 1);
    /* PIPE_BUF and less goes in whole or not at all, more as it fits. */
    assert_int_equal(give(wr, block, 4096), -EAGAIN);
    assert_int_equal(give(wr, block, 5000), 4095);
    assert_int_equal(take(rd, block, sizeof(block)), 65536);
}

static void test_small_traffic_touches_one_page(void **state)
{
    (void)state;
    struct page_stats before, after;
    char buf[16];
    assert_int_equal(give(wr, "x", 1), 1);
    assert_int_equal(take(rd, buf, 16), 1);
    page_stats(&before);
    for (unsigned n = 0; n < 100000; n++) {
        assert_int_equal(give(wr, "0123456789", 10), 10);
        assert_int_equal(take(rd, buf, 16), 10);
    }
    page_stats(&after);
    assert_int_equal(after.free, before.free);
    assert_int_equal(after.high, before.high);
}

/* O_DIRECT: each write is a packet, and takes a page's place. */
static void test_packets(void **state)
{
    (void)state;
    char buf[8];
    wr->flags |= LX_O_DIRECT | LX_O_NONBLOCK;
    rd->flags |= LX_O_NONBLOCK;
    for (unsigned n = 0; n < 16; n++)
        assert_int_equal(give(wr, "packet", 6), 6);
    assert_int_equal(give(wr, "x", 1), -EAGAIN);
    assert_int_equal(wr->ops->poll(wr, NULL), 0);
    assert_int_equal(take(rd, buf, 3), 3); /* the rest is dropped */
    assert_int_equal(take(rd, buf, 8), 6);
    assert_int_equal(give(wr, "x", 1), 1);
    assert_int_equal(pipe_set_size(rd, 4096), -EBUSY);
    assert_int_equal(pipe_set_size(rd, 131072), 131072);
    for (unsigned n = 0; n < 14; n++)
        assert_int_equal(take(rd, buf, 8), 6);
    assert_int_equal(take(rd, buf, 8), 1);
    assert_int_equal(take(rd, buf, 8), -EAGAIN);
}

static void reader(void *arg)
{
    char buf[8];
    int64_t n = take(arg, buf, sizeof(buf));
    (void)strncat(trace, n > 0 ? buf : "-", n > 0 ? (size_t)n : 1);
    running--;
    sched_exit();
}

static void test_reader_waits(void **state)
{
    (void)state;
    spawn(reader, rd);
    settle();
    assert_int_equal(running, 1);
    assert_int_equal(give(wr, "hi", 2), 2);
    settle();
    assert_int_equal(running, 0);
    assert_string_equal(trace, "hi");
    spawn(reader, rd);
    settle();
    file_put(wr); /* end of file */
    settle();
    assert_int_equal(running, 0);
    assert_string_equal(trace, "hi-");
}

static void writer(void *arg)
{
    static uint8_t block[150000];
    int64_t n = give(arg, block, sizeof(block));
    (void)strcat(trace, n == sizeof(block) ? "w" : "?");
    running--;
    sched_exit();
}

static void test_writer_waits(void **state)
{
    (void)state;
    static uint8_t buf[60000];
    spawn(writer, wr);
    settle();
    assert_int_equal(running, 1);
    assert_int_equal(take(rd, buf, sizeof(buf)), 60000);
    settle();
    assert_int_equal(running, 1);
    assert_int_equal(take(rd, buf, sizeof(buf)), 60000);
    settle();
    assert_string_equal(trace, "w");
    assert_int_equal(take(rd, buf, sizeof(buf)), 30000);
}

static void test_broken_pipe(void **state)
{
    (void)state;
    struct lx_siginfo si;
    struct process *p = current()->proc;
    p->sighand->action[LX_SIGPIPE - 1].handler = 0x400000;
    assert_int_equal(wr->ops->poll(wr, NULL) & EPOLLERR, 0);
    file_put(rd);
    assert_int_equal(wr->ops->poll(wr, NULL) & EPOLLERR, EPOLLERR);
    assert_int_equal(give(wr, "x", 1), -EPIPE);
    assert_int_equal(signal_dequeue(current(), SIG_BIT(LX_SIGPIPE), &si),
                     LX_SIGPIPE);
}

static void test_poll(void **state)
{
    (void)state;
    const uint32_t in = EPOLLIN | EPOLLRDNORM;
    const uint32_t out = EPOLLOUT | EPOLLWRNORM;
    assert_int_equal(rd->ops->poll(rd, NULL), 0);
    assert_int_equal(wr->ops->poll(wr, NULL), out);
    assert_int_equal(give(wr, "x", 1), 1);
    assert_int_equal(rd->ops->poll(rd, NULL), in);
    file_put(wr);
    assert_int_equal(rd->ops->poll(rd, NULL), in | EPOLLHUP);
}

static void test_size(void **state)
{
    (void)state;
    static uint8_t block[200000], back[200000];
    int32_t fds[2];
    for (unsigned i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(i % 251);
    assert_int_equal(CALL(pipe2, P(fds), LX_O_NONBLOCK), 0);
    uint64_t r = (uint64_t)fds[0], w = (uint64_t)fds[1];
    assert_int_equal(CALL(fcntl, r, LX_F_GETPIPE_SZ, 0), 65536);
    assert_int_equal(CALL(write, w, P(block), 60000), 60000);
    assert_int_equal(CALL(read, r, P(back), 50000), 50000);
    assert_int_equal(CALL(write, w, P(block + 60000), 50000), 50000);
    assert_int_equal(CALL(fcntl, w, LX_F_SETPIPE_SZ, 100), -EBUSY);
    assert_int_equal(CALL(fcntl, w, LX_F_SETPIPE_SZ, 100000), 131072);
    assert_int_equal(CALL(write, w, P(block + 110000), 80000), 71072);
    uint32_t pending = 0;
    assert_int_equal(CALL(ioctl, r, LX_FIONREAD, P(&pending)), 0);
    assert_int_equal(pending, 131072);
    assert_int_equal(CALL(read, r, P(back), 200000), 131072);
    assert_memory_equal(back, block + 50000, 131072);
    assert_int_equal(CALL(fcntl, w, LX_F_SETPIPE_SZ, 1), 4096);
    assert_int_equal(CALL(lseek, r, 0, LX_SEEK_SET), -ESPIPE);
    assert_int_equal(CALL(pread64, r, P(back), 1, 0), -ESPIPE);
    assert_int_equal(CALL(fcntl, 99, LX_F_GETPIPE_SZ, 0), -EBADF);
}

static struct file *opened;

static void fifo_reader(void *arg)
{
    (void)arg;
    if (file_open(AT_FDCWD, "/fifo", LX_O_RDONLY, 0, 0, &opened) == 0)
        (void)strcat(trace, "r");
    running--;
    sched_exit();
}

static void test_fifo_open(void **state)
{
    (void)state;
    struct file *f, *g;
    assert_int_equal(fs_mknod(AT_FDCWD, "/fifo", LX_S_IFIFO | 0666, 0), 0);
    const uint32_t nonblock = LX_O_NONBLOCK;
    assert_int_equal(
        file_open(AT_FDCWD, "/fifo", LX_O_WRONLY | nonblock, 0, 0, &f), -ENXIO);
    spawn(fifo_reader, NULL);
    settle();
    assert_string_equal(trace, ""); /* waits for a writer */
    assert_int_equal(file_open(AT_FDCWD, "/fifo", LX_O_WRONLY, 0, 0, &f), 0);
    settle();
    assert_string_equal(trace, "r");
    assert_int_equal(give(f, "data", 4), 4);
    char buf[8];
    assert_int_equal(take(opened, buf, 8), 4);
    file_put(f);
    assert_int_equal(take(opened, buf, 8), 0);
    assert_int_equal(opened->ops->poll(opened, NULL), EPOLLHUP);
    file_put(opened);
    /* A reader that does not wait: no writer was there, no hang-up. */
    assert_int_equal(
        file_open(AT_FDCWD, "/fifo", LX_O_RDONLY | nonblock, 0, 0, &f), 0);
    assert_int_equal(f->ops->poll(f, NULL), 0);
    assert_int_equal(
        file_open(AT_FDCWD, "/fifo", LX_O_WRONLY | nonblock, 0, 0, &g), 0);
    file_put(g);
    assert_int_equal(f->ops->poll(f, NULL), EPOLLHUP);
    file_put(f);
    assert_int_equal(file_open(AT_FDCWD, "/fifo", LX_O_RDWR, 0, 0, &f), 0);
    file_put(f);
}

/* cat /dev/stdin: the pipe is opened again after its writer went. */
static void test_open_again(void **state)
{
    (void)state;
    struct path p;
    struct file *f;
    char buf[8];
    assert_int_equal(give(wr, "x", 1), 1);
    file_put(wr);
    assert_int_equal(path_of_file(rd, &p), 0);
    assert_int_equal(file_open_path(&p, LX_O_RDONLY, &f), 0);
    assert_int_equal(take(f, buf, 8), 1);
    assert_int_equal(take(f, buf, 8), 0);
    assert_int_equal(f->ops->poll(f, NULL), EPOLLHUP);
    file_put(f);
    path_put(&p);
    file_put(rd);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_in_order),
        TEST(test_nonblock_and_atomic),
        TEST(test_small_traffic_touches_one_page),
        TEST(test_packets),
        TEST(test_reader_waits),
        TEST(test_writer_waits),
        TEST(test_broken_pipe),
        TEST(test_poll),
        TEST(test_size),
        TEST(test_fifo_open),
        TEST(test_open_again),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
