// SPDX-License-Identifier: Apache-2.0
/* Memory is out: who is killed, and that nothing breaks on the way there. */
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/oom.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "tests/unit/guest_mm_env.h"

#define BASE UINT64_C(0x40000000)

static struct process *add(uint64_t pages, int32_t adj)
{
    struct process *p = process_new(current()->proc);
    struct task *t = task_new(p, "victim");
    assert_non_null(t);
    p->aspace = aspace_new();
    assert_non_null(p->aspace);
    p->aspace->rss_anon = pages;
    p->sighand = kzalloc(sizeof(*p->sighand));
    assert_non_null(p->sighand);
    p->sighand->refs = 1;
    p->leader = t;
    p->thread_count = 1;
    list_add_tail(&p->threads, &t->thread_node);
    p->oom_score_adj = adj;
    process_publish(p, current()->proc);
    return p;
}

static int setup(void **state)
{
    int r = env_setup(state);
    list_init(&proc_list);
    process_publish(current()->proc, NULL);
    return r;
}

static void test_the_largest(void **state)
{
    (void)state;
    struct process *a = add(100, 0), *b = add(200, 0), *c = add(150, 0);
    assert_true(oom_kill());
    assert_true(b->oom_killed);
    assert_false(a->oom_killed || c->oom_killed);
    assert_true((b->pending.set & SIG_BIT(LX_SIGKILL)) != 0 || b->group_exit);
    /* One at a time: its memory is on the way. */
    assert_true(oom_kill());
    assert_false(a->oom_killed || c->oom_killed);
    b->zombie = true;
    assert_true(oom_kill());
    assert_true(c->oom_killed);
}

static void test_adjusted(void **state)
{
    (void)state;
    struct process *a = add(100, 0), *b = add(200, -1000), *c = add(10, 500);
    assert_true(oom_kill());
    assert_true(c->oom_killed);
    c->zombie = true;
    assert_true(oom_kill());
    assert_true(a->oom_killed);
    assert_false(b->oom_killed);
}

static void test_nobody(void **state)
{
    (void)state;
    struct process *a = add(100, -1000), *b = add(100, 0);
    current()->proc->oom_score_adj = -1000;
    b->zombie = true;
    assert_false(oom_kill());
    assert_false(a->oom_killed);
}

/* Every page of RAM asked for: the fault ends the program, not the kernel. */
static void test_fault_without_memory(void **state)
{
    (void)state;
    int64_t r = aspace_map(as_now(), BASE, 128u << 20, R | W,
                           FIX | LX_MAP_NORESERVE, NULL, 0);
    assert_int_equal(r, BASE);
    uint64_t at = BASE;
    int signo = 0, code = 0;
    while (aspace_fault(at, FAULT_WRITE, &signo, &code) == 0 &&
           at < BASE + (128u << 20))
        at += PG;
    assert_true(at > BASE + (50u << 20));
    assert_true(at < BASE + (64u << 20));
    assert_int_equal(signo, LX_SIGKILL);
    assert_true(current()->proc->oom_killed);
    /* System calls still say what is wrong. */
    assert_true(free_now() > 0);
    assert_int_equal(page_alloc(0, 0), 0);
    unmap(BASE, 128u << 20);
    assert_int_equal(as_now()->rss_anon, 0);
    assert_true(free_now() > (50u << 20) / PG);
}

/* Names that nobody uses go before a program does. */
static void test_names_go_first(void **state)
{
    (void)state;
    enum { NAMES = 1500 };
    struct inode *i = anon_inode(LX_S_IFDIR | 0755, "test");
    assert_non_null(i);
    struct dentry *root = dentry_new_root(i);
    for (int n = 0; n < NAMES; n++) {
        char name[16];
        int len = ksnprintf(name, sizeof(name), "%d", n);
        struct dentry *d = dentry_new(root, name, (size_t)len);
        assert_non_null(d);
        dentry_add(d);
        dentry_put(d);
    }
    while (page_alloc(0, 0) != 0)
        ;
    uint64_t left = free_now();
    assert_true(oom_reclaim());
    assert_true(free_now() > left + NAMES / 50);
    while (page_alloc(0, 0) != 0)
        ;
    assert_false(oom_reclaim());
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_the_largest),          T(test_adjusted),       T(test_nobody),
        T(test_fault_without_memory), T(test_names_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
