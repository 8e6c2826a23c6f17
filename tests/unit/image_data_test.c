// SPDX-License-Identifier: Apache-2.0
/* image/data.c: alignment, sharing and holes, against what was put in. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "image/data.h"

struct fixture {
    int fd;
    struct data d;
    struct err e;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->fd = memfd_create("data", MFD_CLOEXEC);
    *state = f;
    return f->fd < 0 || data_init(&f->d, f->fd, &f->e);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    data_fini(&f->d);
    close(f->fd);
    free(f);
    return 0;
}

/* Deterministic bytes; different seeds give different ones. */
static uint8_t *noise(size_t size, uint64_t seed)
{
    uint8_t *p = malloc(size);
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        p[i] = (uint8_t)(seed >> 56);
    }
    return p;
}

static uint64_t put(struct fixture *f, const uint8_t *bytes, size_t size,
                    size_t piece)
{
    uint64_t block = 0;
    data_begin(&f->d);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        assert_int_equal(data_add(&f->d, bytes + at, n, &f->e), 0);
    }
    assert_int_equal(data_end(&f->d, &block, &f->e), 0);
    return block;
}

static void expect_at(struct fixture *f, uint64_t block, const uint8_t *bytes,
                      size_t size)
{
    size_t whole =
        (size + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE * DATA_BLOCK_SIZE;
    uint8_t *got = malloc(whole + 1);
    assert_int_equal(pread(f->fd, got, whole, (off_t)(block * DATA_BLOCK_SIZE)),
                     whole);
    assert_memory_equal(got, bytes, size);
    for (size_t i = size; i < whole; i++)
        assert_int_equal(got[i], 0);
    free(got);
}

static uint64_t finish(struct fixture *f)
{
    struct stat st;
    uint64_t size;
    assert_int_equal(data_finish(&f->d, &size, &f->e), 0);
    assert_int_equal(fstat(f->fd, &st), 0);
    assert_int_equal(size % DATA_BLOCK_SIZE, 0);
    assert_int_equal(st.st_size % DATA_ALIGN_SIZE, 0);
    assert_true((uint64_t)st.st_size >= size);
    assert_true((uint64_t)st.st_size < size + DATA_ALIGN_SIZE);
    return size;
}

static void files_start_on_blocks_and_are_padded(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {
        1, 4095, 4096, 4097, 100, 3 << 20, DATA_BUFFER_SIZE, 9 << 20, 5};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    uint8_t *bytes[COUNT];
    uint64_t at[COUNT];
    uint64_t next = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = noise(sizes[i], i + 1);
        at[i] = put(f, bytes[i], sizes[i], 60000);
        assert_int_equal(at[i], next);
        next += (sizes[i] + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
    }
    assert_int_equal(finish(f), next * DATA_BLOCK_SIZE);
    for (size_t i = 0; i < COUNT; i++) {
        expect_at(f, at[i], bytes[i], sizes[i]);
        free(bytes[i]);
    }
}

static void empty_file_has_no_block(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = noise(10, 1);
    assert_int_equal(put(f, bytes, 10, 10), 0);
    assert_int_equal(put(f, NULL, 0, 1), 0);
    uint8_t *more = noise(10, 2);
    assert_int_equal(put(f, more, 10, 10), 1);
    assert_int_equal(finish(f), 2 * DATA_BLOCK_SIZE);
    free(bytes);
    free(more);
}

/* Sizes on both sides of the buffer: the second copy is taken back from the
 * buffer, or partly or wholly from the file. */
static void equal_files_share_blocks(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {
        1, 5000, 3 << 20, DATA_BUFFER_SIZE, (DATA_BUFFER_SIZE) + 1, 11 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = noise(sizes[i], 77 + i);
        uint64_t first = put(f, bytes, sizes[i], sizes[i]);
        assert_int_equal(put(f, bytes, sizes[i], 4096), first);
        assert_int_equal(put(f, bytes, sizes[i], 777777), first);
        /* One bit is enough to be another file. */
        bytes[sizes[i] / 2] ^= 1;
        uint64_t other = put(f, bytes, sizes[i], sizes[i]);
        assert_true(other > first);
        bytes[sizes[i] / 2] ^= 1;
        assert_int_equal(put(f, bytes, sizes[i], 50000), first);
        uint8_t tail = (uint8_t)i;
        (void)put(f, &tail, 1, 1);
        free(bytes);
    }
    uint64_t size = finish(f);
    /* Contents once more, now that all is on "disk". */
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = noise(sizes[i], 77 + i);
        uint64_t blocks = (sizes[i] + DATA_BLOCK_SIZE - 1) / DATA_BLOCK_SIZE;
        expect_at(f, at, bytes, sizes[i]);
        bytes[sizes[i] / 2] ^= 1;
        expect_at(f, at + blocks, bytes, sizes[i]);
        at += 2 * blocks + 1;
        free(bytes);
    }
    assert_int_equal(size, at * DATA_BLOCK_SIZE);
}

static void many_small_files_are_found_again(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 5000 };
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(put(f, (const uint8_t *)&i, sizeof(i), 8), i);
    }
    assert_int_equal(finish(f), COUNT * (uint64_t)DATA_BLOCK_SIZE);
}

static void holes_are_zero_and_not_shared(void **state)
{
    struct fixture *f = *state;
    static const uint64_t holes[] = {1, 4096, DATA_BUFFER_SIZE,
                                     (uint64_t)40 << 20};
    uint8_t *stale = noise(12 << 20, 9);
    (void)put(f, stale, 12 << 20, 12 << 20);
    /* Taken back: what it leaves in the file must not show in holes. */
    (void)put(f, stale, 12 << 20, 12 << 20);
    uint64_t at[4];
    for (size_t i = 0; i < 4; i++) {
        data_begin(&f->d);
        assert_int_equal(data_add(&f->d, "x", 1, &f->e), 0);
        assert_int_equal(data_skip(&f->d, holes[i], &f->e), 0);
        assert_int_equal(data_add(&f->d, "y", 1, &f->e), 0);
        assert_int_equal(data_end(&f->d, &at[i], &f->e), 0);
    }
    (void)finish(f);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *want = calloc(1, holes[i] + 2);
        want[0] = 'x';
        want[holes[i] + 1] = 'y';
        expect_at(f, at[i], want, holes[i] + 2);
        free(want);
    }
    free(stale);
}

static void full_disk_is_reported(void **state)
{
    struct fixture *f = *state;
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    f->d.fd = full;
    uint8_t *bytes = noise(DATA_BUFFER_SIZE, 1);
    data_begin(&f->d);
    assert_int_equal(data_add(&f->d, bytes, DATA_BUFFER_SIZE, &f->e), -ENOSPC);
    assert_non_null(strstr(f->e.msg, "No space left"));
    close(full);
    free(bytes);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_start_on_blocks_and_are_padded),
        TEST(empty_file_has_no_block),
        TEST(equal_files_share_blocks),
        TEST(many_small_files_are_found_again),
        TEST(holes_are_zero_and_not_shared),
        TEST(full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
