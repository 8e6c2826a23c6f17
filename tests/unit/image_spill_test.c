// SPDX-License-Identifier: Apache-2.0
/* image/spill.c: memory that ends in a file of the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* Of the file's mapping: a sanitizer's shadow is not our business. */
static size_t resident(const struct spill *p)
{
    char line[512];
    unsigned long from;
    unsigned long to;
    size_t kib = 0;
    bool ours = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            ours = from == (unsigned long)(uintptr_t)p->map;
        else if (ours && sscanf(line, "Rss: %zu", &kib) == 1)
            break;
    }
    (void)fclose(file);
    return kib << 10;
}

static void contents_stay_and_pages_go(void **state)
{
    enum { COUNT = 96, SIZE = 1 << 20 };
    struct fixture *f = *state;
    uint8_t *pieces[COUNT];
    struct err e;
    for (unsigned i = 0; i < COUNT; i++) {
        pieces[i] = spill_alloc(&f->spill, SIZE, &e);
        assert_non_null(pieces[i]);
        for (size_t at = 0; at < SIZE; at += 512) {
            assert_int_equal(pieces[i][at], 0);
            pieces[i][at] = (uint8_t)(i + 1);
            spill_step(&f->spill);
        }
    }
    assert_non_null(f->spill.map);
    /* 80 MiB lie there; the first 16 are ordinary memory. */
    assert_true(resident(&f->spill) < (size_t)16 << 20);
    for (unsigned i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < SIZE; at += 512) {
            assert_int_equal(pieces[i][at], i + 1);
            if (at % 4096 == 0)
                spill_step(&f->spill);
        }
    }
    pieces[COUNT - 1][0] = 0;
    assert_true(resident(&f->spill) > 0);
    assert_true(resident(&f->spill) < (size_t)16 << 20);
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
