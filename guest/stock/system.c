// SPDX-License-Identifier: Apache-2.0
/* Modules, the console's ports, file systems. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/module.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi/stock.h"

#include "guest/stock/stock.h"

#define ROOT "/root"
/* Devices appear some time after their driver: emulated hosts are slow. */
#define WAIT_STEP_MS 10
#define WAIT_STEPS   6000

int ports[BOOT_PORT_COUNT] = {-1, -1, -1};
static int vmstat = -1;

static void mount_or_fail(const char *what, const char *on, const char *type,
                          unsigned long flags, const char *data)
{
    (void)mkdir(on, 0755);
    if (mount(what, on, type, flags, data) < 0)
        stock_fail(on);
}

void system_mount_own(void)
{
    (void)umask(0);
    mount_or_fail("dev", "/dev", "devtmpfs", 0, NULL);
    mount_or_fail("proc", "/proc", "proc", 0, NULL);
    mount_or_fail("sys", "/sys", "sysfs", 0, NULL);
    vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
}

static void load_module(const char *name)
{
    char path[256];
    char what[288];
    size_t len = strlen(name);
    int n = snprintf(path, sizeof(path), "/" STOCK_DIR "/%s", name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return;
    int flags = len > 3 && strcmp(name + len - 3, ".ko") != 0
                    ? MODULE_INIT_COMPRESSED_FILE
                    : 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(what, sizeof(what), "load module %s", name);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", flags) < 0 &&
                   errno != EEXIST && errno != ENODEV))
        stock_fail(what);
    (void)close(fd);
    (void)unlink(path); /* the initrd is RAM */
}

void system_load_modules(void)
{
    char name[200];
    FILE *f = fopen("/" STOCK_MODULES, "re");
    if (f == NULL)
        return; /* everything is built in */
    while (fgets(name, sizeof(name), f) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        load_module(name);
    }
    (void)fclose(f);
}

/* ---- ports ---- */

/* Port `name` as /dev/vportNpM, or -1. */
static int open_port(const char *name)
{
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++) {
        char path[64];
        char text[64] = "";
        (void)snprintf(path, sizeof(path),
                       "/sys/class/virtio-ports/vport0p%u/name", i);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
            (void)close(fd);
        if (n <= 0)
            continue;
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(path, sizeof(path), "/dev/vport0p%u", i);
        if (strcmp(text, name) == 0)
            return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    return -1;
}

/* Wait for what `ready` looks for. */
static bool wait_until(bool (*ready)(void))
{
    for (int i = 0; i < WAIT_STEPS; i++) {
        if (ready())
            return true;
        (void)poll(NULL, 0, WAIT_STEP_MS);
    }
    errno = ETIMEDOUT;
    return false;
}

static bool ports_ready(void)
{
    static const char *const names[BOOT_PORT_COUNT] = {
        [BOOT_PORT_STDIO] = STOCK_PORT_STDIO,
        [BOOT_PORT_STDERR] = STOCK_PORT_STDERR,
        [BOOT_PORT_CTL] = STOCK_PORT_CTL,
    };
    bool all = true;
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++) {
        if (ports[i] < 0)
            ports[i] = open_port(names[i]);
        all = all && ports[i] >= 0;
    }
    return all;
}

void system_open_ports(void)
{
    if (!wait_until(ports_ready))
        stock_fail("the console's ports");
}

/* ---- the container's root ---- */

static bool disk_ready(void)
{
    return access("/dev/vda", F_OK) == 0;
}

int system_make_dirs(const char *path)
{
    char part[4096];
    size_t len = strlen(path);
    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static void make_devices(void)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {
        {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
        {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
    };
    static const char *const links[][2] = {
        {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
        {"pts/ptmx", "/dev/ptmx"},
    };
    mount_or_fail("dev", "/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k");
    for (unsigned i = 0; i < ARRAY_COUNT(nodes); i++)
        if (mknod(nodes[i].path, S_IFCHR | 0666,
                  makedev(nodes[i].major, nodes[i].minor)) < 0)
            stock_fail(nodes[i].path);
    for (unsigned i = 0; i < ARRAY_COUNT(links); i++)
        (void)symlink(links[i][0], links[i][1]);
    mount_or_fail("pts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                  "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_or_fail("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
                  "mode=1777");
}

static void loopback_up(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)ioctl(fd, SIOCSIFFLAGS, &r);
        (void)close(fd);
    }
}

void system_enter_root(void)
{
    if (!wait_until(disk_ready))
        stock_fail("/dev/vda, the image");
    mount_or_fail("/dev/vda", "/image", "erofs", MS_RDONLY, NULL);
    mount_or_fail("rw", "/rw", "tmpfs", 0, "mode=755,size=90%");
    (void)mkdir("/rw/upper", 0755);
    (void)mkdir("/rw/work", 0755);
    mount_or_fail("root", ROOT, "overlay", 0,
                  "lowerdir=/image,upperdir=/rw/upper,workdir=/rw/work");
    /* The initrd's root cannot be pivoted away from; this hides it for good,
     * and unlike chroot(2) alone it leaves nothing above. */
    if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
        chroot(".") < 0 || chdir("/") < 0)
        stock_fail("switch root");
    make_devices();
    mount_or_fail("sys", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV,
                  NULL);
    (void)mkdir("/tmp", 01777);
    loopback_up();
}

uint64_t system_oom_kills(void)
{
    static char text[32768];
    ssize_t n = pread(vmstat, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *at = strstr(text, "\noom_kill ");
    return at == NULL ? 0 : strtoull(at + strlen("\noom_kill "), NULL, 10);
}
