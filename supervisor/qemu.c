// SPDX-License-Identifier: Apache-2.0
#include "supervisor/qemu.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/host.h"
#include "supervisor/imagespec.h"

enum { QEMU_SECTOR = 512, QEMU_ARG_SIZE = 96 };

extern char **environ;

int qemu_find(const struct host *h, char out[4096], struct err *e)
{
    const char *dirs = getenv("PATH");
    if (dirs == NULL)
        dirs = "/usr/local/bin:/usr/bin:/bin";
    while (*dirs != '\0') {
        size_t n = strcspn(dirs, ":");
        int len = snprintf(out, 4096, "%.*s/%s", (int)n, dirs, h->qemu);
        if (n > 0 && len > 0 && len < 4096 && access(out, X_OK) == 0)
            return 0;
        dirs += n + (dirs[n] == ':');
    }
    return err_set(e, -ENOENT,
                   "--accel emulate needs %s: install it (apt-get install "
                   "qemu-system-%s)",
                   h->qemu, strcmp(h->arch, "arm64") == 0 ? "arm" : "x86");
}

/* One "RW sectors FLAT path 0" line per file. QEMU opens the paths itself. */
static int qemu_add_extent(int fd, struct buf *b, uint64_t *total,
                           struct err *e)
{
    char link[32];
    char path[4096];
    struct stat st;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0 || fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", link, strerror(errno));
    path[n] = '\0';
    if (strpbrk(path, "\"\n") != NULL)
        return err_set(e, -EINVAL,
                       "%s: QEMU cannot open names with quotes: move the "
                       "store with --root",
                       path);
    uint64_t sectors = (uint64_t)st.st_size / QEMU_SECTOR;
    buf_printf(b, "RW %llu FLAT \"%s\" 0\n", (unsigned long long)sectors, path);
    *total += sectors;
    return 0;
}

int qemu_make_disk(const struct imagespec *image, struct err *e)
{
    struct buf b = {0};
    uint64_t total = 0;
    int code = 0;
    buf_printf(&b, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\n"
                   "parentCID=ffffffff\n"
                   "createType=\"twoGbMaxExtentFlat\"\n");
    /* No blank line here: QEMU would read the extent after it twice. */
    for (size_t i = 0; code == 0 && i < image->fd_count; i++)
        code = qemu_add_extent(image->fds[i], &b, &total, e);
    buf_printf(&b,
               "\nddb.virtualHWVersion = \"4\"\n"
               "ddb.geometry.cylinders = \"%llu\"\n"
               "ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\n"
               "ddb.adapterType = \"ide\"\n",
               (unsigned long long)total / 1008 + 1);
    AUTO_CLOSE int fd = memfd_create("limpet-disk", MFD_CLOEXEC);
    if (code == 0 && (fd < 0 || b.failed != 0))
        code = err_set(e, -ENOMEM, "disk descriptor: out of memory");
    if (code == 0)
        code = path_write_all(fd, b.data, b.size);
    buf_fini(&b);
    return code < 0 ? code : fd_release(&fd);
}

/* Arguments that are numbers: filled in once, then pointed to. */
struct qemu_args {
    char memory[QEMU_ARG_SIZE];
    char cpus[QEMU_ARG_SIZE];
    char kernel[QEMU_ARG_SIZE];
    char blob[QEMU_ARG_SIZE];
    char disk[QEMU_ARG_SIZE];
    char debug[QEMU_ARG_SIZE];
    char ports[BOOT_PORT_COUNT][QEMU_ARG_SIZE];
    char netdev[NET_IFACES_MAX][QEMU_ARG_SIZE];
    char net[NET_IFACES_MAX][QEMU_ARG_SIZE];
    char *argv[96];
    size_t count;
};

/* QEMU finds out by itself whether a tap has headers. */
static void qemu_format_net(const struct net_iface *n, unsigned i,
                            struct qemu_args *a)
{
    char mac[NET_MAC_TEXT_SIZE];
    net_mac_text(n->mac, mac);
    (void)snprintf(a->netdev[i], QEMU_ARG_SIZE, "%s,id=net%u,fd=%d",
                   n->frames == NET_FRAMES_TAP ? "tap" : "socket", i, n->fd);
    (void)snprintf(a->net[i], QEMU_ARG_SIZE,
                   "virtio-net-device,netdev=net%u,mac=%s,host_mtu=%u", i, mac,
                   n->mtu);
}

static void qemu_format(const struct qemu *q, struct qemu_args *a)
{
    (void)snprintf(a->memory, QEMU_ARG_SIZE, "%lluM",
                   (unsigned long long)(q->memory >> 20));
    (void)snprintf(a->cpus, QEMU_ARG_SIZE, "%u", q->cpus);
    (void)snprintf(a->kernel, QEMU_ARG_SIZE, "/proc/self/fd/%d", q->kernel);
    (void)snprintf(a->blob, QEMU_ARG_SIZE, "/proc/self/fd/%d", q->blob);
    (void)snprintf(a->disk, QEMU_ARG_SIZE,
                   "if=none,id=root,format=vmdk,readonly=on,"
                   "file=/proc/self/fd/%d",
                   q->disk);
    (void)snprintf(a->debug, QEMU_ARG_SIZE, "socket,id=debug,fd=%d", q->debug);
    for (int i = 0; i < BOOT_PORT_COUNT; i++)
        (void)snprintf(a->ports[i], QEMU_ARG_SIZE, "socket,id=port%d,fd=%d", i,
                       q->ports[i]);
    for (unsigned i = 0; i < q->net_count; i++)
        qemu_format_net(&q->net[i], i, a);
}

static void qemu_add(struct qemu_args *a, char *flag, char *value)
{
    a->argv[a->count++] = flag;
    if (value != NULL)
        a->argv[a->count++] = value;
}

/* What differs between the machines: docs/boot.md, boards/qemu-*. */
struct qemu_machine {
    char *machine, *cpu;
    char *const *debug; /* how messages and power-off get out */
};

static const struct qemu_machine *qemu_machine(bool arm)
{
    static char microvm[] = "microvm,acpi=off", max[] = "max",
                device[] = "-device",
                con[] = "isa-debugcon,iobase=0xe9,chardev=debug",
                end[] = "isa-debug-exit,iobase=0xf4,iosize=4";
    static char virt[] = "virt,gic-version=3", a72[] = "cortex-a72",
                serial[] = "-serial", debug[] = "chardev:debug";
    static char *const x86_debug[] = {device, con, device, end, NULL};
    static char *const arm_debug[] = {serial, debug, NULL};
    static const struct qemu_machine x86 = {microvm, max, x86_debug};
    static struct qemu_machine arm64 = {virt, a72, arm_debug};
    if (!arm)
        return &x86;
    char *other = getenv("LIMPET_QEMU_MACHINE"); /* tests: GICv2 and others */
    arm64.machine = other != NULL ? other : virt;
    other = getenv("LIMPET_QEMU_CPU");
    arm64.cpu = other != NULL ? other : a72;
    return &arm64;
}

static void qemu_fill_nets(struct qemu_args *a, unsigned count)
{
    static char netdev[] = "-netdev", device[] = "-device";
    for (unsigned i = 0; i < count; i++) {
        qemu_add(a, netdev, a->netdev[i]);
        qemu_add(a, device, a->net[i]);
    }
    a->argv[a->count] = NULL;
}

static void qemu_fill(struct qemu_args *a, const struct qemu_machine *m)
{
    static char name[] = "qemu", machine[] = "-machine", accel[] = "-accel",
                cpu[] = "-cpu", smp[] = "-smp", memory[] = "-m",
                global[] = "-global", kernel[] = "-kernel",
                initrd[] = "-initrd", drive[] = "-drive", device[] = "-device",
                chardev[] = "-chardev", nodefaults[] = "-nodefaults",
                noconfig[] = "-no-user-config", noreboot[] = "-no-reboot",
                display[] = "-display", serial[] = "virtio-serial-device",
                blk[] = "virtio-blk-device,drive=root",
                rng[] = "virtio-rng-device", tcg[] = "tcg",
                modern[] = "virtio-mmio.force-legacy=false", none[] = "none";
    static char ports[BOOT_PORT_COUNT][QEMU_ARG_SIZE] = {
        [BOOT_PORT_STDIO] = "virtserialport,chardev=port0,name=limpet.stdio",
        [BOOT_PORT_STDERR] = "virtserialport,chardev=port1,name=limpet.stderr",
        [BOOT_PORT_CTL] = "virtserialport,chardev=port2,name=limpet.ctl",
    };
    qemu_add(a, name, NULL);
    qemu_add(a, nodefaults, noconfig);
    qemu_add(a, noreboot, NULL);
    qemu_add(a, display, none);
    qemu_add(a, machine, m->machine);
    qemu_add(a, global, modern);
    qemu_add(a, accel, tcg);
    qemu_add(a, cpu, m->cpu);
    qemu_add(a, smp, a->cpus);
    qemu_add(a, memory, a->memory);
    qemu_add(a, kernel, a->kernel);
    qemu_add(a, initrd, a->blob);
    qemu_add(a, drive, a->disk);
    qemu_add(a, device, blk);
    qemu_add(a, device, rng);
    qemu_add(a, device, serial);
    for (int i = 0; i < BOOT_PORT_COUNT; i++) {
        qemu_add(a, chardev, a->ports[i]);
        qemu_add(a, device, ports[i]);
    }
    qemu_add(a, chardev, a->debug);
    for (size_t i = 0; m->debug[i] != NULL; i++)
        qemu_add(a, m->debug[i], NULL);
}

pid_t qemu_spawn(const struct qemu *q)
{
    struct qemu_args a = {.count = 0};
    posix_spawn_file_actions_t fa;
    qemu_format(q, &a);
    qemu_fill(&a, qemu_machine(q->arm));
    qemu_fill_nets(&a, q->net_count);
    int code = posix_spawn_file_actions_init(&fa);
    if (code != 0)
        return -code;
    const int keep[] = {q->kernel,   q->blob,     q->disk,    q->debug,
                        q->ports[0], q->ports[1], q->ports[2]};
    code = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; code == 0 && fd < 3; fd++)
        code = posix_spawn_file_actions_adddup2(&fa, q->log, fd);
    /* Onto itself: stays open over exec. */
    for (size_t i = 0; code == 0 && i < ARRAY_COUNT(keep); i++)
        code = posix_spawn_file_actions_adddup2(&fa, keep[i], keep[i]);
    for (unsigned i = 0; code == 0 && i < q->net_count; i++)
        code =
            posix_spawn_file_actions_adddup2(&fa, q->net[i].fd, q->net[i].fd);
    pid_t pid = 0;
    if (code == 0)
        code = posix_spawn(&pid, q->path, &fa, NULL, a.argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    return code != 0 ? -code : pid;
}
