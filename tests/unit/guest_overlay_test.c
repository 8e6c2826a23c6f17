// SPDX-License-Identifier: Apache-2.0
/* The overlay: what comes from the image, what a change costs, mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/fs/tmpfs.h"
#include "tests/unit/guest_fs_env.h"

static struct mk img;

static int setup_group(void **state)
{
    (void)state;
    fake_init(64 << 20);
    mk_standard(&img);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    env_root(&img, 4 << 20);
    return 0;
}

static struct lx_stat stat_of(const char *name)
{
    struct lx_stat st;
    assert_int_equal(
        CALL(newfstatat, HERE, P(name), P(&st), LX_AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static struct inode *inode_of(const char *name)
{
    struct path p;
    assert_int_equal(path_walk(AT_FDCWD, name, 0, &p), 0);
    struct inode *i = p.dentry->inode;
    inode_get(i);
    path_put(&p);
    return i;
}

static uint64_t used_pages(void)
{
    struct lx_statfs fs;
    assert_int_equal(CALL(statfs, P("/"), P(&fs)), 0);
    assert_int_equal(fs.type, LX_OVERLAY_MAGIC);
    return fs.blocks - fs.bfree;
}

static void test_shows_the_image(void **state)
{
    (void)state;
    char buf[16];
    assert_names("/", "big dir empty hard1 hard2 link loop null up x ");
    assert_names("/dir/sub", "deep ");
    assert_contents("dir/one", "one\n");
    assert_contents("link", "one\n");
    assert_contents("up/two", "two\n");
    assert_contents("dir/sub/deep", "deep\n");
    assert_int_equal(CALL(readlinkat, HERE, P("up"), P(buf), 16), 6);
    assert_memory_equal(buf, "../dir", 6);
    assert_int_equal(env_open("loop", LX_O_RDONLY), -ELOOP);
    assert_int_equal(stat_of("null").rdev, 0x103);
    assert_int_equal(stat_of("dir/two").uid, 1000);
    assert_int_equal(stat_of("dir").mtime.nsec, 123456789);
    assert_int_equal(stat_of("hard1").nlink, 2);
    assert_int_equal(stat_of("hard1").ino, stat_of("hard2").ino);
    assert_int_equal(stat_of("big").blocks, 24);
    assert_int_equal(used_pages(), 0);
}

static void test_a_byte_copies_a_page(void **state)
{
    (void)state;
    static uint8_t buf[MK_BIG];
    uint64_t ino = stat_of("big").ino;
    int fd = env_open("big", LX_O_RDWR);
    int reader = env_open("big", LX_O_RDONLY);
    assert_int_equal(CALL(pwrite64, (uint64_t)fd, P("#"), 1, 5000), 1);
    assert_int_equal(used_pages(), 1);
    assert_int_equal(CALL(pread64, (uint64_t)reader, P(buf), MK_BIG, 0),
                     MK_BIG);
    for (uint32_t i = 0; i < MK_BIG; i++)
        assert_int_equal(buf[i], i == 5000 ? '#' : mk_big_byte(i));
    assert_int_equal(stat_of("big").ino, ino);
    assert_int_equal(stat_of("big").blocks, 24);
    dentry_shrink(1000);
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    assert_int_equal(CALL(close, (uint64_t)reader), 0);
    dentry_shrink(1000);
    assert_int_equal(env_read("big", buf, MK_BIG), MK_BIG);
    assert_int_equal(buf[5000], '#');
    assert_int_equal(CALL(truncate, P("big"), 0), 0);
    assert_int_equal(used_pages(), 0);
}

/* What a truncate cut off does not come back. */
static void test_truncate_hides_the_image(void **state)
{
    (void)state;
    static uint8_t buf[MK_BIG];
    assert_int_equal(CALL(truncate, P("big"), 4100), 0);
    assert_int_equal(CALL(truncate, P("big"), MK_BIG), 0);
    assert_int_equal(env_read("big", buf, MK_BIG), MK_BIG);
    for (uint32_t i = 0; i < MK_BIG; i++)
        assert_int_equal(buf[i], i < 4100 ? mk_big_byte(i) : 0);
    assert_int_equal(stat_of("big").blocks, 16);
    int fd = env_open("big", LX_O_RDWR);
    const uint64_t punch = LX_FALLOC_PUNCH_HOLE | LX_FALLOC_KEEP_SIZE;
    assert_int_equal(CALL(fallocate, (uint64_t)fd, punch, 0, 4096), 0);
    assert_int_equal(CALL(pread64, (uint64_t)fd, P(buf), 1, 0), 1);
    assert_int_equal(buf[0], 0);
    assert_int_equal(CALL(lseek, (uint64_t)fd, 0, LX_SEEK_DATA), 4096);
    assert_int_equal(CALL(lseek, (uint64_t)fd, 4096, LX_SEEK_HOLE), 8192);
}

static void test_whiteouts(void **state)
{
    (void)state;
    assert_int_equal(CALL(unlinkat, HERE, P("dir/one"), 0), 0);
    assert_int_equal(env_open("dir/one", LX_O_RDONLY), -ENOENT);
    assert_names("dir", "sub two ");
    dentry_shrink(1000);
    assert_int_equal(env_open("link", LX_O_RDONLY), -ENOENT);
    assert_int_equal(env_write("dir/one", LX_O_CREAT, "new", 3), 3);
    assert_names("dir", "one sub two ");
    assert_int_equal(CALL(unlinkat, HERE, P("dir/one"), 0), 0);
    assert_names("dir", "sub two ");
    assert_int_equal(CALL(unlinkat, HERE, P("dir"), LX_AT_REMOVEDIR),
                     -ENOTEMPTY);
    assert_int_equal(CALL(unlinkat, HERE, P("dir/two"), 0), 0);
    assert_int_equal(CALL(unlinkat, HERE, P("dir/sub/deep"), 0), 0);
    assert_int_equal(CALL(unlinkat, HERE, P("dir/sub"), LX_AT_REMOVEDIR), 0);
    assert_int_equal(CALL(unlinkat, HERE, P("dir"), LX_AT_REMOVEDIR), 0);
    /* A new directory of that name is empty. */
    assert_int_equal(CALL(mkdirat, HERE, P("dir"), 0755), 0);
    assert_names("dir", "");
    assert_int_equal(env_open("dir/sub", LX_O_RDONLY), -ENOENT);
}

static void test_moved_directory(void **state)
{
    (void)state;
    char buf[32];
    assert_int_equal(CALL(renameat2, HERE, P("dir"), HERE, P("moved"), 0), 0);
    assert_contents("moved/sub/deep", "deep\n");
    assert_int_equal(env_open("dir", LX_O_RDONLY), -ENOENT);
    assert_names("/", "big empty hard1 hard2 link loop moved null up x ");
    dentry_shrink(1000);
    assert_contents("moved/sub/deep", "deep\n");
    assert_int_equal(CALL(chdir, P("moved/sub")), 0);
    assert_int_equal(CALL(getcwd, P(buf), 32), 11);
    assert_string_equal(buf, "/moved/sub");
    assert_contents("../one", "one\n");
}

static void test_hard_links_of_the_image(void **state)
{
    (void)state;
    assert_int_equal(env_write("hard1", 0, "H", 1), 1);
    dentry_shrink(1000);
    assert_contents("hard2", "Hard\n");
    assert_int_equal(CALL(unlinkat, HERE, P("hard1"), 0), 0);
    assert_int_equal(stat_of("hard2").nlink, 1);
    dentry_shrink(1000);
    assert_int_equal(stat_of("hard2").nlink, 1);
    assert_int_equal(used_pages(), 1);
    assert_int_equal(CALL(unlinkat, HERE, P("hard2"), 0), 0);
    assert_int_equal(used_pages(), 0);
}

static void test_attributes_and_xattrs(void **state)
{
    (void)state;
    char buf[64];
    assert_int_equal(CALL(fchmodat, HERE, P("x"), 0600), 0);
    assert_int_equal(CALL(fchownat, HERE, P("x"), 5, 6, 0), 0);
    assert_int_equal(CALL(getxattr, P("x"), P("user.a"), P(buf), 64), 1);
    assert_int_equal(CALL(listxattr, P("x"), P(buf), 64), 18);
    assert_int_equal(CALL(setxattr, P("x"), P("user.c"), P("333"), 3, 0), 0);
    assert_int_equal(CALL(removexattr, P("x"), P("user.a")), 0);
    dentry_shrink(1000);
    assert_int_equal(stat_of("x").mode & 07777, 0600);
    assert_int_equal(stat_of("x").gid, 6);
    assert_int_equal(CALL(getxattr, P("x"), P("user.a"), P(buf), 64), -ENODATA);
    assert_int_equal(CALL(getxattr, P("x"), P("security.b"), P(buf), 64), 2);
    assert_memory_equal(buf, "22", 2);
    assert_int_equal(CALL(getxattr, P("x"), P("user.c"), P(buf), 64), 3);
    assert_contents("x", "x\n");
    assert_int_equal(used_pages(), 0);
}

/* Pages for mmap: the image's own until somebody changes them. */
static void test_pages(void **state)
{
    (void)state;
    struct inode_page p, q;
    struct inode *i = inode_of("big");
    assert_int_equal(tmpfs_get_page(i, 0, false, &p), 0);
    assert_int_equal(p.run, 3);
    assert_false(p.writable);
    assert_int_equal(*(uint8_t *)page_virt(p.pa), 'a');
    page_put(p.pa);
    assert_int_equal(tmpfs_get_page(i, 3, false, &p), -EFAULT);
    assert_int_equal(tmpfs_get_page(i, 1, true, &p), 0);
    assert_true(p.writable);
    *(uint8_t *)page_virt(p.pa) = '!';
    assert_int_equal(tmpfs_get_page(i, 0, false, &q), 0);
    assert_int_equal(q.run, 1); /* page 1 is ours now */
    page_put(q.pa);
    static uint8_t buf[8192];
    assert_int_equal(env_read("big", buf, 8192), 8192);
    assert_int_equal(buf[4096], '!');
    page_put(p.pa);
    assert_int_equal(CALL(truncate, P("big"), 10), 0);
    assert_int_equal(tmpfs_get_page(i, 1, false, &p), -EFAULT);
    inode_put(i);
    /* An inline tail has no page of its own in the image. */
    i = inode_of("dir/sub/deep");
    assert_int_equal(tmpfs_get_page(i, 0, false, &p), 0);
    assert_memory_equal(page_virt(p.pa), "deep\n\0", 6);
    page_put(p.pa);
    inode_put(i);
}

static void test_shared_writable_mapping(void **state)
{
    (void)state;
    struct inode_page p, q;
    int fd = env_open("big", LX_O_RDWR);
    struct file *f = fd_get(fd);
    assert_int_equal(f->ops->mmap(f, 3, LX_MAP_SHARED), 0);
    assert_int_equal(tmpfs_get_page(f->inode, 0, false, &p), 0);
    assert_int_equal(tmpfs_get_page(f->inode, 0, true, &q), 0);
    assert_int_equal(p.pa, q.pa); /* a reader sees what a writer does */
    page_put(p.pa);
    page_put(q.pa);
    file_put(f);
}

/* A directory that is its own child: no lock is taken twice, no walk ends up
 * in a circle. */
static void test_directory_loop_in_the_image(void **state)
{
    (void)state;
    struct mk m;
    const struct mk_attr dir = {.mode = 0040755};
    mk_init(&m);
    struct mk_entry entries[] = {{".", 0, 2}, {"..", 0, 2}, {"d", 0, 2}};
    uint32_t at = m.meta;
    uint64_t nid = mk_dir(&m, &dir, entries, 3);
    mk_u64(m.mem + at + 64 + 24, nid);
    mk_finish(&m, nid);
    env_root(&m, 1 << 20);
    assert_int_equal(env_open("d", LX_O_RDONLY), -EIO);
    assert_int_equal(CALL(unlinkat, HERE, P("d"), LX_AT_REMOVEDIR), -EIO);
    assert_int_equal(CALL(mkdirat, HERE, P("e"), 0755), 0);
    free(m.mem);
}

/* Damage anywhere: calls fail or not, but return, and ASan stays silent. */
static void test_damaged_images(void **state)
{
    (void)state;
    struct mk m;
    char buf[2048];
    mk_standard(&m);
    for (uint32_t n = 0; n < 3 * (m.meta - 1024); n++) {
        uint32_t at = 1024 + n / 3;
        uint8_t old = m.mem[at];
        m.mem[at] = (uint8_t)rand();
        struct superblock *sb;
        if (tmpfs_mount("overlay", env_window(&m), 1 << 20, &sb) == 0) {
            list_init(&mount_list);
            assert_non_null(mount_new(sb, NULL, NULL, "none"));
            fsctx_put(current()->proc->fs);
            current()->proc->fs = fsctx_clone(NULL);
            (void)env_list("/", buf, sizeof(buf));
            (void)env_list("/dir", buf, sizeof(buf));
            (void)env_read("/dir/sub/deep", buf, sizeof(buf));
            (void)env_write("/big", LX_O_APPEND, "x", 1);
            (void)env_read("/link", buf, sizeof(buf));
            (void)CALL(truncate, P("/hard1"), 3);
            (void)CALL(listxattr, P("/x"), P(buf), 64);
            (void)CALL(setxattr, P("/x"), P("user.q"), P("1"), 1, 0);
            (void)CALL(renameat2, HERE, P("/dir"), HERE, P("/n"), 0);
            (void)CALL(unlinkat, HERE, P("/n/sub/deep"), 0);
            (void)CALL(unlinkat, HERE, P("/n/sub"), LX_AT_REMOVEDIR);
        }
        m.mem[at] = old;
        dentry_shrink(10000);
    }
    free(m.mem);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shows_the_image),
        TEST(test_a_byte_copies_a_page),
        TEST(test_truncate_hides_the_image),
        TEST(test_whiteouts),
        TEST(test_moved_directory),
        TEST(test_hard_links_of_the_image),
        TEST(test_attributes_and_xattrs),
        TEST(test_pages),
        TEST(test_shared_writable_mapping),
        TEST(test_directory_loop_in_the_image),
        TEST(test_damaged_images),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
