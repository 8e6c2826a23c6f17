// SPDX-License-Identifier: Apache-2.0
/* inotify(7) as system calls: which events come, in what order and form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/poll.h"

#include "guest/core/kmem.h"
#include "guest/fs/file.h"
#include "guest/fs/inotify.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_dev.h"
#include "tests/unit/guest_fs_env.h"

#define FIONREAD   0x541b
#define QUEUE_MAX  16384u
#define WIRE_BYTES 16u

struct wire { /* struct inotify_event */
    int32_t wd;
    uint32_t mask, cookie, len;
};

static int in_fd;           /* the instance of the test, not blocking */
static uint8_t queue[4096]; /* what the last read gave and nobody took yet */
static size_t queue_at, queue_end;

static int setup_group(void **state)
{
    (void)state;
    fake_init(64 << 20);
    return 0;
}

static int instance(void)
{
    int fd = (int)CALL(inotify_init1, LX_O_NONBLOCK);
    assert_in_range(fd, 0, 1000);
    return fd;
}

static int setup(void **state)
{
    (void)state;
    env_root(NULL, 4 << 20);
    queue_at = queue_end = 0;
    in_fd = instance();
    return 0;
}

/* Closing the files ends all watches: none may be left over. */
static int teardown(void **state)
{
    (void)state;
    fdtable_put(current()->proc->files);
    current()->proc->files = fdtable_new();
    assert_int_equal(inotify_watches, 0);
    return 0;
}

static int watch(const char *name, uint32_t mask)
{
    return (int)CALL(inotify_add_watch, (uint64_t)in_fd, P(name), mask);
}

static int64_t read_events(void *to, size_t size)
{
    return CALL(read, (uint64_t)in_fd, P(to), size);
}

static void touch(const char *name)
{
    assert_int_equal(env_write(name, LX_O_CREAT, "x", 1), 1);
}

/* The next event is this one; its cookie. `name` NULL: it has none. */
static uint32_t expect(int wd, uint32_t mask, const char *name)
{
    struct wire w;
    if (queue_at == queue_end) {
        int64_t n = read_events(queue, sizeof(queue));
        assert_in_range(n, WIRE_BYTES, sizeof(queue));
        queue_at = 0;
        queue_end = (size_t)n;
    }
    memcpy(&w, queue + queue_at, sizeof(w));
    assert_int_equal(w.wd, wd);
    assert_int_equal(w.mask, mask);
    if (name == NULL) {
        assert_int_equal(w.len, 0);
    } else {
        assert_true(w.len > strlen(name));
        assert_string_equal(queue + queue_at + sizeof(w), name);
    }
    queue_at += sizeof(w) + w.len;
    assert_true(queue_at <= queue_end);
    return w.cookie;
}

static void expect_none(void)
{
    assert_int_equal(queue_at, queue_end);
    assert_int_equal(read_events(queue, sizeof(queue)), -EAGAIN);
}

/* inotify_add_watch(2), ERRORS. */
static void test_errors(void **state)
{
    (void)state;
    touch("f");
    int plain = env_open("f", LX_O_RDONLY);
    assert_int_equal(CALL(inotify_init1, 1), -EINVAL);
    assert_int_equal(watch("f", 0), -EINVAL);
    assert_int_equal(watch("f", 0x00100000), -EINVAL);
    assert_int_equal(watch("f", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE),
                     -EINVAL);
    assert_int_equal(CALL(inotify_add_watch, (uint64_t)plain, P("f"), IN_OPEN),
                     -EINVAL);
    assert_int_equal(CALL(inotify_add_watch, 99, P("f"), IN_OPEN), -EBADF);
    assert_int_equal(watch("none", IN_OPEN), -ENOENT);
    assert_int_equal(watch("f", IN_OPEN | IN_ONLYDIR), -ENOTDIR);
    assert_int_equal(CALL(fchmodat, HERE, P("f"), 0600), 0);
    env_user(1000);
    assert_int_equal(watch("f", IN_OPEN), -EACCES);
    env_user(0);
    assert_int_equal(CALL(inotify_rm_watch, (uint64_t)in_fd, 1), -EINVAL);
    assert_int_equal(CALL(inotify_rm_watch, (uint64_t)plain, 1), -EINVAL);
    assert_int_equal(CALL(inotify_rm_watch, 99, 1), -EBADF);
    assert_int_equal(CALL(write, (uint64_t)in_fd, P("x"), 1), -EBADF);
    expect_none();
}

/* Writing a new file: create, open, modify, close, each with its name. */
static void test_names_in_directory(void **state)
{
    (void)state;
    char c;
    assert_int_equal(CALL(mkdirat, HERE, P("d"), 0777), 0);
    int wd = watch("d", IN_ALL_EVENTS);
    assert_int_equal(wd, 1);
    touch("d/f");
    expect(wd, IN_CREATE, "f");
    expect(wd, IN_OPEN, "f");
    expect(wd, IN_MODIFY, "f");
    expect(wd, IN_CLOSE_WRITE, "f");
    assert_int_equal(env_read("d/f", &c, 1), 1);
    expect(wd, IN_OPEN, "f");
    expect(wd, IN_ACCESS, "f");
    expect(wd, IN_CLOSE_NOWRITE, "f");
    assert_int_equal(CALL(fchmodat, HERE, P("d/f"), 0600), 0);
    expect(wd, IN_ATTRIB, "f");
    assert_int_equal(CALL(truncate, P("d/f"), 0), 0);
    expect(wd, IN_MODIFY, "f");
    assert_int_equal(CALL(unlinkat, HERE, P("d/f"), 0), 0);
    expect(wd, IN_DELETE, "f");
    touch("other"); /* not below d */
    expect_none();
}

static void test_directories_say_so(void **state)
{
    (void)state;
    assert_int_equal(CALL(mkdirat, HERE, P("d"), 0777), 0);
    int wd = watch("d", IN_ALL_EVENTS | IN_ONLYDIR);
    assert_int_equal(CALL(mkdirat, HERE, P("d/sub"), 0777), 0);
    expect(wd, IN_CREATE | IN_ISDIR, "sub");
    assert_names("d", "sub ");
    expect(wd, IN_OPEN | IN_ISDIR, NULL);
    expect(wd, IN_ACCESS | IN_ISDIR, NULL);
    expect(wd, IN_CLOSE_NOWRITE | IN_ISDIR, NULL);
    assert_int_equal(CALL(unlinkat, HERE, P("d/sub"), LX_AT_REMOVEDIR), 0);
    expect(wd, IN_DELETE | IN_ISDIR, "sub");
    assert_int_equal(CALL(unlinkat, HERE, P("d"), LX_AT_REMOVEDIR), 0);
    expect(wd, IN_DELETE_SELF, NULL); /* without IN_ISDIR */
    expect(wd, IN_IGNORED, NULL);
    expect_none();
}

/* The last link's end is IN_ATTRIB; the file's, IN_DELETE_SELF. */
static void test_unlinked_while_open(void **state)
{
    (void)state;
    touch("f");
    int fd = env_open("f", LX_O_RDWR);
    int wd = watch("f", IN_ALL_EVENTS);
    assert_int_equal(CALL(linkat, HERE, P("f"), HERE, P("g"), 0), 0);
    expect(wd, IN_ATTRIB, NULL);
    assert_int_equal(CALL(unlinkat, HERE, P("g"), 0), 0);
    expect(wd, IN_ATTRIB, NULL);
    assert_int_equal(CALL(unlinkat, HERE, P("f"), 0), 0);
    expect(wd, IN_ATTRIB, NULL);
    expect_none();
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    expect(wd, IN_CLOSE_WRITE, NULL);
    expect(wd, IN_DELETE_SELF, NULL);
    expect(wd, IN_IGNORED, NULL);
    expect_none();
    assert_int_equal(CALL(inotify_rm_watch, (uint64_t)in_fd, (uint64_t)wd),
                     -EINVAL);
}

/* Both ends of a rename have one cookie, and no other rename has it. */
static void test_rename(void **state)
{
    (void)state;
    touch("a");
    assert_int_equal(CALL(mkdirat, HERE, P("d"), 0777), 0);
    assert_int_equal(CALL(mkdirat, HERE, P("sub"), 0777), 0);
    int root = watch("/", IN_MOVED_FROM), d = watch("d", IN_MOVED_TO);
    int self = watch("a", IN_MOVE_SELF);
    assert_int_equal(CALL(renameat2, HERE, P("a"), HERE, P("d/b"), 0), 0);
    uint32_t cookie = expect(root, IN_MOVED_FROM, "a");
    assert_int_not_equal(cookie, 0);
    assert_int_equal(expect(d, IN_MOVED_TO, "b"), cookie);
    assert_int_equal(expect(self, IN_MOVE_SELF, NULL), 0);
    assert_int_equal(CALL(renameat2, HERE, P("sub"), HERE, P("d/sub"), 0), 0);
    uint32_t second = expect(root, IN_MOVED_FROM | IN_ISDIR, "sub");
    assert_int_not_equal(second, cookie);
    assert_int_equal(expect(d, IN_MOVED_TO | IN_ISDIR, "sub"), second);
    expect_none();
}

static void test_rename_over_and_exchange(void **state)
{
    (void)state;
    touch("a");
    touch("b");
    touch("c");
    int victim = watch("b", IN_ATTRIB | IN_DELETE_SELF);
    assert_int_equal(CALL(renameat2, HERE, P("a"), HERE, P("b"), 0), 0);
    expect(victim, IN_ATTRIB, NULL);
    expect(victim, IN_DELETE_SELF, NULL);
    expect(victim, IN_IGNORED, NULL);
    int root = watch("/", IN_MOVED_FROM | IN_MOVED_TO);
    int b = watch("b", IN_MOVE_SELF), c = watch("c", IN_MOVE_SELF);
    assert_int_equal(
        CALL(renameat2, HERE, P("b"), HERE, P("c"), LX_RENAME_EXCHANGE), 0);
    uint32_t first = expect(root, IN_MOVED_FROM, "b");
    assert_int_equal(expect(root, IN_MOVED_TO, "c"), first);
    uint32_t second = expect(root, IN_MOVED_FROM, "c");
    assert_int_equal(expect(root, IN_MOVED_TO, "b"), second);
    assert_int_not_equal(first, second);
    expect(b, IN_MOVE_SELF, NULL);
    expect(c, IN_MOVE_SELF, NULL);
    expect_none();
}

/* One watch for a file, whatever its names; masks replace or add up. */
static void test_masks(void **state)
{
    (void)state;
    touch("f");
    assert_int_equal(CALL(linkat, HERE, P("f"), HERE, P("g"), 0), 0);
    int wd = watch("f", IN_OPEN);
    assert_int_equal(watch("g", IN_ATTRIB), wd);
    assert_int_equal(env_open("f", LX_O_RDONLY), 1);
    expect_none();
    assert_int_equal(watch("f", IN_OPEN | IN_MASK_ADD), wd);
    assert_int_equal(env_open("g", LX_O_RDONLY), 2);
    assert_int_equal(CALL(fchmodat, HERE, P("f"), 0644), 0);
    expect(wd, IN_OPEN, NULL);
    expect(wd, IN_ATTRIB, NULL);
    assert_int_equal(watch("f", IN_OPEN | IN_MASK_CREATE), -EEXIST);
    assert_int_equal(CALL(symlinkat, P("f"), HERE, P("l")), 0);
    assert_int_equal(watch("l", IN_ATTRIB), wd);
    int link = watch("l", IN_DELETE_SELF | IN_DONT_FOLLOW | IN_MASK_CREATE);
    assert_int_equal(link, wd + 1);
    assert_int_equal(CALL(unlinkat, HERE, P("l"), 0), 0);
    expect(link, IN_DELETE_SELF, NULL);
    expect(link, IN_IGNORED, NULL);
    assert_int_equal(CALL(inotify_rm_watch, (uint64_t)in_fd, (uint64_t)wd), 0);
    expect(wd, IN_IGNORED, NULL);
    assert_int_equal(watch("f", IN_OPEN), wd + 2); /* never used again */
    expect_none();
}

static void test_oneshot(void **state)
{
    (void)state;
    touch("f");
    int wd = watch("f", IN_OPEN | IN_CLOSE_NOWRITE | IN_ONESHOT);
    assert_int_equal(CALL(close, (uint64_t)env_open("f", LX_O_RDONLY)), 0);
    expect(wd, IN_OPEN, NULL);
    expect(wd, IN_IGNORED, NULL);
    expect_none();
    assert_int_equal(inotify_watches, 0);
}

/* Equal events in a row are one; other instances have theirs. */
static void test_repeats_and_instances(void **state)
{
    (void)state;
    int first = in_fd, second = instance();
    int fd = env_open("f", LX_O_CREAT | LX_O_RDWR);
    int wd = watch("f", IN_MODIFY | IN_ACCESS);
    char c;
    in_fd = second;
    int wd2 = watch("f", IN_ACCESS | IN_ONESHOT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(CALL(pwrite64, (uint64_t)fd, P("xx"), 2, 0), 2);
    assert_int_equal(CALL(pread64, (uint64_t)fd, P(&c), 1, 0), 1);
    assert_int_equal(CALL(pwrite64, (uint64_t)fd, P("x"), 1, 0), 1);
    expect(wd2, IN_ACCESS, NULL);
    expect(wd2, IN_IGNORED, NULL);
    expect_none();
    in_fd = first;
    expect(wd, IN_MODIFY, NULL);
    expect(wd, IN_ACCESS, NULL);
    expect(wd, IN_MODIFY, NULL);
    expect_none();
}

/* read(2): whole events only; FIONREAD tells what a read would give. */
static void test_read_sizes(void **state)
{
    (void)state;
    static uint32_t bytes;
    struct lx_pollfd p = {.fd = in_fd, .events = EPOLLIN};
    int wd = watch("/", IN_CREATE);
    assert_int_equal(CALL(poll, P(&p), 1, 0), 0);
    touch("fifteen-letters");
    touch("sixteen--letters");
    assert_int_equal(CALL(poll, P(&p), 1, 0), 1);
    assert_int_equal(p.revents, EPOLLIN);
    assert_int_equal(CALL(ioctl, (uint64_t)in_fd, FIONREAD, P(&bytes)), 0);
    assert_int_equal(bytes, WIRE_BYTES + 16 + WIRE_BYTES + 32);
    assert_int_equal(CALL(ioctl, (uint64_t)in_fd, 0x5401, P(&bytes)), -ENOTTY);
    assert_int_equal(read_events(queue, WIRE_BYTES + 15), -EINVAL);
    queue_end = (size_t)read_events(queue, WIRE_BYTES + 16 + WIRE_BYTES + 31);
    assert_int_equal(queue_end, WIRE_BYTES + 16);
    expect(wd, IN_CREATE, "fifteen-letters");
    assert_int_equal(CALL(ioctl, (uint64_t)in_fd, FIONREAD, P(&bytes)), 0);
    assert_int_equal(bytes, WIRE_BYTES + 32);
    expect(wd, IN_CREATE, "sixteen--letters");
    touch("f");
    fake_bad(queue, sizeof(queue));
    assert_int_equal(read_events(queue, sizeof(queue)), -EFAULT);
    fake_bad(NULL, 0);
}

/* What does not fit the queue is lost, and one event of watch -1 says so. */
static void test_overflow(void **state)
{
    (void)state;
    touch("f");
    int wd = watch("f", IN_OPEN | IN_CLOSE_NOWRITE);
    for (unsigned i = 0; i < QUEUE_MAX / 2 + 4; i++)
        assert_int_equal(CALL(close, (uint64_t)env_open("f", LX_O_RDONLY)), 0);
    for (unsigned i = 0; i < QUEUE_MAX / 2; i++) {
        expect(wd, IN_OPEN, NULL);
        expect(wd, IN_CLOSE_NOWRITE, NULL);
    }
    expect(-1, IN_Q_OVERFLOW, NULL);
    expect_none();
    assert_int_equal(env_open("f", LX_O_RDONLY), 1);
    expect(wd, IN_OPEN, NULL); /* there is room again */
}

/* fs.inotify.max_user_instances; closing gives them back. */
static void test_instances_max(void **state)
{
    (void)state;
    int last = in_fd;
    for (int i = 1; i < 128; i++)
        last = instance();
    assert_int_equal(CALL(inotify_init), -EMFILE);
    assert_int_equal(CALL(close, (uint64_t)last), 0);
    assert_int_equal(CALL(inotify_init), last);
}

/* Opening with O_TRUNC is IN_MODIFY, too; the manual leaves the order open. */
static void test_open_truncates(void **state)
{
    (void)state;
    touch("f");
    int wd = watch("f", IN_ALL_EVENTS);
    assert_int_equal(env_open("f", LX_O_WRONLY | LX_O_TRUNC), 1);
    expect(wd, IN_OPEN, NULL);
    expect(wd, IN_MODIFY, NULL);
    expect_none();
}

/* What fdinfo shows: all watches, in the order of their numbers. */
static void test_list(void **state)
{
    (void)state;
    struct inotify_info *list;
    struct file *f = fd_get(in_fd);
    int wd[3];
    assert_non_null(f);
    assert_int_equal(inotify_list(f, &list), 0);
    assert_null(list);
    touch("f");
    touch("g");
    touch("h");
    wd[0] = watch("f", IN_OPEN);
    wd[1] = watch("g", IN_ALL_EVENTS);
    wd[2] = watch("h", IN_CREATE);
    assert_int_equal(inotify_remove(f, wd[1]), 0);
    assert_int_equal(inotify_list(f, &list), 2);
    assert_int_equal(list[0].wd, wd[0]);
    assert_int_equal(list[0].mask, IN_OPEN);
    assert_int_equal(list[1].wd, wd[2]);
    assert_int_equal(list[1].mask, IN_CREATE);
    kfree(list);
    file_put(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_errors),
        T(test_names_in_directory),
        T(test_directories_say_so),
        T(test_unlinked_while_open),
        T(test_rename),
        T(test_rename_over_and_exchange),
        T(test_masks),
        T(test_oneshot),
        T(test_repeats_and_instances),
        T(test_read_sizes),
        T(test_overflow),
        T(test_instances_max),
        T(test_open_truncates),
        T(test_list),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
