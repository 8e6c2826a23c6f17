// SPDX-License-Identifier: Apache-2.0
/* Pseudo-terminals: both sides, names, hang-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/frame.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

static struct superblock *devpts;
static struct file *master, *slave;

static struct file *open_with(int (*open)(struct file *f, uint64_t rdev),
                              uint64_t rdev, int *r)
{
    struct inode *i = anon_inode(LX_S_IFCHR | 0600, "tty");
    struct file *f = file_new(NULL, i, LX_O_RDWR | LX_O_NONBLOCK);
    inode_put(i);
    *r = open(f, rdev);
    if (*r == 0)
        return f;
    f->ops = NULL;
    inode_put(f->inode);
    return NULL;
}

static int64_t io(struct file *f, bool out, const void *data, size_t n)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    uio_kernel(&u, &seg, (void *)(uintptr_t)data, n);
    return out ? f->ops->write(f, &u, &pos) : f->ops->read(f, &u, &pos);
}

static void expect(struct file *f, const char *want)
{
    char buf[64] = {0};
    assert_int_equal(io(f, false, buf, sizeof(buf) - 1), strlen(want));
    assert_string_equal(buf, want);
}

static int setup(void **state)
{
    (void)state;
    int r;
    uint32_t number = 99, zero = 0;
    fake_init(16 << 20);
    current()->sigmask = UINT64_MAX;
    assert_int_equal(devpts_mount(&devpts), 0);
    master = open_with(ptmx_open, 0x502, &r);
    assert_int_equal(r, 0);
    assert_int_equal(
        master->ops->ioctl(master, LX_TIOCGPTN, (uintptr_t)&number), 0);
    assert_int_equal(number, 0);
    assert_null(open_with(pts_open, LX_MKDEV(136, 0), &r));
    assert_int_equal(r, -EIO); /* locked */
    assert_int_equal(
        master->ops->ioctl(master, LX_TIOCSPTLCK, (uintptr_t)&zero), 0);
    slave = open_with(pts_open, LX_MKDEV(136, 0), &r);
    assert_int_equal(r, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (slave != NULL)
        file_put(slave);
    if (master != NULL)
        file_put(master);
    return 0;
}

static void test_both_ways(void **state)
{
    (void)state;
    assert_int_equal(io(master, true, "ls\r", 3), 3);
    expect(slave, "ls\n");
    expect(master, "ls\r\n"); /* echo */
    assert_int_equal(io(slave, true, "out\n", 4), 4);
    assert_int_equal(master->ops->poll(master, NULL) & EPOLLIN, EPOLLIN);
    expect(master, "out\r\n");
    char c;
    assert_int_equal(io(master, false, &c, 1), -EAGAIN);
}

#define MANY 50000

static void fill(struct file *from, const char *data, int64_t *n)
{
    *n = io(from, true, data, MANY);
    assert_in_range(*n, 22048,
                    8 * 4096 + TTY_BUF_SIZE); /* Linux's, the bound */
    assert_int_equal(io(from, true, data, 1), -EAGAIN);
    assert_int_equal(from->ops->poll(from, NULL) & EPOLLOUT, 0);
}

static void empty(struct file *f, const char *data, int64_t n)
{
    static char back[MANY];
    int64_t got, done = 0;
    while ((got = io(f, false, back + done, (size_t)(MANY - done))) > 0)
        done += got;
    assert_int_equal(got, -EAGAIN);
    assert_int_equal(done, n);
    assert_memory_equal(back, data, (size_t)n);
}

/* What both ways hold, in bytes and in memory, again and again. */
static void test_full(void **state)
{
    (void)state;
    static char many[MANY];
    for (size_t i = 0; i < MANY; i++)
        many[i] = (char)('!' + i % 89);
    struct lx_termios t;
    assert_int_equal(slave->ops->ioctl(slave, LX_TCGETS, (uintptr_t)&t), 0);
    t.lflag &= ~(LX_ICANON | LX_ECHO);
    assert_int_equal(slave->ops->ioctl(slave, LX_TCSETS, (uintptr_t)&t), 0);
    uint64_t before = page_free_count();
    for (size_t i = 0; i < 20; i++) {
        int64_t out, in;
        fill(slave, many, &out);
        fill(master, many, &in);
        assert_in_range(before - page_free_count(), 15, 17);
        empty(master, many, out);
        empty(slave, many, in);
        assert_in_range(before - page_free_count(), 1, 3);
        assert_int_equal(slave->ops->poll(slave, NULL) & EPOLLOUT, EPOLLOUT);
        assert_int_equal(master->ops->poll(master, NULL) & EPOLLOUT, EPOLLOUT);
        assert_int_equal(io(master, true, many, 100 * i), 100 * i);
        assert_int_equal(io(slave, true, many, 100 * i), 100 * i);
        empty(slave, many, (int64_t)(100 * i));
        empty(master, many, (int64_t)(100 * i));
    }
}

/* Complete lines are read while a long one waits for its end in the queue. */
static void test_long_line(void **state)
{
    (void)state;
    static char many[5000], back[5000];
    memset(many, 'y', sizeof(many));
    many[999] = '\n';
    many[4500] = '\n';
    assert_int_equal(io(master, true, many, 4501), 4501);
    assert_int_equal(io(slave, false, back, sizeof(back)), 1000);
    assert_int_equal(io(slave, false, back, sizeof(back)), 3501);
    assert_int_equal(io(slave, false, back, sizeof(back)), -EAGAIN);
}

static void test_flush(void **state)
{
    (void)state;
    static char many[20000];
    memset(many, '\n', sizeof(many));
    for (uint32_t cmd = LX_TCSETS; cmd <= LX_TCSETSF; cmd++) {
        struct lx_termios t;
        int64_t r;
        assert_int_equal(io(master, true, many, sizeof(many)), sizeof(many));
        (void)slave->ops->ioctl(slave, LX_TCGETS, (uintptr_t)&t);
        if (cmd == LX_TCSETSF)
            r = slave->ops->ioctl(slave, cmd, (uintptr_t)&t);
        else
            r = slave->ops->ioctl(slave, LX_TCFLSH, LX_TCIFLUSH);
        assert_int_equal(r, 0);
        assert_int_equal(io(slave, false, many, 1), -EAGAIN);
        assert_int_equal(io(master, true, "new\n", 4), 4);
        expect(slave, "new\n");
    }
}

static void test_slave_closes(void **state)
{
    (void)state;
    char c;
    int r;
    assert_int_equal(io(slave, true, "bye", 3), 3);
    file_put(slave);
    slave = NULL;
    expect(master, "bye");
    assert_int_equal(io(master, false, &c, 1), -EIO);
    assert_true((master->ops->poll(master, NULL) & EPOLLHUP) != 0);
    assert_int_equal(io(master, true, "in\n", 3), 3);
    expect(master, "in\r\n");
    assert_int_equal(io(master, false, &c, 1), -EIO);
    slave = open_with(pts_open, LX_MKDEV(136, 0), &r); /* again */
    assert_int_equal(r, 0);
    assert_int_equal(io(master, false, &c, 1), -EAGAIN);
    expect(slave, "in\n");
}

static void test_master_closes(void **state)
{
    (void)state;
    char c;
    int r;
    const struct process *p = current()->proc;
    assert_true(tty_is_mine(tty_of_file(slave)));
    file_put(master);
    master = NULL;
    assert_int_equal(io(slave, false, &c, 1), 0);
    assert_int_equal(io(slave, true, "x", 1), -EIO);
    assert_true((p->pending.set & SIG_BIT(LX_SIGHUP)) != 0);
    assert_true((slave->ops->poll(slave, NULL) & EPOLLHUP) != 0);
    assert_null(open_with(pts_open, LX_MKDEV(136, 0), &r));
    assert_int_equal(r, -EIO);
}

static void test_names(void **state)
{
    (void)state;
    struct inode *root = devpts->root->inode;
    struct dentry *d = dentry_new(devpts->root, "0", 1);
    assert_int_equal(root->dir->lookup(root, d), 0);
    assert_int_equal(d->inode->rdev, LX_MKDEV(136, 0));
    dentry_put(d);
    d = dentry_new(devpts->root, "00", 2);
    assert_int_equal(root->dir->lookup(root, d), -ENOENT);
    dentry_put(d);
    d = dentry_new(devpts->root, "ptmx", 4);
    assert_int_equal(root->dir->lookup(root, d), 0);
    dentry_put(d);
    int r;
    struct file *second = open_with(ptmx_open, 0x502, &r);
    uint32_t number = 99;
    assert_int_equal(
        second->ops->ioctl(second, LX_TIOCGPTN, (uintptr_t)&number), 0);
    assert_int_equal(number, 1);
    file_put(second);
    d = dentry_new(devpts->root, "1", 1);
    assert_int_equal(root->dir->lookup(root, d), -ENOENT);
    dentry_put(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_both_ways), T(test_full),         T(test_long_line),
        T(test_flush),     T(test_slave_closes), T(test_master_closes),
        T(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
