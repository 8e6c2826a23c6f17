// SPDX-License-Identifier: Apache-2.0
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
#include "cli/run.h"

static int read_text(const char *text, size_t size, json_t *env, struct err *e)
{
    char path[] = "/tmp/limpet-env-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    (void)close(fd);
    int code = run_env_file(env, path, e);
    (void)unlink(path);
    return code;
}

static void expect(const char *text, const char *want)
{
    struct err e;
    json_t *env = json_array();
    json_t *w = json_loads(want, 0, NULL);
    assert_int_equal(read_text(text, strlen(text), env, &e), 0);
    assert_true(json_equal(env, w));
    json_decref(env);
    json_decref(w);
}

static void test_file(void **unused)
{
    (void)unused;
    (void)setenv("LIMPET_TEST_SET", "v w", 1);
    (void)unsetenv("LIMPET_TEST_UNSET");
    expect("", "[]");
    expect("\n# c\n  # d\n\t\nA=1", "[\"A=1\"]");
    expect("\xef\xbb\xbf"
           "A=1\r\nB= x \n",
           "[\"A=1\",\"B= x \"]");
    expect("A=#1\nB=\"q\"\nC==", "[\"A=#1\",\"B=\\\"q\\\"\",\"C==\"]");
    expect("LIMPET_TEST_SET\nLIMPET_TEST_UNSET\n", "[\"LIMPET_TEST_SET=v w\"]");
}

static void test_bad_files(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"A b=1", "'A b' contains whitespaces"},
        {"A =1", "contains whitespaces"},
        {"A B", "contains whitespaces"},
        {"=1", "no variable name"},
        {"A=\xff", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e;
        json_t *env = json_array();
        assert_int_equal(read_text(rows[i].text, strlen(rows[i].text), env, &e),
                         -EINVAL);
        assert_non_null(strstr(e.msg, rows[i].why));
        assert_non_null(strstr(e.msg, "/tmp/limpet-env-"));
        json_decref(env);
    }
    struct err e;
    json_t *env = json_array();
    assert_int_equal(read_text("A=\0b", 4, env, &e), -EINVAL);
    assert_int_equal(run_env_file(env, "/nowhere/x", &e), -ENOENT);
    json_decref(env);
}

static void test_flag(void **unused)
{
    (void)unused;
    struct err e;
    json_t *env = json_array();
    assert_int_equal(run_env_flag(env, "A=1=2", &e), 0);
    assert_int_equal(run_env_flag(env, "B=", &e), 0);
    assert_int_equal(run_env_flag(env, "LIMPET_TEST_SET", &e), 0);
    assert_int_equal(run_env_flag(env, "LIMPET_TEST_UNSET", &e), 0);
    assert_int_equal(run_env_flag(env, "=x", &e), -EINVAL);
    assert_int_equal(run_env_flag(env, "", &e), -EINVAL);
    json_t *want = json_pack("[s, s, s, s]", "A=1=2",
                             "B=", "LIMPET_TEST_SET=v w", "LIMPET_TEST_UNSET");
    assert_true(json_equal(env, want));
    json_decref(want);
    json_decref(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
