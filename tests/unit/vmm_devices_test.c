// SPDX-License-Identifier: Apache-2.0
/* Transport, disk and entropy device behind their registers. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "abi/virtio_mmio.h"

#include "tests/unit/vmm_driver.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"

struct fixture {
    struct gmem mem;
    struct loop loop;
    struct irq_lines irqs;
    struct virtio_blk blk;
    struct virtio_rng rng;
    struct virtio_mmio t;
    struct driver d;
    int disk;
};

static uint32_t get(struct fixture *f, uint32_t reg)
{
    uint32_t v;
    f->t.window.ops->read(&f->t.window, reg, (uint8_t *)&v, sizeof(v));
    return v;
}

static void set(struct fixture *f, uint32_t reg, uint32_t v)
{
    f->t.window.ops->write(&f->t.window, reg, (uint8_t *)&v, sizeof(v));
}

static bool raised(const struct fixture *f, unsigned line)
{
    uint64_t n;
    return read(f->irqs.fd[f->t.line + line], &n, sizeof(n)) == sizeof(n);
}

static int setup(void **state)
{
    static struct fixture f;
    struct err e;
    memset(&f, 0, sizeof(f));
    f.disk = memfd_create("disk", MFD_CLOEXEC);
    if (f.disk < 0 || ftruncate(f.disk, 8192) < 0 ||
        gmem_init(&f.mem, UINT64_C(16) << 20, &e) < 0 ||
        loop_init(&f.loop, &e) < 0)
        return -1;
    driver_init(&f.d, &f.mem, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    virtio_mmio_fini(&f->t);
    irq_fini(&f->irqs);
    loop_fini(&f->loop);
    gmem_fini(&f->mem);
    (void)close(f->disk);
    return 0;
}

static void attach(struct fixture *f, struct virtio_dev *vd)
{
    struct err e;
    assert_int_equal(
        virtio_mmio_init(&f->t, vd, &f->mem, &f->loop, &f->irqs, &e), 0);
}

/* 3.1.1, 4.2.3.1, as a stock driver does it. */
static void negotiate(struct fixture *f)
{
    const uint64_t at[] = {f->d.place.desc, f->d.place.avail, f->d.place.used};
    set(f, VIRTIO_MMIO_REG_STATUS, 0);
    set(f, VIRTIO_MMIO_REG_STATUS, 1);
    set(f, VIRTIO_MMIO_REG_STATUS, 3);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 1);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES, 1);
    set(f, VIRTIO_MMIO_REG_STATUS, 11);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_STATUS), 11);
    set(f, VIRTIO_MMIO_REG_QUEUE_SEL, 0);
    set(f, VIRTIO_MMIO_REG_QUEUE_NUM, DRIVER_QUEUE_SIZE);
    for (uint32_t i = 0; i < 3; i++) {
        set(f, 0x80 + 0x10 * i, (uint32_t)at[i]);
        set(f, 0x84 + 0x10 * i, (uint32_t)(at[i] >> 32));
    }
    set(f, VIRTIO_MMIO_REG_QUEUE_READY, 1);
    set(f, VIRTIO_MMIO_REG_STATUS, 15);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_STATUS), 15);
}

static void notify(struct fixture *f)
{
    f->t.dev->ops->notify(f->t.dev, 0);
}

static void registers_tell_what_the_device_is(void **state)
{
    struct fixture *f = *state;
    virtio_rng_init(&f->rng);
    attach(f, &f->rng.vd);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_MAGIC_VALUE), VIRTIO_MMIO_MAGIC);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_VERSION), 2);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_DEVICE_ID), VIRTIO_ID_RNG);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_QUEUE_NUM_MAX), 8);
    set(f, VIRTIO_MMIO_REG_QUEUE_SEL, 1);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_QUEUE_NUM_MAX), 0);
    set(f, VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_DEVICE_FEATURES), 1);
    set(f, VIRTIO_MMIO_REG_DEVICE_FEATURES_SEL, 7);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_DEVICE_FEATURES), 0);
}

static void features_not_offered_are_refused(void **state)
{
    struct fixture *f = *state;
    virtio_rng_init(&f->rng);
    attach(f, &f->rng.vd);
    set(f, VIRTIO_MMIO_REG_STATUS, 3);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 1);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES, 0xffffffff);
    set(f, VIRTIO_MMIO_REG_STATUS, 11);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_STATUS), 3);
    set(f, VIRTIO_MMIO_REG_STATUS, 7); /* DRIVER_OK without FEATURES_OK */
    assert_int_equal(get(f, VIRTIO_MMIO_REG_STATUS), 3);
}

static void rng_fills_and_interrupts(void **state)
{
    struct fixture *f = *state;
    virtio_rng_init(&f->rng);
    attach(f, &f->rng.vd);
    negotiate(f);
    driver_put(&f->d, 0, DRIVER_DATA, 64, true);
    notify(f);
    assert_int_equal(driver_used(&f->d)->ring[0].len, 64);
    assert_true(raised(f, 1));
    assert_false(raised(f, 0));
}

static void rings_outside_ram_need_reset(void **state)
{
    struct fixture *f = *state;
    virtio_rng_init(&f->rng);
    attach(f, &f->rng.vd);
    set(f, VIRTIO_MMIO_REG_STATUS, 3);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES_SEL, 1);
    set(f, VIRTIO_MMIO_REG_DRIVER_FEATURES, 1);
    set(f, VIRTIO_MMIO_REG_STATUS, 11);
    set(f, VIRTIO_MMIO_REG_QUEUE_NUM, 8);
    set(f, VIRTIO_MMIO_REG_QUEUE_DEVICE_LOW, 0xfffffffc);
    set(f, VIRTIO_MMIO_REG_QUEUE_DEVICE_HIGH, 0xffffffff);
    set(f, VIRTIO_MMIO_REG_QUEUE_READY, 1);
    set(f, VIRTIO_MMIO_REG_STATUS, 15);
    assert_true(get(f, VIRTIO_MMIO_REG_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
    notify(f); /* harmless */
    set(f, VIRTIO_MMIO_REG_STATUS, 0);
    assert_int_equal(get(f, VIRTIO_MMIO_REG_STATUS), 0);
}

/* One disk request; returns its status byte. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector,
                       uint32_t size, bool in)
{
    struct virtio_blk_req r = {type, 0, sector};
    uint8_t *status = gmem_at(&f->mem, gpa(DRIVER_DATA - 16), 1);
    uint16_t used = driver_used(&f->d)->idx;
    *status = 99;
    assert_true(gmem_write(&f->mem, gpa(DRIVER_DATA - 64), &r, sizeof(r)));
    *driver_desc(&f->d, 0) =
        (struct virtq_desc){DRIVER_DATA - 64, sizeof(r), 1, 1};
    *driver_desc(&f->d, 1) =
        (struct virtq_desc){DRIVER_DATA, size, in ? 3 : 1, 2};
    *driver_desc(&f->d, 2) = (struct virtq_desc){DRIVER_DATA - 16, 1, 2, 0};
    driver_offer(&f->d, 0);
    notify(f);
    assert_int_equal(driver_used(&f->d)->idx, (uint16_t)(used + 1));
    return *status;
}

static void disk(struct fixture *f, bool readonly)
{
    struct err e;
    assert_int_equal(virtio_blk_init(&f->blk, f->disk, readonly, 0, &e), 0);
    attach(f, &f->blk.vd);
    negotiate(f);
}

static void disk_reads_and_writes(void **state)
{
    struct fixture *f = *state;
    char text[4] = "";
    disk(f, false);
    memcpy(gmem_at(&f->mem, gpa(DRIVER_DATA), 512), "data", 4);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 15, 512, false), 0);
    assert_int_equal(pread(f->disk, text, 4, 7680), 4);
    assert_memory_equal(text, "data", 4);
    memset(gmem_at(&f->mem, gpa(DRIVER_DATA), 512), 0, 512);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 15, 512, true), 0);
    assert_memory_equal(gmem_at(&f->mem, gpa(DRIVER_DATA), 4), "data", 4);
    assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, true), 0);
    assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
    assert_string_equal(gmem_at(&f->mem, gpa(DRIVER_DATA), 20),
                        "limpet-disk-0");
}

static void disk_refuses_what_is_outside(void **state)
{
    struct fixture *f = *state;
    disk(f, false);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 16, 512, true), 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 15, 1024, true), 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, UINT64_MAX, 512, true), 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 100, true), 1);
    assert_int_equal(request(f, 77, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
}

/* The same request many times: each is fine, all of them are a while. */
static void long_requests_take_turns(void **state)
{
    struct fixture *f = *state;
    uint64_t rings;
    assert_int_equal(ftruncate(f->disk, 4 << 20), 0);
    disk(f, false);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 2 << 20, true), 0);
    for (int i = 0; i < DRIVER_QUEUE_SIZE; i++)
        driver_offer(&f->d, 0);
    notify(f);
    assert_in_range(driver_used(&f->d)->idx, 2, 4);
    while (read(f->t.bell[0].source.fd, &rings, 8) == 8)
        notify(f);
    assert_int_equal(driver_used(&f->d)->idx, 1 + DRIVER_QUEUE_SIZE);
}

static void readonly_disk_stays_so(void **state)
{
    struct fixture *f = *state;
    char text[4] = "x";
    disk(f, true);
    assert_true((f->blk.vd.features & VIRTIO_BLK_F_RO) != 0);
    memcpy(gmem_at(&f->mem, gpa(DRIVER_DATA), 512), "data", 4);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, false), 1);
    assert_int_equal(pread(f->disk, text, 4, 0), 4);
    assert_int_equal(text[0], 0);
}

static void disk_without_status_byte_needs_reset(void **state)
{
    struct fixture *f = *state;
    disk(f, false);
    driver_put(&f->d, 0, DRIVER_DATA, 16, false);
    notify(f);
    assert_true(get(f, VIRTIO_MMIO_REG_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
    assert_true(raised(f, 0));
}

static void disk_of_odd_size_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_int_equal(ftruncate(f->disk, 1000), 0);
    assert_int_equal(virtio_blk_init(&f->blk, f->disk, false, 3, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "disk 3"));
}

static void image_is_one_disk_of_all_its_files(void **state)
{
    struct fixture *f = *state;
    const char *got = gmem_at(&f->mem, gpa(DRIVER_DATA), 8192);
    int second = memfd_create("second", MFD_CLOEXEC);
    const struct virtio_blk_part part[] = {{f->disk, 8192}, {second, 4096}};
    assert_int_equal(ftruncate(second, 4096), 0);
    assert_int_equal(pwrite(f->disk, "end", 3, 8189), 3);
    assert_int_equal(pwrite(second, "begin", 5, 0), 5);
    assert_int_equal(pwrite(second, "last", 4, 4092), 4);
    virtio_blk_init_image(&f->blk, part, 2);
    attach(f, &f->blk.vd);
    negotiate(f);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 15, 1024, true), 0);
    assert_memory_equal(got + 509, "endbegin", 8);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 16, 4096, true), 0);
    assert_memory_equal(got + 4092, "last", 4);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 24, 512, true), 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, false), 1);
    assert_int_equal(ftruncate(second, 0), 0); /* a damaged store */
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 15, 1024, true), 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
    assert_string_equal(got, "limpet-image");
    (void)close(second);
}

static void lines_may_be_shared(void **state)
{
    struct fixture *f = *state;
    f->irqs.shared = true;
    disk(f, false);
    assert_int_equal(f->irqs.count, 1);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), 0);
    assert_true(raised(f, 0));
    assert_int_equal(get(f, VIRTIO_MMIO_REG_INTERRUPT_STATUS), 1);
}

static void odd_accesses_do_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t b[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct bus bus = {.slot = {NULL}};
    virtio_rng_init(&f->rng);
    attach(f, &f->rng.vd);
    assert_int_equal(bus_attach(&bus, 1, &f->t.window), 0);
    assert_int_equal(bus_attach(&bus, 1, &f->t.window), -EBUSY);
    assert_int_equal(bus_attach(&bus, BUS_SLOTS, &f->t.window), -ENOSPC);
    for (uint64_t at = 0xcffffff0; at < 0xd0003000; at++) {
        bus_write(&bus, at, b, (uint32_t)(at % 8) + 1);
        bus_read(&bus, at, b, (uint32_t)(at % 8) + 1);
    }
    bus_read(&bus, 0xd0002000, b, 4);
    assert_int_equal(b[0], 0xff); /* nobody there */
    bus_read(&bus, UINT64_MAX, b, 8);
    assert_int_equal(b[7], 0xff);
}

#define DEVICE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEVICE_TEST(registers_tell_what_the_device_is),
        DEVICE_TEST(features_not_offered_are_refused),
        DEVICE_TEST(rng_fills_and_interrupts),
        DEVICE_TEST(rings_outside_ram_need_reset),
        DEVICE_TEST(disk_reads_and_writes),
        DEVICE_TEST(disk_refuses_what_is_outside),
        DEVICE_TEST(long_requests_take_turns),
        DEVICE_TEST(readonly_disk_stays_so),
        DEVICE_TEST(disk_without_status_byte_needs_reset),
        DEVICE_TEST(disk_of_odd_size_is_refused),
        DEVICE_TEST(image_is_one_disk_of_all_its_files),
        DEVICE_TEST(lines_may_be_shared),
        DEVICE_TEST(odd_accesses_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
