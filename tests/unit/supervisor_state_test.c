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
#include "supervisor/state.h"

static char root[64];
static struct state state;

static int setup(void **unused)
{
    (void)unused;
    struct err e;
    (void)snprintf(root, sizeof(root), "/tmp/limpet-state-XXXXXX");
    return mkdtemp(root) == NULL || state_open(&state, root, &e) < 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char cmd[128];
    state_fini(&state);
    (void)snprintf(cmd, sizeof(cmd), "rm -r %s", root);
    return system(cmd); /* NOLINT(cert-env33-c): our own fixed text */
}

static json_t *config(const struct state_vm *vm, bool auto_remove)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "name", vm->name, "image", "oci:x",
                     "created", "2026-11-21T04:00:00.000000005Z", "auto_remove",
                     auto_remove);
}

static void start(struct state_vm *vm, const char *name, bool auto_remove)
{
    struct err e;
    assert_int_equal(state_create(&state, name, vm, &e), 0);
    json_t *o = config(vm, auto_remove);
    assert_int_equal(state_start(vm, o, true, &e), 0);
    json_decref(o);
}

static enum instance_state look(const char *id, struct state_info *i)
{
    struct err e;
    assert_int_equal(state_read(&state, id, i, &e), 0);
    enum instance_state s = i->state;
    state_info_fini(i);
    return s;
}

static void test_life(void **unused)
{
    (void)unused;
    struct err e;
    struct state_vm vm;
    struct state_info i;
    char id[STATE_ID_SIZE];
    start(&vm, "web", false);
    assert_int_equal(look(vm.id, &i), INSTANCE_RUNNING);
    assert_int_equal(i.pid, 0);
    assert_int_equal(i.created_ns, INT64_C(1795233600000000005));
    state_set_pid(&vm, 4711);
    (void)look(vm.id, &i);
    assert_int_equal(i.pid, 4711);

    /* The lock goes away without a record: it died. */
    int record = dup(vm.exit);
    state_vm_fini(&vm);
    assert_int_equal(look(vm.id, &i), INSTANCE_DEAD);
    assert_int_equal(i.pid, 0);
    struct instance_exit x = {.kind = CTL_EXITED, .code = 3, .msg = "a \"b\""};
    state_record(record, &x);
    x.code = 4;
    state_record(record, &x); /* the first word counts */
    (void)close(record);
    assert_int_equal(look(vm.id, &i), INSTANCE_EXITED);
    assert_int_equal(i.exit.code, 3);
    assert_string_equal(i.exit.msg, "a \"b\"");
    assert_true(i.finished_ns > i.created_ns - 1 || i.finished_ns > 0);

    assert_int_equal(state_find(&state, "web", id, &e), 0);
    assert_string_equal(id, vm.id);
    assert_int_equal(state_remove(&state, vm.id, "web", &e), 0);
    assert_int_equal(state_remove(&state, vm.id, "web", &e), 0);
    assert_int_equal(state_find(&state, "web", id, &e), -ENOENT);
    assert_string_equal(e.msg, "No such container: web");
}

static void test_created_is_not_dead(void **unused)
{
    (void)unused;
    struct err e;
    struct state_vm vm;
    struct state_info i;
    start(&vm, "made", false);
    assert_int_equal(unlinkat(vm.dir, "exit.json", 0), 0);
    state_vm_fini(&vm);
    assert_int_equal(look(vm.id, &i), INSTANCE_CREATED);
    assert_int_equal(state_remove(&state, vm.id, "made", &e), 0);
}

static void test_names(void **unused)
{
    (void)unused;
    struct err e;
    struct state_vm a;
    struct state_vm b;
    start(&a, "same", false);
    assert_int_equal(state_create(&state, "same", &b, &e), -EEXIST);
    assert_non_null(strstr(e.msg, a.id));
    state_vm_fini(&a);
    assert_int_equal(state_create(&state, "same", &b, &e), -EEXIST);

    /* Removing one never drops a claim of another. */
    assert_int_equal(state_remove(&state, a.id, "same", &e), 0);
    start(&b, "same", false);
    assert_int_equal(state_remove(&state, a.id, "same", &e), 0);
    char id[STATE_ID_SIZE];
    assert_int_equal(state_find(&state, "same", id, &e), 0);
    assert_string_equal(id, b.id);
    state_vm_fini(&b);
    assert_int_equal(state_remove(&state, b.id, "same", &e), 0);
}

static void test_auto_remove(void **unused)
{
    (void)unused;
    struct err e;
    struct state_vm vm;
    char id[STATE_ID_SIZE];
    struct state_info *list;
    size_t count;
    start(&vm, "gone", true);
    assert_int_equal(state_find(&state, "gone", id, &e), 0);
    state_vm_fini(&vm);
    assert_int_equal(state_find(&state, "gone", id, &e), -ENOENT);
    start(&vm, NULL, true);
    assert_int_equal(state_list(&state, &list, &count, &e), 0);
    assert_int_equal(count, 1);
    state_list_free(list, count);
    state_vm_fini(&vm);
    assert_int_equal(state_list(&state, &list, &count, &e), 0);
    assert_int_equal(count, 0);
    state_list_free(list, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_created_is_not_dead),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_auto_remove),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
