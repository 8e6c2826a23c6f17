// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "supervisor/process.h"

static json_t *image(const char *run)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "run", json_loads(run, 0, NULL));
    return o;
}

static char arg_a[] = "a";
static char arg_b[] = "b";
static char *two[] = {arg_a, arg_b};

/* What docker makes of entrypoint, command, --entrypoint and arguments. */
static const struct {
    const char *run;
    const char *entrypoint;
    size_t arg_count;
    const char *want; /* NULL: no command specified */
} rows[] = {
    {"{}", NULL, 0, NULL},
    {"{\"cmd\":[\"c\"]}", NULL, 0, "[\"c\"]"},
    {"{\"entrypoint\":[\"e\"]}", NULL, 0, "[\"e\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", NULL, 0, "[\"e\",\"c\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", NULL, 2,
     "[\"e\",\"a\",\"b\"]"},
    {"{\"cmd\":[\"c\"]}", NULL, 2, "[\"a\",\"b\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", "x", 0, "[\"x\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", "x", 1, "[\"x\",\"a\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", "", 1, "[\"a\"]"},
    {"{\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}", "", 0, NULL},
    {"{\"entrypoint\":null,\"cmd\":null}", NULL, 0, NULL},
};

static void test_args(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e;
        struct process p;
        json_t *o = image(rows[i].run);
        struct process_options opts = {.entrypoint = rows[i].entrypoint,
                                       .args = two,
                                       .arg_count = rows[i].arg_count,
                                       .hostname = "h"};
        int code = process_make(o, &opts, &p, &e);
        if (rows[i].want == NULL) {
            assert_int_equal(code, -EINVAL);
            assert_string_equal(e.msg, "no command specified");
        } else {
            assert_int_equal(code, 0);
            json_t *want = json_loads(rows[i].want, 0, NULL);
            assert_true(json_equal(p.args, want));
            json_decref(want);
        }
        process_fini(&p);
        json_decref(o);
    }
}

static void test_env_set(void **unused)
{
    (void)unused;
    json_t *env = json_array();
    assert_int_equal(process_env_set(env, "A=1"), 0);
    assert_int_equal(process_env_set(env, "AB=2"), 0);
    assert_int_equal(process_env_set(env, "A=3=4"), 0);
    assert_int_equal(process_env_set(env, "B"), 0);
    assert_int_equal(process_env_set(env, "\xff=1"), -EINVAL);
    json_t *want = json_loads("[\"A=3=4\",\"AB=2\"]", 0, NULL);
    assert_true(json_equal(env, want));
    assert_int_equal(process_env_set(env, "A"), 0);
    assert_int_equal(json_array_size(env), 1);
    json_decref(want);
    json_decref(env);
}

static void expect_failure(const char *run, const char *why)
{
    struct err e;
    struct process p;
    json_t *o = image(run);
    struct process_options opts = {.hostname = "h"};
    assert_true(process_make(o, &opts, &p, &e) < 0);
    assert_non_null(strstr(e.msg, why));
    assert_null(p.args);
    process_fini(&p);
    json_decref(o);
}

static void test_images_are_not_trusted(void **unused)
{
    (void)unused;
    expect_failure("[]", "not an object");
    expect_failure("{\"cmd\":[1]}", "not a list of strings");
    expect_failure("{\"cmd\":[\"c\"],\"workdir\":\"rel\"}", "absolute path");
    expect_failure("{\"cmd\":[\"c\"],\"user\":\"u\"}", "unable to find user");

    struct err e;
    struct process p;
    json_t *o = image("{\"cmd\":[\"c\"],\"env\":[\"X\",1,\"=y\",\"Z=1\"],"
                      "\"workdir\":5,\"user\":5}");
    struct process_options opts = {.hostname = "h"};
    assert_int_equal(process_make(o, &opts, &p, &e), 0);
    assert_int_equal(json_array_size(p.env), 4); /* PATH HOSTNAME Z HOME */
    assert_string_equal(p.cwd, "/");
    process_fini(&p);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args),
        cmocka_unit_test(test_env_set),
        cmocka_unit_test(test_images_are_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
