// SPDX-License-Identifier: Apache-2.0
/* image/spill.c: memory that ends in a file of the store. */
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
#include "image/spill.h"
#include "image/tree.h"

struct fixture {
    char folder[64];
    struct store store;
    struct spill spill;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e;
    (void)snprintf(f->folder, sizeof(f->folder), "/var/tmp/spill.XXXXXX");
    *state = f;
    if (mkdtemp(f->folder) == NULL || store_open(&f->store, f->folder, &e) < 0)
        return -1;
    spill_init(&f->spill, &f->store);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    spill_fini(&f->spill);
    store_close(&f->store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    int code = system(command);
    free(f);
    return code;
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(file, "%*s %lu", &pages), 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void contents_stay_and_pages_go(void **state)
{
    enum { COUNT = 96, SIZE = 1 << 20 };
    struct fixture *f = *state;
    uint8_t *pieces[COUNT];
    struct err e;
    size_t before = resident();
    for (unsigned i = 0; i < COUNT; i++) {
        pieces[i] = spill_alloc(&f->spill, SIZE, &e);
        assert_non_null(pieces[i]);
        for (size_t at = 0; at < SIZE; at += 512) {
            assert_int_equal(pieces[i][at], 0);
            pieces[i][at] = (uint8_t)(i + 1);
            spill_step(&f->spill);
        }
    }
    /* 16 MiB are ordinary memory. */
    assert_true(resident() - before < (size_t)48 << 20);
    for (unsigned i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < SIZE; at += 512) {
            assert_int_equal(pieces[i][at], i + 1);
            spill_step(&f->spill);
        }
    }
    assert_true(resident() - before < (size_t)48 << 20);
}

static void without_a_store_all_is_ordinary(void **state)
{
    struct spill p;
    struct err e;
    (void)state;
    spill_init(&p, NULL);
    p.plain_max = 0;
    uint8_t *piece = spill_alloc(&p, 5, &e);
    assert_non_null(piece);
    spill_breathe(&p);
    assert_int_equal(piece[4], 0);
    assert_null(p.map);
    spill_fini(&p);
}

static void a_tree_in_a_file(void **state)
{
    enum { COUNT = 20000 };
    struct fixture *f = *state;
    struct tree t;
    struct err e;
    static char names[COUNT][8];
    f->spill.plain_max = 0;
    assert_int_equal(tree_init(&t, &f->spill, 100, &e), 0);
    assert_non_null(f->spill.map);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%u", i);
        struct tree_inode *inode = tree_new_inode(&t, &e);
        assert_non_null(inode);
        inode->mode = S_IFREG | 0644;
        inode->size = i;
        assert_non_null(
            tree_add(&t, t.root, names[i], strlen(names[i]), inode, &e));
    }
    spill_breathe(&f->spill);
    for (unsigned i = 0; i < COUNT; i++) {
        struct tree_node *n =
            tree_child(&t, t.root, names[i], strlen(names[i]));
        assert_non_null(n);
        assert_int_equal(n->inode->size, i);
    }
    assert_int_equal(t.root->kid_count, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contents_stay_and_pages_go, set_up,
                                        tear_down),
        cmocka_unit_test(without_a_store_all_is_ordinary),
        cmocka_unit_test_setup_teardown(a_tree_in_a_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
