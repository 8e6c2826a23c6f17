// SPDX-License-Identifier: Apache-2.0
/* image/tree.c: walking paths as a process inside the image would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/err.h"
#include "image/spill.h"
#include "image/tree.h"

static struct spill memory;

static int set_up(void **state)
{
    struct tree *t = calloc(1, sizeof(*t));
    struct err e;
    *state = t;
    spill_init(&memory, NULL);
    return tree_init(t, &memory, 0, &e);
}

static int tear_down(void **state)
{
    spill_fini(&memory);
    free(*state);
    return 0;
}

static struct tree_node *walk(struct tree *t, const char *path, unsigned flags)
{
    struct tree_node *n;
    struct err e;
    assert_int_equal(tree_resolve(t, path, strlen(path), flags, &n, &e), 0);
    return n;
}

static int walk_error(struct tree *t, const char *path, unsigned flags)
{
    struct tree_node *n;
    struct err e;
    return tree_resolve(t, path, strlen(path), flags, &n, &e);
}

static struct tree_node *add(struct tree *t, const char *dir, const char *name,
                             mode_t mode, const char *link)
{
    struct err e;
    struct tree_inode *i = tree_new_inode(t, &e);
    i->mode = mode;
    i->link = link;
    i->size = link != NULL ? strlen(link) : 0;
    return tree_add(t, walk(t, dir, TREE_FOLLOW | TREE_CREATE), name,
                    strlen(name), i, &e);
}

static void missing_paths_are_null(void **state)
{
    struct tree *t = *state;
    assert_null(walk(t, "a", 0));
    assert_null(walk(t, "a/b/c", 0));
    assert_ptr_equal(walk(t, "", 0), t->root);
    assert_ptr_equal(walk(t, "/./", 0), t->root);
    assert_ptr_equal(walk(t, "../..", 0), t->root);
}

static void directories_are_made_on_demand(void **state)
{
    struct tree *t = *state;
    struct tree_node *c = walk(t, "a/b/c", TREE_CREATE);
    assert_non_null(c);
    assert_int_equal(c->inode->mode, S_IFDIR | 0755);
    assert_ptr_equal(walk(t, "a/b/c", 0), c);
    assert_ptr_equal(walk(t, "a/x/../b/c", TREE_CREATE), c);
    assert_ptr_equal(c->parent->parent, walk(t, "a", 0));
}

static void links_are_followed_inside_the_root(void **state)
{
    struct tree *t = *state;
    struct tree_node *f = add(t, "usr/lib", "f", S_IFREG | 0644, NULL);
    struct tree_node *l = add(t, "", "lib", S_IFLNK | 0777, "usr/lib");
    add(t, "deep/er", "abs", S_IFLNK | 0777, "/lib");
    add(t, "deep/er", "out", S_IFLNK | 0777, "../../../../lib/./f");
    assert_ptr_equal(walk(t, "lib/f", 0), f);
    assert_ptr_equal(walk(t, "deep/er/abs/f", 0), f);
    assert_ptr_equal(walk(t, "deep/er/out", TREE_FOLLOW), f);
    assert_ptr_equal(walk(t, "lib", 0), l);
    assert_ptr_equal(walk(t, "lib", TREE_FOLLOW), f->parent);
    assert_ptr_equal(walk(t, "lib/..", 0), walk(t, "usr", 0));
    /* A link to nowhere makes its target. */
    add(t, "", "dangling", S_IFLNK | 0777, "opt/new");
    struct tree_node *made = walk(t, "dangling/in", TREE_CREATE);
    assert_ptr_equal(made, walk(t, "opt/new/in", 0));
}

static void loops_and_files_in_the_way_are_errors(void **state)
{
    struct tree *t = *state;
    add(t, "", "a", S_IFLNK | 0777, "b");
    add(t, "", "b", S_IFLNK | 0777, "a");
    add(t, "", "f", S_IFREG | 0644, NULL);
    assert_int_equal(walk_error(t, "a/x", 0), -ELOOP);
    assert_int_equal(walk_error(t, "a", TREE_FOLLOW), -ELOOP);
    assert_non_null(walk(t, "a", 0));
    assert_int_equal(walk_error(t, "f/x", TREE_CREATE), -ENOTDIR);
}

static void growing_links_are_bounded(void **state)
{
    struct tree *t = *state;
    char target[4096];
    for (size_t i = 0; i < sizeof(target) - 1; i++)
        target[i] = i % 2 == 0 ? 'l' : '/';
    target[sizeof(target) - 1] = '\0';
    add(t, "", "l", S_IFLNK | 0777, target);
    int code = walk_error(t, "l/l/l", TREE_FOLLOW);
    assert_true(code == -ENAMETOOLONG || code == -ELOOP);
}

static void removed_names_are_gone_with_what_is_below(void **state)
{
    struct tree *t = *state;
    add(t, "a/b", "f", S_IFREG | 0644, NULL);
    add(t, "a", "g", S_IFREG | 0644, NULL);
    add(t, "a", "h", S_IFREG | 0644, NULL);
    tree_remove(t, walk(t, "a/b", 0));
    assert_null(walk(t, "a/b/f", 0));
    assert_null(walk(t, "a/b", 0));
    assert_int_equal(walk(t, "a", 0)->kid_count, 2);
    assert_null(walk(t, "a/b", TREE_CREATE)->first);
    tree_remove(t, walk(t, "a/h", 0));
    tree_remove(t, walk(t, "a/g", 0));
    assert_int_equal(walk(t, "a", 0)->kid_count, 1);
}

static void many_names_stay_apart(void **state)
{
    struct tree *t = *state;
    enum { COUNT = 30000 };
    static char names[COUNT][8];
    struct tree_node *nodes[3];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%u", i);
        add(t, i % 2 != 0 ? "odd" : "even", names[i], S_IFREG, NULL);
    }
    nodes[0] = walk(t, "odd/29999", 0);
    nodes[1] = walk(t, "even/0", 0);
    nodes[2] = walk(t, "odd/0", 0);
    assert_non_null(nodes[0]);
    assert_non_null(nodes[1]);
    assert_null(nodes[2]);
    assert_int_equal(walk(t, "odd", 0)->kid_count, COUNT / 2);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(missing_paths_are_null),
        TEST(directories_are_made_on_demand),
        TEST(links_are_followed_inside_the_root),
        TEST(loops_and_files_in_the_way_are_errors),
        TEST(growing_links_are_bounded),
        TEST(removed_names_are_gone_with_what_is_below),
        TEST(many_names_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
