// SPDX-License-Identifier: Apache-2.0
/* image/stream.c: blobs that are what their digests say, and those that are
 * not, from a file and from a fetcher's pipe. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/sha256.h"
#include "image/stream.h"

enum { PLAIN_SIZE = 3 << 20 };

/* A file of zeros as it is, and packed. */
struct blob {
    int fd;
    uint64_t size;
    char digest[SHA256_HEX_SIZE];
};

static struct blob plain, packed;

static void load(struct blob *b, const char *command)
{
    char path[] = "/tmp/limpet-stream-test.XXXXXX";
    char line[256];
    struct stat st;
    b->fd = mkstemp(path);
    assert_true(b->fd >= 0);
    (void)snprintf(line, sizeof(line), "%s >%s", command, path);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): fixed text */
    assert_int_equal(fstat(b->fd, &st), 0);
    (void)unlink(path);
    b->size = (uint64_t)st.st_size;
    char *text = malloc(b->size);
    assert_non_null(text);
    assert_int_equal(pread(b->fd, text, b->size, 0), b->size);
    sha256_text(text, b->size, b->digest);
    free(text);
}

static int make_blobs(void **state)
{
    (void)state;
    load(&plain, "head -c 3145728 /dev/zero");
    load(&packed, "head -c 3145728 /dev/zero | gzip -n");
    return 0;
}

static int drop_blobs(void **state)
{
    (void)state;
    (void)close(plain.fd);
    (void)close(packed.fd);
    return 0;
}

/* All of it: bytes, or a negative errno. */
static int64_t read_all(const struct stream_spec *spec, struct err *e)
{
    struct stream *s = NULL;
    const void *data;
    int64_t total = 0;
    ssize_t n = stream_new(spec, &s, e);
    while (n == 0 && (n = stream_next(s, &data, e)) > 0) {
        total += n;
        n = 0;
    }
    if (n == 0)
        n = stream_finish(s, e);
    else if (s != NULL)
        n = stream_blame(s, (int)n, e);
    stream_free(s);
    return n < 0 ? n : total;
}

static struct stream_spec spec_of(const struct blob *b)
{
    return (struct stream_spec){.name = "blob",
                                .fd = b->fd,
                                .size = b->size,
                                .digest = b->digest,
                                .diff_id = plain.digest};
}

static void good_blobs(void **state)
{
    (void)state;
    struct err e = {0};
    struct stream_spec s = spec_of(&plain);
    assert_int_equal(read_all(&s, &e), PLAIN_SIZE);
    s = spec_of(&packed);
    assert_int_equal(read_all(&s, &e), PLAIN_SIZE);
    s.digest = NULL; /* of a docker-archive */
    assert_int_equal(read_all(&s, &e), PLAIN_SIZE);
}

static void wrong_digests(void **state)
{
    (void)state;
    struct err e = {0};
    struct stream_spec s = spec_of(&packed);
    s.digest = plain.digest;
    assert_int_equal(read_all(&s, &e), -EBADMSG);
    assert_non_null(strstr(e.msg, "wrong digest"));
    s = spec_of(&packed);
    s.diff_id = packed.digest;
    assert_int_equal(read_all(&s, &e), -EBADMSG);
    assert_non_null(strstr(e.msg, "wrong diff_id"));
    s = spec_of(&plain);
    s.diff_id = packed.digest;
    assert_int_equal(read_all(&s, &e), -EBADMSG);
    s = spec_of(&packed);
    s.size -= 10;
    assert_true(read_all(&s, &e) < 0);
    s.size += 20;
    assert_true(read_all(&s, &e) < 0);
}

static void bombs(void **state)
{
    (void)state;
    struct err e = {0};
    struct stream_spec s = spec_of(&packed);
    (void)setenv("LIMPET_MAX_LAYER_SIZE", "2M", 1);
    assert_int_equal(read_all(&s, &e), -EFBIG);
    assert_non_null(strstr(e.msg, "LIMPET_MAX_LAYER_SIZE"));
    (void)setenv("LIMPET_MAX_LAYER_SIZE", "3M", 1);
    assert_int_equal(read_all(&s, &e), PLAIN_SIZE);
    (void)setenv("LIMPET_MAX_LAYER_SIZE", "lots", 1);
    assert_int_equal(read_all(&s, &e), -EINVAL);
    (void)unsetenv("LIMPET_MAX_LAYER_SIZE");
}

/* Chunks of `step` bytes, and their end if `cut`. */
static int64_t through_a_pipe(size_t size, uint32_t step, struct err *e)
{
    char chunk[4096];
    int ends[2];
    struct stream_spec s = spec_of(&packed);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t at = 0; at < size;) {
        uint32_t n = size - at < step ? (uint32_t)(size - at) : step;
        assert_int_equal(pread(packed.fd, chunk, n, (off_t)at), n);
        assert_int_equal(write(ends[1], &n, sizeof(n)), sizeof(n));
        assert_int_equal(write(ends[1], chunk, n), n);
        at += n;
    }
    static const uint32_t none = 0;
    assert_int_equal(write(ends[1], &none, sizeof(none)), sizeof(none));
    s.fd = ends[0];
    s.chunked = true;
    int64_t total = read_all(&s, e);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return total;
}

static void chunks(void **state)
{
    (void)state;
    struct err e = {0};
    assert_true(packed.size < 32768); /* a pipe holds all of it */
    assert_int_equal(through_a_pipe(packed.size, 4096, &e), PLAIN_SIZE);
    assert_int_equal(through_a_pipe(packed.size, 7, &e), PLAIN_SIZE);
    assert_true(through_a_pipe(packed.size - 100, 4096, &e) < 0);
    assert_true(through_a_pipe(0, 4096, &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_blobs),
        cmocka_unit_test(wrong_digests),
        cmocka_unit_test(bombs),
        cmocka_unit_test(chunks),
    };
    return cmocka_run_group_tests(tests, make_blobs, drop_blobs);
}
