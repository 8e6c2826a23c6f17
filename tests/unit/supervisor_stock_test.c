// SPDX-License-Identifier: Apache-2.0
/* The initrd of a stock Linux: which modules, in which order. */
#include <fcntl.h>
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

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/host.h"
#include "supervisor/stock.h"

#define MODULES "lib/modules/6.1-x"

static const char dep[] =
    "kernel/other/erofs_not.ko:\n"
    "kernel/virtio/virtio_mmio.ko: kernel/virtio/virtio.ko "
    "kernel/virtio/virtio_ring.ko\n"
    "kernel/hw_random/virtio-rng.ko.xz: kernel/virtio/virtio.ko\n"
    "kernel/fs/erofs.ko: kernel/lib/libcrc32c.ko\n"
    "kernel/virtio/virtio.ko: kernel/virtio/virtio_ring.ko\n";

static struct host host;
static char kernel[PATH_MAX];
static int root = -1;

static void put(const char *path, const char *text)
{
    assert_int_equal(path_replace(root, path, text, strlen(text), 0, NULL), 0);
}

static int setup(void **unused)
{
    static const char *const dirs[] = {"boot",
                                       "lib",
                                       "lib/modules",
                                       MODULES,
                                       MODULES "/kernel",
                                       MODULES "/kernel/other",
                                       MODULES "/kernel/virtio",
                                       MODULES "/kernel/hw_random",
                                       MODULES "/kernel/fs",
                                       MODULES "/kernel/lib"};
    (void)unused;
    (void)snprintf(host.libexec, sizeof(host.libexec),
                   "/tmp/limpet-stock-XXXXXX");
    if (mkdtemp(host.libexec) == NULL)
        return -1;
    root = open(host.libexec, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++)
        if (mkdirat(root, dirs[i], 0700) < 0)
            return -1;
    (void)snprintf(kernel, sizeof(kernel), "%.100s/boot/vmlinuz-6.1-x",
                   host.libexec);
    put("limpet-stock-init", "the init");
    put(MODULES "/modules.dep", dep);
    put(MODULES "/kernel/virtio/virtio.ko", "virtio");
    put(MODULES "/kernel/virtio/virtio_ring.ko", "ring");
    put(MODULES "/kernel/virtio/virtio_mmio.ko", "mmio");
    put(MODULES "/kernel/hw_random/virtio-rng.ko.xz", "rng");
    put(MODULES "/kernel/fs/erofs.ko", "erofs");
    put(MODULES "/kernel/lib/libcrc32c.ko", "crc");
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char cmd[128];
    (void)close(root);
    (void)snprintf(cmd, sizeof(cmd), "rm -r %.100s", host.libexec);
    return system(cmd); /* NOLINT(cert-env33-c): our own fixed text */
}

static bool has(const char *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

static void modules_come_after_what_they_need(void **unused)
{
    (void)unused;
    static char data[65536];
    struct err e = {0};
    int fd = stock_initrd(&host, kernel, &e);
    assert_string_equal(e.msg, "");
    assert_true(fd >= 0);
    ssize_t n = pread(fd, data, sizeof(data), 0);
    assert_true(n > 0 && n % 4 == 0);
    assert_memory_equal(data, "070701", 6);
    assert_true(has(data, (size_t)n, "the init"));
    assert_true(has(data, (size_t)n,
                    "virtio_ring.ko\nvirtio.ko\nvirtio_mmio.ko\n"
                    "virtio-rng.ko.xz\nlibcrc32c.ko\nerofs.ko\n"));
    assert_true(has(data, (size_t)n, "limpet/virtio-rng.ko.xz"));
    assert_false(has(data, (size_t)n, "erofs_not"));
    assert_true(has(data, (size_t)n, "TRAILER!!!"));
    (void)close(fd);
}

static void expect_refused(const char *path, const char *needle)
{
    struct err e = {0};
    assert_true(stock_initrd(&host, path, &e) < 0);
    if (strstr(e.msg, needle) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", needle, e.msg);
}

static void what_is_missing_is_named(void **unused)
{
    (void)unused;
    char path[PATH_MAX];
    expect_refused("/boot/vmlinuz", "--initrd");
    (void)snprintf(path, sizeof(path), "%.200s2", kernel);
    expect_refused(path, "lib/modules/6.1-x2");
    assert_int_equal(unlinkat(root, MODULES "/kernel/lib/libcrc32c.ko", 0), 0);
    expect_refused(kernel, "libcrc32c.ko");
    put(MODULES "/modules.dep", "kernel/no/erofs.ko: :: \n\n:\nx");
    expect_refused(kernel, "no/erofs.ko");
    assert_int_equal(unlinkat(root, MODULES "/modules.dep", 0), 0);
    expect_refused(kernel, "depmod");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(modules_come_after_what_they_need,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_named, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
