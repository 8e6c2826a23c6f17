// SPDX-License-Identifier: Apache-2.0
/* The kernel heap. ASan sees its objects: kmem.c poisons what is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/arch/fake/fake.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"

static int setup(void **state)
{
    (void)state;
    fake_init(32u << 20);
    return 0;
}

static uint64_t free_now(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.free;
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,    1,    16,   17,   100,   1000,
                                   1025, 2048, 2049, 4096, 10000, 100000};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *p = kmalloc(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p & 15, 0);
        memset(p, 0x5a, sizes[i]);
        kfree(p);
    }
    assert_null(kmalloc((size_t)4 << 20));
    kfree(NULL);
}

static void test_zeroed_though_used_before(void **state)
{
    (void)state;
    for (size_t size = 8; size < 20000; size *= 3) {
        char *p = kmalloc(size);
        memset(p, 0xff, size);
        kfree(p);
        p = kzalloc(size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        kfree(p);
    }
}

static void test_last_freed_is_next(void **state)
{
    (void)state;
    void *a = kmalloc(200);
    void *b = kmalloc(200);
    kfree(a);
    assert_ptr_equal(kmalloc(200), a);
    kfree(a);
    kfree(b);
}

static void test_strings(void **state)
{
    (void)state;
    char *a = kstrdup("limpet");
    char *b = kstrndup("limpet", 3);
    assert_string_equal(a, "limpet");
    assert_string_equal(b, "lim");
    kfree(a);
    kfree(b);
}

/* Objects keep their contents while others come and go. */
static void test_random(void **state)
{
    (void)state;
    static struct object {
        unsigned char *p;
        size_t size;
        unsigned char mark;
    } held[800];
    uint64_t before = free_now();
    memset(held, 0, sizeof(held));
    srand(3);
    for (unsigned step = 0; step < 60000; step++) {
        struct object *o = &held[rand() % 800];
        if (o->p != NULL) {
            for (size_t i = 0; i < o->size; i++)
                assert_int_equal(o->p[i], o->mark);
            kfree(o->p);
            o->p = NULL;
            continue;
        }
        o->size = (size_t)rand() % (rand() % 16 == 0 ? 9000 : 600);
        o->mark = (unsigned char)rand();
        o->p = kmalloc(o->size);
        assert_non_null(o->p);
        memset(o->p, o->mark, o->size);
    }
    for (unsigned i = 0; i < 800; i++)
        kfree(held[i].p);
    /* At most one empty page per class stays. */
    assert_true(before - free_now() <= 11);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    unsigned n = 0;
    void **last = NULL;
    for (void **p; (p = kmalloc(2048)) != NULL; n++) {
        *p = last;
        last = p;
    }
    assert_true(n > 4000);
    assert_null(kmalloc(2048));
    while (last != NULL) {
        void **p = last;
        last = *p;
        kfree(p);
    }
    assert_non_null(kmalloc(100000));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_sizes),
        T(test_zeroed_though_used_before),
        T(test_last_freed_is_next),
        T(test_strings),
        T(test_random),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
