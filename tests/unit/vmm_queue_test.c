// SPDX-License-Identifier: Apache-2.0
/* Virtqueues against drivers that are right, and against those that lie. */
#include "tests/unit/vmm_driver.h"
#include "vmm/virtio/queue.h"

struct fixture {
    struct gmem mem;
    struct driver d;
    struct virtq q;
    struct virtq_chain c;
};

static int setup(void **state)
{
    static struct fixture f;
    struct err e;
    memset(&f, 0, sizeof(f));
    if (gmem_init(&f.mem, UINT64_C(16) << 20, &e) < 0)
        return -1;
    driver_init(&f.d, &f.mem, 0);
    f.q.place = f.d.place;
    *state = &f;
    return virtq_start(&f.q, &f.mem, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    gmem_fini(&f->mem);
    return 0;
}

static void chain_arrives_in_order_and_goes_back(void **state)
{
    struct fixture *f = *state;
    char text[16];
    *driver_desc(&f->d, 3) = (struct virtq_desc){DRIVER_DATA, 4, 1, 5};
    *driver_desc(&f->d, 5) = (struct virtq_desc){DRIVER_DATA + 8, 2, 1, 1};
    *driver_desc(&f->d, 1) = (struct virtq_desc){DRIVER_DATA + 64, 8, 2, 0};
    assert_true(gmem_write(&f->mem, gpa(DRIVER_DATA), "abcd....ef", 10));
    assert_int_equal(virtq_pop(&f->q, &f->c), 0);
    driver_offer(&f->d, 3);
    assert_int_equal(virtq_pop(&f->q, &f->c), 1);
    assert_int_equal(f->c.out, 2);
    assert_int_equal(f->c.in, 1);
    assert_int_equal(f->c.out_size, 6);
    assert_int_equal(virtq_copy_out(&f->c, 2, text, sizeof(text)), 4);
    assert_memory_equal(text, "cdef", 4);
    assert_int_equal(virtq_copy_in(&f->c, 0, "0123456789", 10), 8);
    virtq_push(&f->q, &f->c, 8);
    assert_int_equal(driver_used(&f->d)->idx, 1);
    assert_int_equal(driver_used(&f->d)->ring[0].id, 3);
    assert_int_equal(driver_used(&f->d)->ring[0].len, 8);
    assert_memory_equal(gmem_at(&f->mem, gpa(DRIVER_DATA + 64), 8), "01234567",
                        8);
}

static void events_are_asked_for_and_honoured(void **state)
{
    struct fixture *f = *state;
    uint16_t *used_event = &driver_avail(&f->d)->ring[DRIVER_QUEUE_SIZE];
    *used_event = 1; /* after the second buffer */
    assert_false(virtq_arm(&f->q));
    for (uint16_t i = 0; i < 2; i++) {
        driver_put(&f->d, i, DRIVER_DATA, 4, false);
        assert_true(virtq_arm(&f->q));
        assert_int_equal(virtq_pop(&f->q, &f->c), 1);
        assert_false(virtq_arm(&f->q));
        virtq_push(&f->q, &f->c, 0);
        assert_int_equal(virtq_should_signal(&f->q), i == 1);
    }
    assert_false(virtq_should_signal(&f->q)); /* nothing new */
    uint8_t *used = (uint8_t *)driver_used(&f->d);
    assert_int_equal(used[4 + 8 * DRIVER_QUEUE_SIZE], 2); /* avail_event */
}

static void indices_wrap(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 0x10010; i++) {
        driver_put(&f->d, (uint16_t)(i % DRIVER_QUEUE_SIZE), DRIVER_DATA, 4,
                   true);
        assert_int_equal(virtq_pop(&f->q, &f->c), 1);
        virtq_push(&f->q, &f->c, 4);
    }
    assert_int_equal(driver_used(&f->d)->idx, 0x10);
}

static void expect_broken(struct fixture *f, uint16_t head)
{
    driver_offer(&f->d, head);
    assert_int_equal(virtq_pop(&f->q, &f->c), -EPROTO);
    assert_true(f->q.broken);
    assert_int_equal(virtq_pop(&f->q, &f->c), 0);
    assert_false(virtq_arm(&f->q));
}

#define BROKEN(name, head, ...)                                                \
    static void name(void **state)                                             \
    {                                                                          \
        struct fixture *f = *state;                                            \
        *driver_desc(&f->d, 0) = (struct virtq_desc)__VA_ARGS__;               \
        expect_broken(f, head);                                                \
    }

BROKEN(address_outside_ram, 0, {UINT64_C(16) << 20, 1, 0, 0})
BROKEN(address_overflows, 0, {UINT64_MAX, 2, 0, 0})
BROKEN(length_leaves_ram, 0, {DRIVER_DATA, UINT32_MAX, 0, 0})
BROKEN(chain_loops, 0, {DRIVER_DATA, 1, 1, 0})
BROKEN(next_out_of_table, 0, {DRIVER_DATA, 1, 1, 8})
BROKEN(head_out_of_table, 8, {DRIVER_DATA, 1, 0, 0})
BROKEN(indirect_not_offered, 0, {DRIVER_DATA, 16, 4, 0})

static void readable_after_writable(void **state)
{
    struct fixture *f = *state;
    *driver_desc(&f->d, 0) = (struct virtq_desc){DRIVER_DATA, 1, 3, 1};
    *driver_desc(&f->d, 1) = (struct virtq_desc){DRIVER_DATA, 1, 0, 0};
    expect_broken(f, 0);
}

static void index_jumps_past_the_ring(void **state)
{
    struct fixture *f = *state;
    f->d.avail_idx = DRIVER_QUEUE_SIZE;
    expect_broken(f, 0);
}

static void rings_must_be_ram_and_aligned(void **state)
{
    struct fixture *f = *state;
    const struct virtq_place good = f->d.place;
    struct virtq q = {.place = good};
    q.place.size = 0;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    q.place.size = 3;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    q.place.size = 512;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    q.place = good;
    q.place.desc += 8;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    q.place = good;
    q.place.used += 2;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    q.place = good;
    q.place.avail = (UINT64_C(16) << 20) - 8;
    assert_int_equal(virtq_start(&q, &f->mem, true), -EINVAL);
    assert_false(q.ready);
}

static void slice_stays_inside(void **state)
{
    (void)state;
    char a[4];
    char b[6];
    const struct iovec iov[] = {{a, 4}, {b, 0}, {b, 6}};
    struct iovec out[3];
    assert_int_equal(virtq_slice(iov, 3, 3, 4, out, 3), 2);
    assert_ptr_equal(out[0].iov_base, a + 3);
    assert_int_equal(out[0].iov_len, 1);
    assert_ptr_equal(out[1].iov_base, b);
    assert_int_equal(out[1].iov_len, 3);
    assert_int_equal(virtq_slice(iov, 3, 10, 1, out, 3), 0);
    assert_int_equal(virtq_slice(iov, 3, 0, 100, out, 1), 1);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(chain_arrives_in_order_and_goes_back),
        QUEUE_TEST(events_are_asked_for_and_honoured),
        QUEUE_TEST(indices_wrap),
        QUEUE_TEST(address_outside_ram),
        QUEUE_TEST(address_overflows),
        QUEUE_TEST(length_leaves_ram),
        QUEUE_TEST(chain_loops),
        QUEUE_TEST(next_out_of_table),
        QUEUE_TEST(head_out_of_table),
        QUEUE_TEST(indirect_not_offered),
        QUEUE_TEST(readable_after_writable),
        QUEUE_TEST(index_jumps_past_the_ring),
        QUEUE_TEST(rings_must_be_ram_and_aligned),
        QUEUE_TEST(slice_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
