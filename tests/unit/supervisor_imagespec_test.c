// SPDX-License-Identifier: Apache-2.0
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
#include "base/path.h"
#include "supervisor/imagespec.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char dir[64];
static int root = -1;

static int setup(void **unused)
{
    (void)unused;
    (void)snprintf(dir, sizeof(dir), "/tmp/limpet-spec-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    root = open(dir, O_RDONLY | O_DIRECTORY);
    return mkdirat(root, "images", 0700) | mkdirat(root, "meta", 0700) |
           mkdirat(root, "layers", 0700) |
           path_replace(root, "meta/m", "m", 1, 0, NULL) |
           path_replace(root, "layers/l", "l", 1, 0, NULL) |
           symlinkat("/etc/passwd", root, "meta/link");
}

static int teardown(void **unused)
{
    (void)unused;
    char cmd[128];
    (void)close(root);
    (void)snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    return system(cmd); /* NOLINT(cert-env33-c): our own fixed text */
}

static int load(const char *text, struct imagespec *out, struct err *e)
{
    assert_int_equal(
        path_replace(root, "images/" HEX ".json", text, strlen(text), 0, e), 0);
    return imagespec_open(root, HEX, out, e);
}

static void test_good(void **unused)
{
    (void)unused;
    struct err e;
    struct imagespec i;
    assert_int_equal(load("{\"files\":[\"meta/m\",\"layers/l\"]}", &i, &e), 0);
    assert_int_equal(i.fd_count, 2);
    char c[2];
    assert_int_equal(read(i.fds[0], &c[0], 1), 1);
    assert_int_equal(read(i.fds[1], &c[1], 1), 1);
    assert_memory_equal(c, "ml", 2);
    assert_string_equal(imagespec_file(&i, 1), "layers/l");
    imagespec_fini(&i);
    imagespec_fini(&i);
}

static void test_bad(void **unused)
{
    (void)unused;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"files\":[]}",
        "{\"files\":{}}",
        "{\"files\":[1]}",
        "{\"files\":[\"m\"]}",
        "{\"files\":[\"/etc/passwd\"]}",
        "{\"files\":[\"meta/../images\"]}",
        "{\"files\":[\"meta/link\"]}",
        "{\"files\":[\"meta/m\",\"layers/none\"]}",
        "{\"files\":[\"../meta/m\"]}"};
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        struct err e = {0};
        struct imagespec i;
        assert_true(load(bad[n], &i, &e) < 0);
        assert_non_null(strstr(e.msg, HEX));
        assert_int_equal(i.fd_count, 0);
    }
    json_t *o = json_object();
    json_t *files = json_array();
    for (int n = 0; n <= IMAGESPEC_FILES_MAX; n++)
        (void)json_array_append_new(files, json_string("meta/m"));
    (void)json_object_set_new(o, "files", files);
    char *text = json_dumps(o, 0);
    struct err e;
    struct imagespec i;
    assert_int_equal(load(text, &i, &e), -EINVAL);
    free(text);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
