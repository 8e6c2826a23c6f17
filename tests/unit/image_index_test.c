// SPDX-License-Identifier: Apache-2.0
/* image/index.c: what is written is read back; damage is noticed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "image/index.h"

enum { ENTRY_COUNT = 20000 };

struct fixture {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    (void)snprintf(f->path, sizeof(f->path), "/tmp/limpet-index.XXXXXX");
    f->fd = mkstemp(f->path);
    *state = f;
    return f->fd < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->fd);
    unlink(f->path);
    free(f);
    return 0;
}

static struct index_entry make_entry(unsigned i, char path[64], char link[64],
                                     uint8_t xattrs[64])
{
    struct index_entry x = {.path = path, .link = link, .xattrs = xattrs};
    (void)snprintf(path, 64, "dir/%u", i);
    (void)snprintf(link, 64, "%.*s", (int)(i % 50),
                   "0123456789012345678901234567890123456789012345678");
    memset(xattrs, (int)i, 64);
    x.r.kind = (uint8_t)(1 + i % (INDEX_KIND_END - 1));
    x.r.mode = (uint16_t)(i & 07777);
    x.r.uid = i * 3;
    x.r.gid = i * 5;
    x.r.mtime = -(int64_t)i;
    x.r.mtime_ns = i;
    x.r.rdev = i * 7;
    x.r.file_size = (uint64_t)i << 30;
    x.r.block = i * 11;
    x.r.xattr_size = i % 16 * 4;
    x.r.path_size = (uint16_t)strlen(path);
    x.r.link_size = (uint16_t)strlen(link);
    return x;
}

static void write_index(struct fixture *f, unsigned count)
{
    struct index_writer w;
    struct err e;
    char path[64];
    char link[64];
    uint8_t xattrs[64];
    assert_int_equal(index_writer_init(&w, f->fd, &e), 0);
    for (unsigned i = 0; i < count; i++) {
        struct index_entry x = make_entry(i, path, link, xattrs);
        assert_int_equal(index_writer_add(&w, &x, &e), 0);
    }
    assert_int_equal(index_writer_finish(&w, 123 << 12, &e), 0);
    index_writer_fini(&w);
}

static void entries_come_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct index x;
    struct err e;
    write_index(f, ENTRY_COUNT);
    assert_int_equal(index_open(&x, AT_FDCWD, f->path, &e), 0);
    assert_int_equal(x.head.entry_count, ENTRY_COUNT);
    assert_int_equal(x.head.data_size, 123 << 12);
    size_t at = 0;
    struct index_entry got;
    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        char path[64];
        char link[64];
        uint8_t xattrs[64];
        struct index_entry want = make_entry(i, path, link, xattrs);
        assert_int_equal(index_next(&x, &at, &got), 1);
        want.r.size = got.r.size;
        assert_memory_equal(&got.r, &want.r, sizeof(got.r));
        assert_memory_equal(got.path, path, want.r.path_size);
        assert_memory_equal(got.link, link, want.r.link_size);
        assert_memory_equal(got.xattrs, xattrs, want.r.xattr_size);
    }
    assert_int_equal(index_next(&x, &at, &got), 0);
    index_fini(&x);
}

static void truncated_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct index x;
    struct err e;
    write_index(f, 10);
    off_t size = lseek(f->fd, 0, SEEK_END);
    for (off_t cut = 0; cut < size; cut += 7) {
        assert_int_equal(ftruncate(f->fd, cut), 0);
        assert_int_equal(index_open(&x, AT_FDCWD, f->path, &e), -EBADMSG);
        index_fini(&x);
        assert_int_equal(ftruncate(f->fd, 0), 0);
        assert_int_equal(lseek(f->fd, 0, SEEK_SET), 0);
        write_index(f, 10);
    }
}

/* Any byte may be wrong: reading ends, inside the file. */
static void damaged_records_never_lead_outside(void **state)
{
    struct fixture *f = *state;
    write_index(f, 10);
    off_t size = lseek(f->fd, 0, SEEK_END);
    for (off_t i = (off_t)sizeof(struct index_head); i < size; i++) {
        uint8_t was;
        uint8_t bad = 0xff;
        struct index x;
        struct err e;
        assert_int_equal(pread(f->fd, &was, 1, i), 1);
        assert_int_equal(pwrite(f->fd, &bad, 1, i), 1);
        assert_int_equal(index_open(&x, AT_FDCWD, f->path, &e), 0);
        size_t at = 0;
        struct index_entry got;
        int r;
        unsigned count = 0;
        while ((r = index_next(&x, &at, &got)) == 1) {
            const uint8_t *end = (const uint8_t *)got.link + got.r.link_size;
            assert_true(got.xattrs > x.map && end <= x.map + x.size);
            assert_true(++count <= 10);
        }
        assert_true(r == 0 || r == -EBADMSG);
        index_fini(&x);
        assert_int_equal(pwrite(f->fd, &was, 1, i), 1);
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(entries_come_back_in_order),
        TEST(truncated_file_is_refused),
        TEST(damaged_records_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
