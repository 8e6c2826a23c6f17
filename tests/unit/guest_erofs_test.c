// SPDX-License-Identifier: Apache-2.0
/* The EROFS reader on a good image, and on thousands of damaged ones: errors,
 * never a byte outside (ASan watches). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/fs/erofs.h"
#include "tests/unit/guest_erofs_walk.h"
#include "tests/unit/guest_fs_env.h"

static struct mk img;
static struct erofs fs;

static int setup(void **state)
{
    (void)state;
    fake_init(32 << 20);
    mk_standard(&img);
    return erofs_open(&fs, env_window(&img));
}

static struct erofs_inode find(const char *path)
{
    struct erofs_inode at;
    char copy[64];
    char *save = NULL;
    strcpy(copy, path);
    assert_int_equal(erofs_inode(&fs, fs.root_nid, &at), 0);
    for (char *s = strtok_r(copy, "/", &save); s != NULL;
         s = strtok_r(NULL, "/", &save)) {
        struct erofs_dirent d;
        assert_int_equal(erofs_lookup(&fs, &at, s, strlen(s), &d), 0);
        assert_int_equal(erofs_inode(&fs, d.nid, &at), 0);
    }
    return at;
}

static void test_lookup_and_attributes(void **state)
{
    (void)state;
    struct erofs_inode i = find("dir/two");
    assert_int_equal(i.mode, 0100600);
    assert_int_equal(i.uid, 1000);
    assert_int_equal(i.size, 4);
    assert_int_equal(i.mtime, 1700000000);
    assert_int_equal(i.mtime_nsec, 123456789);
    i = find("null");
    assert_int_equal(i.rdev, 0x103);
    assert_int_equal(find("hard1").nid, find("hard2").nid);
    assert_int_equal(find("hard1").nlink, 2);
    struct erofs_inode root = find("");
    struct erofs_dirent d;
    static const char *const absent[] = {"a", "bi", "bigg", "y", "dirx", "~"};
    for (size_t n = 0; n < ARRAY_COUNT(absent); n++)
        assert_int_equal(
            erofs_lookup(&fs, &root, absent[n], strlen(absent[n]), &d),
            -ENOENT);
}

static void test_contents(void **state)
{
    (void)state;
    static uint8_t buf[MK_BIG + 10];
    struct erofs_inode big = find("big");
    assert_int_equal(erofs_pread(&fs, &big, buf, sizeof(buf), 0), MK_BIG);
    for (uint32_t n = 0; n < MK_BIG; n++)
        assert_int_equal(buf[n], mk_big_byte(n));
    assert_int_equal(erofs_pread(&fs, &big, buf, 10, MK_BIG - 3), 3);
    assert_int_equal(erofs_pread(&fs, &big, buf, 10, MK_BIG), 0);
    struct erofs_inode deep = find("dir/sub/deep"); /* inline */
    assert_int_equal(erofs_pread(&fs, &deep, buf, 10, 1), 4);
    assert_memory_equal(buf, "eep\n", 4);
    paddr_t pa;
    uint64_t run;
    assert_int_equal(erofs_page(&fs, &big, 1, &pa, &run), 0);
    assert_int_equal(run, 2);
    assert_int_equal(*(uint8_t *)page_virt(pa), mk_big_byte(4096));
    assert_int_equal(erofs_page(&fs, &big, 3, &pa, &run), -EIO);
    assert_int_equal(erofs_page(&fs, &deep, 0, &pa, &run), -ENODATA);
}

static void test_readdir(void **state)
{
    (void)state;
    static const char *const names[] = {".",     "..",    "big",   "dir",
                                        "empty", "hard1", "hard2", "link",
                                        "loop",  "null",  "up",    "x"};
    struct erofs_inode root = find("");
    struct erofs_dirent d;
    uint64_t pos = 0;
    for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
        assert_int_equal(erofs_readdir(&fs, &root, &pos, &d), 1);
        assert_int_equal(d.name_size, strlen(names[n]));
        assert_memory_equal(d.name, names[n], d.name_size);
    }
    assert_int_equal(erofs_readdir(&fs, &root, &pos, &d), 0);
}

static void test_xattrs(void **state)
{
    (void)state;
    struct erofs_inode x = find("x");
    struct erofs_xattr a;
    uint32_t pos = 0;
    char value[2];
    assert_int_equal(erofs_xattr_next(&fs, &x, &pos, &a), 1);
    assert_string_equal(a.name, "user.a");
    assert_int_equal(a.value_size, 1);
    assert_int_equal(erofs_xattr_next(&fs, &x, &pos, &a), 1);
    assert_string_equal(a.name, "security.b");
    assert_int_equal(erofs_copy(&fs, a.value, value, 2), 0);
    assert_memory_equal(value, "22", 2);
    assert_int_equal(erofs_xattr_next(&fs, &x, &pos, &a), 0);
}

/* A directory of several blocks: lookups cross them. */
static void test_large_directory(void **state)
{
    (void)state;
    enum { BLOCKS = 3, PER_BLOCK = 200 };
    struct mk m;
    const struct mk_attr dir = {.mode = 0040755};
    mk_init(&m);
    for (unsigned b = 0; b < BLOCKS; b++) {
        uint8_t *at = m.mem + m.data + b * 4096;
        for (unsigned i = 0; i < PER_BLOCK; i++) {
            char name[8];
            (void)snprintf(name, sizeof(name), "%05u", b * PER_BLOCK + i);
            mk_u64(at + i * 12, 100 + b * PER_BLOCK + i);
            mk_u16(at + i * 12 + 8, (uint16_t)(PER_BLOCK * 12 + i * 5));
            memcpy(at + PER_BLOCK * 12 + i * 5, name, 5);
        }
    }
    mk_finish(&m, mk_inode(&m, &dir, BLOCKS * 4096, m.data / 4096, NULL, 0));
    struct erofs e;
    assert_int_equal(erofs_open(&e, env_window(&m)), 0);
    struct erofs_inode root;
    struct erofs_dirent d;
    assert_int_equal(erofs_inode(&e, e.root_nid, &root), 0);
    for (unsigned n = 0; n < BLOCKS * PER_BLOCK; n++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%05u", n);
        assert_int_equal(erofs_lookup(&e, &root, name, 5, &d), 0);
        assert_int_equal(d.nid, 100 + n);
    }
    assert_int_equal(erofs_lookup(&e, &root, "00199x", 6, &d), -ENOENT);
    uint64_t pos = 0;
    unsigned count = 0;
    while (erofs_readdir(&e, &root, &pos, &d) == 1)
        count++;
    assert_int_equal(count, BLOCKS * PER_BLOCK);
    free(m.mem);
    (void)env_window(&img);
}

static void test_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct mk m;
    struct erofs e;
    mk_standard(&m);
    m.mem[1024] ^= 1; /* magic */
    assert_int_equal(erofs_open(&e, env_window(&m)), -EINVAL);
    m.mem[1024] ^= 1;
    m.mem[1024 + 12] = 9; /* block size */
    assert_int_equal(erofs_open(&e, env_window(&m)), -EINVAL);
    m.mem[1024 + 12] = 12;
    m.mem[1024 + 80] = 4; /* incompatible feature */
    assert_int_equal(erofs_open(&e, env_window(&m)), -EINVAL);
    m.mem[1024 + 80] = 0;
    mk_u16(m.mem + 1024 + 14, 0xffff); /* root outside */
    assert_int_equal(erofs_open(&e, env_window(&m)), -EIO);
    free(m.mem);
    image_init_window(&env_image, 0, 1000); /* shorter than a superblock */
    assert_int_equal(erofs_open(&e, &env_image), -EIO);
    (void)env_window(&img);
}

/* Every byte of the metadata, damaged in several ways, one at a time. */
static void test_damaged_images(void **state)
{
    (void)state;
    struct mk m;
    mk_standard(&m);
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    for (uint32_t at = 1024; at < m.meta; at++) {
        for (unsigned n = 0; n < ARRAY_COUNT(flips); n++) {
            m.mem[at] ^= flips[n];
            erofs_walk_all(env_window(&m));
            m.mem[at] ^= flips[n];
        }
    }
    free(m.mem);
    (void)env_window(&img);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_and_attributes),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_readdir),
        cmocka_unit_test(test_xattrs),
        cmocka_unit_test(test_large_directory),
        cmocka_unit_test(test_refuses_what_it_does_not_know),
        cmocka_unit_test(test_damaged_images),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
