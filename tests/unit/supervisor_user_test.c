// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "supervisor/user.h"

static json_t *users;
static json_t *groups;

static int setup(void **unused)
{
    (void)unused;
    users = json_loads(
        "[[\"root\",0,0,\"/root\"],[\"app\",1000,1001,\"/app\"],"
        "[\"7\",70,70,\"/seven\"],[\"nohome\",8,8,\"\"],"
        "[\"bad\",-1,0,\"/\"],[5,6],\"x\",[\"big\",5000000000,0,\"/\"]]",
        0, NULL);
    groups = json_loads("[[\"root\",0,[]],[\"app\",1001,[]],"
                        "[\"wheel\",10,[\"root\",\"app\"]],"
                        "[\"video\",44,[\"app\"]],[\"x\",\"y\",\"z\"],5]",
                        0, NULL);
    return users == NULL || groups == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    json_decref(users);
    json_decref(groups);
    return 0;
}

static const struct {
    const char *text;
    uint32_t uid, gid;
    const char *home;
    size_t gid_count;
    uint32_t gids[3];
} good[] = {
    {"", 0, 0, "/root", 2, {0, 10}},
    {"root", 0, 0, "/root", 2, {0, 10}},
    {"app", 1000, 1001, "/app", 3, {1001, 10, 44}},
    {"1000", 1000, 1001, "/app", 3, {1001, 10, 44}},
    {"app:", 1000, 1001, "/app", 3, {1001, 10, 44}},
    {"app:video", 1000, 44, "/app", 1, {44}},
    {"app:0", 1000, 0, "/app", 1, {0}},
    {"app:12345", 1000, 12345, "/app", 1, {12345}},
    {"9999", 9999, 0, "/", 1, {0}},
    {"9999:wheel", 9999, 10, "/", 1, {10}},
    {":wheel", 0, 10, "/root", 1, {10}},
    {"7", 70, 70, "/seven", 1, {70}}, /* a name that looks like a number */
    {"nohome", 8, 8, "/", 1, {8}},
};

static void test_good(void **unused)
{
    (void)unused;
    struct err e;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct user u;
        assert_int_equal(user_resolve(users, groups, good[i].text, &u, &e), 0);
        assert_int_equal(u.uid, good[i].uid);
        assert_int_equal(u.gid, good[i].gid);
        assert_string_equal(u.home, good[i].home);
        assert_int_equal(u.gid_count, good[i].gid_count);
        assert_memory_equal(u.gids, good[i].gids,
                            u.gid_count * sizeof(u.gids[0]));
    }
}

static void test_bad(void **unused)
{
    (void)unused;
    struct err e;
    struct user u;
    assert_int_equal(user_resolve(users, groups, "who", &u, &e), -ENOENT);
    assert_string_equal(
        e.msg, "unable to find user who: no matching entries in passwd file");
    assert_int_equal(user_resolve(users, groups, "bad", &u, &e), -ENOENT);
    assert_int_equal(user_resolve(users, groups, "big", &u, &e), -ENOENT);
    assert_int_equal(user_resolve(users, groups, "app:who", &u, &e), -ENOENT);
    assert_string_equal(
        e.msg, "unable to find group who: no matching entries in group file");
    assert_int_equal(user_resolve(users, groups, "4294967296", &u, &e),
                     -ERANGE);
    assert_int_equal(user_resolve(users, groups, "0:99999999999", &u, &e),
                     -ERANGE);
    assert_int_equal(user_resolve(users, groups, "-1", &u, &e), -ENOENT);
}

static void test_no_tables(void **unused)
{
    (void)unused;
    struct err e;
    struct user u;
    assert_int_equal(user_resolve(NULL, NULL, "", &u, &e), 0);
    assert_int_equal(u.uid, 0);
    assert_int_equal(user_resolve(NULL, NULL, "5:6", &u, &e), 0);
    assert_int_equal(u.gid, 6);
    assert_int_equal(user_resolve(NULL, NULL, "root", &u, &e), -ENOENT);
}

static void test_too_many_groups(void **unused)
{
    (void)unused;
    struct err e;
    struct user u;
    json_t *many = json_array();
    for (int i = 1; i <= BOOT_GID_MAX; i++)
        (void)json_array_append_new(many,
                                    json_pack("[s, i, [s]]", "g", i, "root"));
    assert_int_equal(user_resolve(users, many, "root", &u, &e), -E2BIG);
    (void)json_array_remove(many, 0);
    assert_int_equal(user_resolve(users, many, "root", &u, &e), 0);
    assert_int_equal(u.gid_count, BOOT_GID_MAX);
    json_decref(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_no_tables),
        cmocka_unit_test(test_too_many_groups),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
