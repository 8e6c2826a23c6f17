// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "supervisor/instance.h"

/* Every cell: started, locked, recorded. */
static void test_states(void **unused)
{
    (void)unused;
    static const enum instance_state want[2][2][2] = {
        {{INSTANCE_CREATED, INSTANCE_EXITED},
         {INSTANCE_RUNNING, INSTANCE_EXITED}},
        {{INSTANCE_DEAD, INSTANCE_EXITED}, {INSTANCE_RUNNING, INSTANCE_EXITED}},
    };
    for (unsigned i = 0; i < 8; i++) {
        struct instance_facts f = {.started = (i & 4) != 0,
                                   .locked = (i & 2) != 0,
                                   .recorded = (i & 1) != 0};
        enum instance_state s = instance_state_of(f);
        assert_int_equal(s, want[i >> 2][i >> 1 & 1][i & 1]);
        assert_string_not_equal(instance_state_name(s), "unknown");
    }
}

static void test_exit_status(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t kind, code;
        int status;
    } rows[] = {
        {CTL_EXITED, 0, 0},         {CTL_EXITED, 255, 255},
        {CTL_EXITED, 256, 0},       {CTL_SIGNALLED, 9, 137},
        {CTL_SIGNALLED, 64, 192},   {CTL_PANIC, 0, 125},
        {CTL_NOEXEC, ENOENT, 127},  {CTL_NOEXEC, EACCES, 126},
        {CTL_NOEXEC, ENOEXEC, 126}, {CTL_OOM, 9, 137},
        {CTL_MONITOR, 0, 125},      {77, 0, 125},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct instance_exit x = {.kind = rows[i].kind, .code = rows[i].code};
        assert_int_equal(instance_exit_status(&x), rows[i].status);
    }
}

static void test_decode_refuses_lies(void **unused)
{
    (void)unused;
    struct {
        struct ctl_exit x;
        char text[8];
    } m = {.x = {.kind = CTL_PANIC, .code = 1, .msg_size = 5},
           .text = {'a', '\x1b', 'b', '\n', 'c'}};
    struct instance_exit out;
    struct err e = {0};
    size_t size = sizeof(m.x) + 5;
    assert_int_equal(instance_exit_decode(&m, size, &out, &e), 0);
    assert_string_equal(out.msg, "a b c");
    assert_int_equal(instance_exit_decode(&m, size - 1, &out, &e), -EPROTO);
    assert_int_equal(instance_exit_decode(&m, 3, &out, &e), -EPROTO);
    m.x.msg_size = UINT32_MAX;
    assert_int_equal(instance_exit_decode(&m, size, &out, &e), -EPROTO);
    m.x.msg_size = 0;
    m.x.kind = CTL_MONITOR + 1;
    assert_int_equal(instance_exit_decode(&m, size, &out, &e), -EPROTO);
}

static void test_parse(void **unused)
{
    (void)unused;
    static const char good[] =
        "{\"kind\":\"oom\",\"code\":9,\"message\":\"pid\"}"
        "\n{\"kind\":\"exited\",\"code\":0}\n";
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"kind\":1,\"code\":0}",
        "{\"kind\":\"exited\"}",
        "{\"kind\":\"exited\",\"code\":-1}",
        "{\"kind\":\"exited\",\"code\":0,\"message\":5}"};
    struct instance_exit out;
    struct err e;
    assert_int_equal(instance_exit_parse(good, strlen(good), &out, &e), 0);
    assert_int_equal(out.kind, CTL_OOM);
    assert_int_equal(out.code, 9);
    assert_string_equal(out.msg, "pid");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(instance_exit_parse(bad[i], strlen(bad[i]), &out, &e) < 0);
    /* A kind of a later release is a failure, never a success. */
    static const char later[] = "{\"kind\":\"frozen\",\"code\":0}";
    assert_int_equal(instance_exit_parse(later, strlen(later), &out, &e), 0);
    assert_int_equal(instance_exit_status(&out), 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_exit_status),
        cmocka_unit_test(test_decode_refuses_lies),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
