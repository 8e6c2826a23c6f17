// SPDX-License-Identifier: Apache-2.0
/* Random changes of an overlay, against a naive model of what a file system
 * is: results, names, links, contents and inode numbers must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/guest_fs_env.h"

#define NAMES     10
#define NODES     512
#define DATA_MAX  20000
#define DEPTH_MAX 3

static const char *const names[NAMES] = {
    "a", "b", "big", "dir", "empty", "hard1", "hard2", "one", "sub", "two"};

struct node {
    bool used, dir;
    unsigned nlink; /* names */
    uint32_t mode;
    uint64_t ino; /* 0: not seen yet */
    uint8_t *data;
    size_t size;
    struct node *child[NAMES];
};
static struct node nodes[NODES];
static struct node *root;

struct where { /* a path: parent and last name */
    unsigned name[DEPTH_MAX];
    unsigned depth;
    char text[64];
};

static struct node *node_new(bool dir, uint32_t mode)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        if (n->used)
            continue;
        uint8_t *data = n->data != NULL ? n->data : malloc(DATA_MAX);
        *n = (struct node){.used = true, .dir = dir, .mode = mode};
        n->data = data;
        return n;
    }
    abort();
}

static void node_drop(struct node *n)
{
    n->used = n->dir ? false : --n->nlink != 0;
}

static struct node *add(struct node *dir, const char *name, struct node *n)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (strcmp(names[i], name) == 0)
            dir->child[i] = n;
    }
    n->nlink++;
    return n;
}

static struct node *add_file(struct node *dir, const char *name, uint32_t mode,
                             const char *data)
{
    struct node *n = add(dir, name, node_new(false, LX_S_IFREG | mode));
    n->size = strlen(data);
    memcpy(n->data, data, n->size);
    return n;
}

/* What mk_standard makes, without the links and devices. */
static void model_standard(void)
{
    for (unsigned i = 0; i < NODES; i++)
        nodes[i].used = false;
    root = node_new(true, LX_S_IFDIR | 0755);
    struct node *dir = add(root, "dir", node_new(true, LX_S_IFDIR | 0755));
    struct node *sub = add(dir, "sub", node_new(true, LX_S_IFDIR | 0755));
    add_file(dir, "one", 0644, "one\n");
    add_file(dir, "two", 0600, "two\n");
    (void)sub; /* its only name, "deep", is removed below */
    add_file(root, "empty", 0644, "");
    add(root, "hard2", add_file(root, "hard1", 0644, "hard\n"));
    struct node *big = add_file(root, "big", 0644, "");
    big->size = MK_BIG;
    for (uint32_t i = 0; i < MK_BIG; i++)
        big->data[i] = mk_big_byte(i);
}

/* --- the model's answers --- */

static int model_parent(const struct where *w, struct node **out)
{
    struct node *at = root;
    for (unsigned i = 0; i + 1 < w->depth; i++) {
        at = at->child[w->name[i]];
        if (at == NULL)
            return -ENOENT;
        if (!at->dir)
            return -ENOTDIR;
    }
    *out = at;
    return 0;
}

static struct node **slot(struct node *dir, const struct where *w)
{
    return &dir->child[w->name[w->depth - 1]];
}

static bool is_empty(const struct node *dir)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (dir->child[i] != NULL)
            return false;
    }
    return true;
}

static bool is_below(const struct node *n, const struct node *top)
{
    if (n == top)
        return true;
    for (unsigned i = 0; top->dir && i < NAMES; i++) {
        if (top->child[i] != NULL && top->child[i]->dir &&
            is_below(n, top->child[i]))
            return true;
    }
    return false;
}

static int model_write(const struct where *w, size_t off, const void *data,
                       size_t size)
{
    struct node *dir;
    int r = model_parent(w, &dir);
    if (r < 0)
        return r;
    struct node **at = slot(dir, w);
    if (*at == NULL) {
        *at = node_new(false, LX_S_IFREG | 0644);
        (*at)->nlink = 1;
    }
    struct node *n = *at;
    if (n->dir)
        return -EISDIR;
    if (off + size > n->size) {
        if (off > n->size)
            memset(n->data + n->size, 0, off - n->size);
        n->size = off + size;
    }
    memcpy(n->data + off, data, size);
    return (int)size;
}

static int model_truncate(const struct where *w, size_t size)
{
    struct node *dir;
    int r = model_parent(w, &dir);
    if (r < 0)
        return r;
    struct node *n = *slot(dir, w);
    if (n == NULL)
        return -ENOENT;
    if (n->dir)
        return -EISDIR;
    if (size > n->size)
        memset(n->data + n->size, 0, size - n->size);
    n->size = size;
    return 0;
}

static int model_mkdir(const struct where *w)
{
    struct node *dir;
    int r = model_parent(w, &dir);
    if (r == 0 && *slot(dir, w) != NULL)
        r = -EEXIST;
    if (r == 0)
        *slot(dir, w) = node_new(true, LX_S_IFDIR | 0755);
    return r;
}

static int model_remove(const struct where *w, bool rmdir)
{
    struct node *dir;
    int r = model_parent(w, &dir);
    if (r < 0)
        return r;
    struct node *n = *slot(dir, w);
    if (n == NULL)
        return -ENOENT;
    if (n->dir != rmdir)
        return rmdir ? -ENOTDIR : -EISDIR;
    if (rmdir && !is_empty(n))
        return -ENOTEMPTY;
    node_drop(n);
    *slot(dir, w) = NULL;
    return 0;
}

static int model_link(const struct where *from, const struct where *to)
{
    struct node *a, *b;
    int r = model_parent(from, &a);
    if (r == 0 && *slot(a, from) == NULL)
        r = -ENOENT;
    if (r == 0)
        r = model_parent(to, &b);
    if (r == 0 && *slot(b, to) != NULL)
        r = -EEXIST;
    if (r == 0 && (*slot(a, from))->dir)
        r = -EPERM;
    if (r < 0)
        return r;
    *slot(b, to) = *slot(a, from);
    (*slot(b, to))->nlink++;
    return 0;
}

static int model_rename_check(const struct node *a, const struct node *b,
                              const struct node *d, const struct node *over,
                              uint32_t flags)
{
    bool exchange = flags == LX_RENAME_EXCHANGE;
    if (d == NULL)
        return -ENOENT;
    if (flags == LX_RENAME_NOREPLACE && over != NULL)
        return -EEXIST;
    if (exchange && over == NULL)
        return -ENOENT;
    if (d->dir && is_below(b, d))
        return -EINVAL;
    if (over != NULL && over->dir && is_below(a, over))
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (d == over || over == NULL || exchange)
        return 0;
    if (d->dir != over->dir)
        return d->dir ? -ENOTDIR : -EISDIR;
    return over->dir && !is_empty(over) ? -ENOTEMPTY : 0;
}

static int model_rename(const struct where *from, const struct where *to,
                        uint32_t flags)
{
    struct node *a, *b;
    int r = model_parent(from, &a);
    if (r == 0)
        r = model_parent(to, &b);
    if (r < 0)
        return r;
    struct node *d = *slot(a, from);
    struct node *over = *slot(b, to);
    r = model_rename_check(a, b, d, over, flags);
    if (r < 0 || d == over)
        return r;
    *slot(b, to) = d;
    *slot(a, from) = flags == LX_RENAME_EXCHANGE ? over : NULL;
    if (over != NULL && flags != LX_RENAME_EXCHANGE)
        node_drop(over);
    return 0;
}

/* --- comparison --- */

static unsigned subdirs(const struct node *n)
{
    unsigned count = 0;
    for (unsigned i = 0; i < NAMES; i++)
        count += n->child[i] != NULL && n->child[i]->dir;
    return count;
}

static void compare_file(const struct node *n, const char *path)
{
    static uint8_t buf[DATA_MAX + 1];
    assert_int_equal(env_read(path, buf, sizeof(buf)), n->size);
    assert_memory_equal(buf, n->data, n->size);
}

static void compare(struct node *n, const char *path)
{
    struct lx_stat st;
    assert_int_equal(CALL(newfstatat, HERE, P(path), P(&st), 0), 0);
    assert_int_equal(st.mode, n->mode);
    if (n->ino == 0)
        n->ino = st.ino;
    assert_int_equal(st.ino, n->ino);
    if (!n->dir) {
        assert_int_equal(st.nlink, n->nlink);
        assert_int_equal(st.size, n->size);
        compare_file(n, path);
        return;
    }
    assert_int_equal(st.nlink, subdirs(n) + 2);
    char expect[256] = "";
    for (unsigned i = 0; i < NAMES; i++) {
        if (n->child[i] == NULL)
            continue;
        strcat(expect, names[i]);
        strcat(expect, " ");
        char below[128];
        (void)snprintf(below, sizeof(below), "%s/%s", path, names[i]);
        compare(n->child[i], below);
    }
    assert_names(path, expect);
}

/* --- the walk --- */

static struct where random_path(void)
{
    struct where w = {.depth = 1 + (unsigned)rand() % DEPTH_MAX};
    char *at = w.text;
    for (unsigned i = 0; i < w.depth; i++) {
        w.name[i] = (unsigned)rand() % NAMES;
        at += sprintf(at, "/%s", names[w.name[i]]);
    }
    return w;
}

static int64_t kernel_write(const struct where *w, size_t off, const void *data,
                            size_t size)
{
    int fd = env_open(w->text, LX_O_WRONLY | LX_O_CREAT);
    if (fd < 0)
        return fd;
    int64_t r = CALL(pwrite64, (uint64_t)fd, P(data), size, off);
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    return r;
}

static void step_write(void)
{
    static uint8_t data[5000];
    struct where w = random_path();
    size_t off = (size_t)rand() % (DATA_MAX - sizeof(data));
    size_t size = (size_t)rand() % sizeof(data) + 1;
    memset(data, rand(), size);
    assert_int_equal(kernel_write(&w, off, data, size),
                     model_write(&w, off, data, size));
}

static void step_chmod(void)
{
    struct where w = random_path();
    struct node *dir;
    uint32_t mode = 0600 | ((uint32_t)rand() & 077);
    int r = model_parent(&w, &dir);
    if (r == 0 && *slot(dir, &w) == NULL)
        r = -ENOENT;
    if (r == 0) {
        struct node *n = *slot(dir, &w);
        n->mode = (n->mode & LX_S_IFMT) | mode;
    }
    assert_int_equal(CALL(fchmodat, HERE, P((const char *)w.text), mode), r);
}

static void step(void)
{
    struct where w = random_path();
    struct where v = random_path();
    const char *a = w.text;
    const char *b = v.text;
    uint32_t flags = (uint32_t)rand() % 3; /* 0, NOREPLACE, EXCHANGE */
    size_t size = (size_t)rand() % DATA_MAX;
    switch (rand() % 10) {
    case 0:
    case 1: step_write(); break;
    case 2:
        assert_int_equal(CALL(truncate, P(a), size), model_truncate(&w, size));
        break;
    case 3:
        assert_int_equal(CALL(mkdirat, HERE, P(a), 0755), model_mkdir(&w));
        break;
    case 4:
        assert_int_equal(CALL(unlinkat, HERE, P(a), 0),
                         model_remove(&w, false));
        break;
    case 5:
        assert_int_equal(CALL(unlinkat, HERE, P(a), LX_AT_REMOVEDIR),
                         model_remove(&w, true));
        break;
    case 6:
        assert_int_equal(CALL(linkat, HERE, P(a), HERE, P(b), 0),
                         model_link(&w, &v));
        break;
    case 7:
    case 8:
        assert_int_equal(CALL(renameat2, HERE, P(a), HERE, P(b), flags),
                         model_rename(&w, &v, flags));
        break;
    default: step_chmod(); break;
    }
}

static void run(unsigned seed, unsigned steps)
{
    struct mk m;
    mk_standard(&m);
    env_root(&m, 16 << 20);
    model_standard();
    static const char *const others[] = {"link", "loop", "null",
                                         "up",   "x",    "dir/sub/deep"};
    for (unsigned i = 0; i < ARRAY_COUNT(others); i++)
        assert_int_equal(CALL(unlinkat, HERE, P(others[i]), 0), 0);
    srand(seed);
    for (unsigned n = 0; n < steps; n++) {
        step();
        if (n % 50 == 0)
            dentry_shrink(10000);
        if (n % 20 == 0)
            compare(root, "/");
    }
    dentry_shrink(10000);
    compare(root, "/");
    free(m.mem);
}

static void test_many_seeds(void **state)
{
    (void)state;
    fake_init(256 << 20);
    for (unsigned seed = 1; seed <= 60; seed++)
        run(seed, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
