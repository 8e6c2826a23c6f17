// SPDX-License-Identifier: Apache-2.0
/* The line discipline: editing, echo, modes, signals, reading. */
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
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

static char shown[8192]; /* what the driver was given */
static size_t shown_size;
static size_t driver_room;
static unsigned unthrottled;
static struct tty *tty;
static struct file *file;

static size_t drv_write(struct tty *t, const void *data, size_t n)
{
    (void)t;
    n = MIN(n, driver_room);
    n = MIN(n, sizeof(shown) - shown_size);
    memcpy(shown + shown_size, data, n);
    shown_size += n;
    driver_room -= n;
    return n;
}

static size_t drv_room(struct tty *t)
{
    (void)t;
    return driver_room;
}

static size_t drv_queued(struct tty *t)
{
    (void)t;
    return 0;
}

static void drv_unthrottle(struct tty *t)
{
    (void)t;
    unthrottled++;
}

static void drv_nothing(struct tty *t)
{
    (void)t;
}

static const struct tty_driver driver = {
    .write = drv_write,
    .room = drv_room,
    .queued = drv_queued,
    .unthrottle = drv_unthrottle,
    .closed = drv_nothing,
    .free = drv_nothing,
};

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    driver_room = SIZE_MAX;
    shown_size = 0;
    unthrottled = 0;
    tty = tty_new(&driver, 0x501);
    struct inode *i = anon_inode(LX_S_IFCHR | 0600, "tty");
    assert_non_null(i);
    file = file_new(NULL, i, LX_O_RDWR | LX_O_NONBLOCK);
    assert_non_null(file);
    inode_put(i);
    assert_int_equal(tty_file_open(tty, file), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_put(file);
    tty_put(tty);
    return 0;
}

static void type(const char *s)
{
    assert_int_equal(tty_input(tty, s, strlen(s)), strlen(s));
}

static int64_t read_some(char *to, size_t n)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    uio_kernel(&u, &seg, to, n);
    return file->ops->read(file, &u, &pos);
}

static int64_t write_some(const char *s)
{
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    static char copy[4096];
    size_t n = strlen(s);
    memcpy(copy, s, n);
    uio_kernel(&u, &seg, copy, n);
    return file->ops->write(file, &u, &pos);
}

static void expect_read(const char *want)
{
    char buf[256] = {0};
    int64_t n = read_some(buf, sizeof(buf) - 1);
    assert_int_equal(n, strlen(want));
    assert_string_equal(buf, want);
}

static void expect_nothing(void)
{
    char buf[16];
    assert_int_equal(read_some(buf, sizeof(buf)), -EAGAIN);
}

static void expect_shown(const char *want)
{
    char buf[512] = {0};
    assert_in_range(shown_size, 0, sizeof(buf) - 1);
    memcpy(buf, shown, shown_size);
    assert_string_equal(buf, want);
    shown_size = 0;
}

static void set_flags(uint32_t lflag_off, uint32_t lflag_on, uint32_t iflag_off)
{
    mutex_lock(&tty->lock);
    struct lx_termios2 t = tty->termios;
    t.lflag = (t.lflag & ~lflag_off) | lflag_on;
    t.iflag &= ~iflag_off;
    ldisc_set_termios(tty, &t);
    mutex_unlock(&tty->lock);
}

static void set_min(uint8_t min, uint8_t time)
{
    tty->termios.cc[LX_VMIN] = min;
    tty->termios.cc[LX_VTIME] = time;
}

static void test_line(void **state)
{
    (void)state;
    type("hel");
    expect_nothing();
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLIN, 0);
    type("lo\r");
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLIN, EPOLLIN);
    expect_shown("hello\r\n");
    expect_read("hello\n");
    expect_nothing();
}

static void test_two_lines_are_two_reads(void **state)
{
    (void)state;
    type("one\ntwo\n");
    expect_read("one\n");
    expect_read("two\n");
}

static void test_short_reads_of_a_line(void **state)
{
    (void)state;
    char buf[4] = {0};
    type("abcdef\n");
    assert_int_equal(read_some(buf, 3), 3);
    assert_memory_equal(buf, "abc", 3);
    expect_read("def\n");
}

static void test_erase(void **state)
{
    (void)state;
    type("abX\177c\n");
    expect_shown("abX\b \bc\r\n");
    expect_read("abc\n");
    type("\177\177z\n"); /* nothing to erase */
    expect_read("z\n");
}

static void test_erase_utf8_and_control(void **state)
{
    (void)state;
    type("\xc3\xa9\177"); /* two bytes, one column */
    expect_shown("\xc3\xa9\b \b");
    type("\x16\x01\177"); /* VLNEXT ^A: two columns */
    expect_shown("^\b^A\b \b\b \b");
    type("ok\n");
    expect_read("ok\n");
}

static void test_erase_tab(void **state)
{
    (void)state;
    type("ab\t\177");
    expect_shown("ab\t\b\b\b\b\b\b");
    type("\n");
    expect_read("ab\n");
}

static void test_kill_word(void **state)
{
    (void)state;
    type("one two\027three\n"); /* ^W */
    expect_read("one three\n");
    type("garbage\025fine\n"); /* ^U */
    expect_read("fine\n");
}

static void test_eof(void **state)
{
    (void)state;
    type("abc\004"); /* ^D pushes */
    expect_read("abc");
    expect_nothing();
    type("\004");
    char c;
    assert_int_equal(read_some(&c, 1), 0);
    expect_nothing();
}

/* A read that fits exactly must not leave the mark behind. */
static void test_eof_after_exact_read(void **state)
{
    (void)state;
    char buf[3];
    type("abc\004");
    assert_int_equal(read_some(buf, 3), 3);
    expect_nothing();
}

static void test_literal(void **state)
{
    (void)state;
    type("a\026\003b\n"); /* ^V ^C */
    expect_read("a\003b\n");
}

static void test_raw(void **state)
{
    (void)state;
    char buf[8] = {0};
    set_flags(LX_ICANON | LX_ECHO | LX_ISIG | LX_IEXTEN, 0, LX_ICRNL);
    expect_nothing();
    type("x\r\003\177");
    expect_shown("");
    assert_int_equal(read_some(buf, sizeof(buf)), 4);
    assert_memory_equal(buf, "x\r\003\177", 4);
}

static void test_raw_min(void **state)
{
    (void)state;
    char buf[8];
    set_flags(LX_ICANON, 0, 0);
    set_min(3, 0);
    type("ab");
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLIN, 0);
    type("c");
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLIN, EPOLLIN);
    assert_int_equal(read_some(buf, sizeof(buf)), 3);
    set_min(0, 0);
    assert_int_equal(read_some(buf, sizeof(buf)), 0);
}

static void test_raw_timeout(void **state)
{
    (void)state;
    char buf[8];
    file->flags &= ~LX_O_NONBLOCK;
    set_flags(LX_ICANON, 0, 0);
    set_min(0, 5);
    nsec_t before = clock_now();
    assert_int_equal(read_some(buf, sizeof(buf)), 0);
    assert_true(clock_now() - before >= 5 * NSEC_PER_SEC / 10);
    set_min(4, 1); /* inter-byte: what there is after a pause */
    type("hi");
    assert_int_equal(read_some(buf, sizeof(buf)), 2);
}

static void test_mode_change_keeps_input(void **state)
{
    (void)state;
    type("part");
    set_flags(LX_ICANON, 0, 0);
    expect_read("part");
    type("more");
    set_flags(0, LX_ICANON, 0);
    expect_read("more");
}

static void test_output(void **state)
{
    (void)state;
    assert_int_equal(write_some("a\nb"), 3);
    expect_shown("a\r\nb");
    tty->termios.oflag &= ~LX_OPOST;
    assert_int_equal(write_some("a\nb"), 3);
    expect_shown("a\nb");
    tty->termios.oflag = LX_OPOST | LX_XTABS;
    assert_int_equal(write_some("\n"), 1);
    tty->column = 0;
    shown_size = 0;
    assert_int_equal(write_some("ab\tc"), 4);
    expect_shown("ab      c");
}

static void test_output_waits_for_room(void **state)
{
    (void)state;
    driver_room = 5;
    assert_int_equal(write_some("abcdefgh"), 4); /* in pieces of room / 2 */
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLOUT, 0);
    assert_int_equal(write_some("x"), -EAGAIN);
    driver_room = 100;
    assert_int_equal(file->ops->poll(file, NULL) & EPOLLOUT, EPOLLOUT);
}

static void test_stop_and_start(void **state)
{
    (void)state;
    type("\023"); /* ^S */
    assert_int_equal(write_some("x"), -EAGAIN);
    type("\021"); /* ^Q */
    assert_int_equal(write_some("x"), 1);
    expect_shown("x");
}

/* Signals reach the foreground group: ours. */
static void test_interrupt(void **state)
{
    (void)state;
    struct process *p = current()->proc;
    assert_true(tty_is_mine(tty)); /* a session leader's first open */
    current()->sigmask = UINT64_MAX;
    type("abc\003");
    expect_shown("abc^C");
    assert_true((p->pending.set & SIG_BIT(LX_SIGINT)) != 0);
    type("\034\032");
    assert_true((p->pending.set & SIG_BIT(LX_SIGQUIT)) != 0);
    assert_true((p->pending.set & SIG_BIT(LX_SIGTSTP)) != 0);
    type("\n");
    expect_read("\n"); /* the interrupted line is gone */
}

static void test_background(void **state)
{
    (void)state;
    char c;
    tty->pgrp = 12345;
    assert_int_equal(read_some(&c, 1), -EIO); /* orphaned group */
    current()->sigmask = SIG_BIT(LX_SIGTTOU);
    assert_int_equal(tty_check_job(tty, LX_SIGTTOU), 0);
    current()->sigmask = 0;
    assert_int_equal(tty_check_job(tty, LX_SIGTTOU), -EIO);
}

static void test_hangup(void **state)
{
    (void)state;
    char c;
    current()->sigmask = UINT64_MAX;
    tty_hangup(tty);
    assert_int_equal(read_some(&c, 1), 0);
    assert_int_equal(write_some("x"), -EIO);
    assert_true((file->ops->poll(file, NULL) & EPOLLHUP) != 0);
    assert_false(tty_is_mine(tty));
    const struct process *p = current()->proc;
    assert_true((p->pending.set & SIG_BIT(LX_SIGHUP)) != 0);
}

static void test_throttle(void **state)
{
    (void)state;
    static char many[3 * TTY_BUF_SIZE];
    memset(many, 'x', sizeof(many));
    set_flags(LX_ICANON | LX_ECHO, 0, 0);
    size_t took = tty_input(tty, many, sizeof(many));
    assert_in_range(took, TTY_BUF_SIZE / 2, TTY_BUF_SIZE);
    assert_int_equal(tty_input(tty, many, 1), 0);
    assert_int_equal(unthrottled, 0);
    assert_int_equal(read_some(many, sizeof(many)), took);
    assert_int_equal(unthrottled, 1);
    assert_int_equal(tty_input(tty, many, 10), 10);
}

/* A line that nobody could ever read whole loses characters, not its end. */
static void test_line_too_long(void **state)
{
    (void)state;
    static char many[2 * TTY_BUF_SIZE];
    memset(many, 'x', sizeof(many));
    set_flags(LX_ECHO, 0, LX_IMAXBEL);
    assert_int_equal(tty_input(tty, many, sizeof(many)), sizeof(many));
    type("\n");
    assert_int_equal(read_some(many, sizeof(many)), TTY_BUF_SIZE);
    assert_int_equal(many[TTY_BUF_SIZE - 1], '\n');
}

static void test_ioctl(void **state)
{
    (void)state;
    struct lx_termios t;
    struct lx_winsize w = {.row = 50, .col = 132}, got;
    int32_t n = 0;
    assert_int_equal(file->ops->ioctl(file, LX_TCGETS, (uintptr_t)&t), 0);
    assert_int_equal(t.cc[LX_VINTR], 3);
    t.lflag &= ~LX_ECHO;
    assert_int_equal(file->ops->ioctl(file, LX_TCSETSF, (uintptr_t)&t), 0);
    type("quiet\n");
    expect_shown("");
    assert_int_equal(file->ops->ioctl(file, LX_TIOCINQ, (uintptr_t)&n), 0);
    assert_int_equal(n, 6);
    current()->sigmask = UINT64_MAX;
    current()->proc->sighand->action[LX_SIGWINCH - 1].handler = 4096;
    assert_int_equal(file->ops->ioctl(file, LX_TIOCSWINSZ, (uintptr_t)&w), 0);
    assert_int_equal(file->ops->ioctl(file, LX_TIOCGWINSZ, (uintptr_t)&got), 0);
    assert_memory_equal(&w, &got, sizeof(w));
    const struct process *p = current()->proc;
    assert_true((p->pending.set & SIG_BIT(LX_SIGWINCH)) != 0);
    assert_int_equal(file->ops->ioctl(file, LX_TIOCSTI, (uintptr_t)&n), -EIO);
    assert_int_equal(file->ops->ioctl(file, 0x1234, 0), -ENOTTY);
    assert_int_equal(file->ops->ioctl(file, LX_TIOCGPGRP, (uintptr_t)&n), 0);
    assert_int_equal(n, p->pgid);
    n = -1;
    assert_int_equal(file->ops->ioctl(file, LX_TIOCSPGRP, (uintptr_t)&n),
                     -EINVAL);
    n = 31000;
    assert_int_equal(file->ops->ioctl(file, LX_TIOCSPGRP, (uintptr_t)&n),
                     -ESRCH);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_line),
        T(test_two_lines_are_two_reads),
        T(test_short_reads_of_a_line),
        T(test_erase),
        T(test_erase_utf8_and_control),
        T(test_erase_tab),
        T(test_kill_word),
        T(test_eof),
        T(test_eof_after_exact_read),
        T(test_literal),
        T(test_raw),
        T(test_raw_min),
        T(test_raw_timeout),
        T(test_mode_change_keeps_input),
        T(test_output),
        T(test_output_waits_for_room),
        T(test_stop_and_start),
        T(test_interrupt),
        T(test_background),
        T(test_hangup),
        T(test_throttle),
        T(test_line_too_long),
        T(test_ioctl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
