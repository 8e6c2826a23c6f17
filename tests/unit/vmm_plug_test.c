// SPDX-License-Identifier: Apache-2.0
/* Places for network devices: what a client asks for, what the guest answers,
 * and what either may get wrong. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/virtio_mmio.h"

#include "base/auto.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/plug.h"

enum { USED = 2, PLACES = 4, SILENT = 1 };

struct fixture {
    struct plug plug; /* first */
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct bus bus;
    struct virtio_net net[PLACES];
    struct virtio_mmio dev[PLACES];
    int peer[PLACES];
    /* What was said last. */
    bool deaf;
    struct ctl_header head;
    struct ctl_net told;
    const void *client;
    int error;
};

static const int client_a, client_b; /* only their addresses count */

static bool tell(struct plug *p, const void *frame, size_t size)
{
    struct fixture *f = (struct fixture *)p;
    if (f->deaf)
        return false;
    memset(&f->told, 0, sizeof(f->told));
    memcpy(&f->head, frame, sizeof(f->head));
    assert_int_equal(size, sizeof(f->head) + f->head.size);
    memcpy(&f->told, (const uint8_t *)frame + sizeof(f->head), f->head.size);
    return true;
}

static void answer(struct plug *p, const void *client, int error)
{
    struct fixture *f = (struct fixture *)p;
    f->client = client;
    f->error = error;
}

static void start(struct fixture *f, unsigned i)
{
    int pair[2];
    struct err e;
    struct virtio_net_want want = {.frames = VIRTIO_NET_PACKET, .mtu = 1500};
    f->peer[i] = -1;
    virtio_net_init_spare(&f->net[i]);
    if (i < USED) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        want.fd = pair[0];
        f->peer[i] = pair[1];
        assert_int_equal(virtio_net_init(&f->net[i], &f->loop, &want, &e), 0);
    }
    assert_int_equal(virtio_mmio_init(&f->dev[i], &f->net[i].vd, &f->mem,
                                      &f->loop, &f->irqs, &e),
                     0);
    assert_int_equal(bus_attach(&f->bus, i + 3, &f->dev[i].window), 0);
    plug_place(&f->plug, &f->net[i], &f->dev[i], i < USED ? want.fd : -1);
}

static int setup(void **state)
{
    static const struct plug_ops ops = {.tell = tell, .answer = answer};
    static struct fixture f;
    struct err e;
    memset(&f, 0, sizeof(f));
    f.plug.ops = &ops;
    f.plug.bus = &f.bus;
    f.plug.loop = &f.loop;
    f.error = SILENT;
    if (gmem_init(&f.mem, UINT64_C(16) << 20, &e) < 0 ||
        loop_init(&f.loop, &e) < 0)
        return -1;
    for (unsigned i = 0; i < PLACES; i++)
        start(&f, i);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < PLACES; i++) {
        virtio_mmio_fini(&f->dev[i]);
        virtio_net_fini(&f->net[i]);
        if (f->plug.slot[i].fd >= 0)
            (void)close(f->plug.slot[i].fd);
        if (f->peer[i] >= 0)
            (void)close(f->peer[i]);
    }
    irq_fini(&f->irqs);
    loop_fini(&f->loop);
    gmem_fini(&f->mem);
    return 0;
}

static uint32_t look(const struct fixture *f, unsigned i, uint32_t reg)
{
    uint32_t v;
    bus_read(&f->bus, f->dev[i].window.base + reg, (uint8_t *)&v, sizeof(v));
    return v;
}

static bool is_there(const struct fixture *f, unsigned i)
{
    return look(f, i, VIRTIO_MMIO_REG_DEVICE_ID) == VIRTIO_ID_NET;
}

/* Has the fd that the monitor had of slot i been closed? */
static bool is_closed(const struct fixture *f, unsigned i)
{
    char c;
    return recv(f->peer[i], &c, 1, MSG_DONTWAIT) == 0;
}

static void ask_add(struct fixture *f, const void *client, unsigned i,
                    const struct boot_netif *n)
{
    int pair[2];
    const struct ctl_net m = {.at = {.slot = i, .flags = CTL_NET_OFFLOAD},
                              .netif = *n};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    f->peer[i < PLACES ? i : 0] = pair[1];
    f->error = SILENT;
    plug_ask(&f->plug, client, CTL_NET_ADD, &m, sizeof(m), pair[0]);
}

static const struct boot_netif good = {
    .name = "eth2", .mac = {2, 0, 0, 0, 0, 9}, .mtu = 1400};

static void ask_remove(struct fixture *f, const void *client, unsigned i,
                       uint32_t flags)
{
    const struct ctl_net_slot m = {.slot = i, .flags = flags};
    f->error = SILENT;
    plug_ask(&f->plug, client, CTL_NET_REMOVE, &m, sizeof(m), -1);
}

static void guest_says(struct fixture *f, uint32_t serial, int32_t error)
{
    const struct ctl_net_done d = {.serial = serial, .error = error};
    plug_done(&f->plug, &d, sizeof(d));
}

static void a_device_comes_and_goes_and_comes(void **state)
{
    struct fixture *f = *state;
    assert_true(is_there(f, 0));
    assert_false(is_there(f, 2));
    assert_int_equal(look(f, 2, VIRTIO_MMIO_REG_MAGIC_VALUE), UINT32_MAX);
    for (int round = 0; round < 3; round++) {
        ask_add(f, &client_a, 2, &good);
        assert_int_equal(f->error, SILENT); /* the guest has the word */
        assert_true(is_there(f, 2));
        assert_int_equal(f->head.type, CTL_NET_ADD);
        assert_int_equal(f->told.at.regs, f->dev[2].window.base);
        assert_string_equal(f->told.netif.name, "eth2");
        assert_int_equal(look(f, 2, VIRTIO_MMIO_REG_CONFIG) & 0xff, 2);
        guest_says(f, f->told.at.serial, 0);
        assert_ptr_equal(f->client, &client_a);
        assert_int_equal(f->error, 0);
        ask_remove(f, &client_b, 2, 0);
        assert_true(is_there(f, 2));
        assert_int_equal(f->head.type, CTL_NET_REMOVE);
        guest_says(f, f->told.at.serial, 0);
        assert_int_equal(f->error, 0);
        assert_false(is_there(f, 2));
        assert_true(is_closed(f, 2));
        (void)close(f->peer[2]);
    }
    f->peer[2] = -1;
}

static void the_first_one_goes_too(void **state)
{
    struct fixture *f = *state;
    ask_remove(f, &client_a, 0, 0);
    guest_says(f, f->told.at.serial, 0);
    assert_false(is_there(f, 0));
    assert_true(is_closed(f, 0));
    assert_true(is_there(f, 1));
    ask_remove(f, &client_a, 0, 0);
    assert_int_equal(f->error, -ENODEV);
}

static void clients_are_checked(void **state)
{
    struct fixture *f = *state;
    struct boot_netif bad[6] = {good, good, good, good, good, good};
    bad[0].mtu = 67;
    bad[1].mtu = 65536;
    bad[2].mac[0] = 1;
    bad[3].addr_count = 5;
    bad[4].gateway_count = 3;
    memset(bad[5].name, 'x', sizeof(bad[5].name));
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        ask_add(f, &client_a, 3, &bad[i]);
        assert_int_equal(f->error, -EINVAL);
        assert_true(is_closed(f, 3));
        assert_false(is_there(f, 3));
        (void)close(f->peer[3]);
    }
    f->peer[3] = -1;
    const struct ctl_net m = {.at = {.slot = 3}, .netif = good};
    plug_ask(&f->plug, &client_a, CTL_NET_ADD, &m, sizeof(m), -1);
    assert_int_equal(f->error, -EINVAL); /* where is the tap? */
    plug_ask(&f->plug, &client_a, CTL_NET_ADD, &m, sizeof(m) - 1, -1);
    assert_int_equal(f->error, -EINVAL);
    plug_ask(&f->plug, &client_a, CTL_NET_REMOVE, &m, sizeof(m.at) - 1, -1);
    assert_int_equal(f->error, -EINVAL);
    ask_remove(f, &client_a, PLACES, 0);
    assert_int_equal(f->error, -ENOSPC);
    int used = f->peer[1];
    ask_add(f, &client_a, 1, &good);
    assert_int_equal(f->error, -EBUSY);
    assert_true(is_closed(f, 1));
    (void)close(f->peer[1]);
    f->peer[1] = used;
    assert_false(is_closed(f, 1)); /* the one that was there */
}

static void a_guest_completes_only_what_was_asked(void **state)
{
    struct fixture *f = *state;
    for (uint32_t serial = 0; serial < 20; serial++)
        guest_says(f, serial, 0);
    plug_done(&f->plug, "abc", 3);
    assert_int_equal(f->error, SILENT);
    assert_true(is_there(f, 0) && is_there(f, 1) && !is_there(f, 2));
    /* It refuses, with nonsense. */
    ask_add(f, &client_a, 2, &good);
    guest_says(f, f->told.at.serial + 1, 0);
    assert_int_equal(f->error, SILENT);
    guest_says(f, f->told.at.serial, INT32_MIN);
    assert_int_equal(f->error, -EIO);
    assert_false(is_there(f, 2));
    /* A late answer to what was given up. */
    (void)close(f->peer[2]);
    ask_add(f, &client_a, 2, &good);
    uint32_t late = f->told.at.serial;
    ask_remove(f, &client_b, 2, CTL_NET_FORCE);
    assert_ptr_equal(f->client, &client_b);
    assert_int_equal(f->error, 0);
    assert_true(is_closed(f, 2));
    (void)close(f->peer[2]);
    ask_add(f, &client_a, 2, &good);
    guest_says(f, late, 0);
    assert_int_equal(f->error, SILENT);
    guest_says(f, f->told.at.serial, 0);
    assert_int_equal(f->error, 0);
}

static void a_guest_that_says_nothing(void **state)
{
    struct fixture *f = *state;
    ask_remove(f, &client_a, 0, 0);
    assert_int_equal(f->error, SILENT);
    ask_remove(f, &client_b, 0, CTL_NET_FORCE);
    assert_int_equal(f->error, 0);
    assert_false(is_there(f, 0));
    f->deaf = true; /* its port is full */
    ask_remove(f, &client_a, 1, 0);
    assert_int_equal(f->error, -EAGAIN);
    assert_true(is_there(f, 1));
    ask_add(f, &client_a, 2, &good);
    assert_int_equal(f->error, -EAGAIN);
    assert_true(!is_there(f, 2) && is_closed(f, 2));
    ask_remove(f, &client_a, 1, CTL_NET_FORCE);
    assert_int_equal(f->error, 0);
    assert_true(!is_there(f, 1) && is_closed(f, 1));
}

/* A question that the guest did not hear changes nothing about the one before.
 */
static void the_answer_to_the_question_that_was_heard_counts(void **state)
{
    struct fixture *f = *state;
    ask_remove(f, &client_a, 1, 0);
    uint32_t serial = f->told.at.serial;
    f->deaf = true;
    ask_remove(f, &client_b, 1, 0);
    assert_ptr_equal(f->client, &client_b);
    assert_int_equal(f->error, -EAGAIN);
    f->error = SILENT;
    guest_says(f, serial, 0);
    assert_ptr_equal(f->client, &client_a);
    assert_int_equal(f->error, 0);
    assert_true(!is_there(f, 1) && is_closed(f, 1));
    /* The same while one comes. */
    f->deaf = false;
    ask_add(f, &client_a, 2, &good);
    serial = f->told.at.serial;
    f->deaf = true;
    ask_remove(f, &client_b, 2, 0);
    assert_int_equal(f->error, -EAGAIN);
    guest_says(f, serial, 0);
    assert_ptr_equal(f->client, &client_a);
    assert_int_equal(f->error, 0);
    assert_true(is_there(f, 2));
    ask_remove(f, &client_b, 2, CTL_NET_FORCE); /* needs no ears */
    assert_int_equal(f->error, 0);
    assert_false(is_there(f, 2));
}

static void a_client_that_has_gone_hears_nothing(void **state)
{
    struct fixture *f = *state;
    ask_add(f, &client_a, 2, &good);
    plug_forget(&f->plug, &client_a);
    guest_says(f, f->told.at.serial, 0);
    assert_int_equal(f->error, SILENT);
    assert_true(is_there(f, 2)); /* what it asked for holds */
    ask_add(f, &client_b, 3, &good);
    ask_remove(f, &client_b, 3, 0);
    assert_int_equal(f->error, -ECANCELED); /* the first question */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_device_comes_and_goes_and_comes),
        TEST(the_first_one_goes_too),
        TEST(clients_are_checked),
        TEST(a_guest_completes_only_what_was_asked),
        TEST(a_guest_that_says_nothing),
        TEST(the_answer_to_the_question_that_was_heard_counts),
        TEST(a_client_that_has_gone_hears_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
