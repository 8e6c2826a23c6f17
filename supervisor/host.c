// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"

enum { HOST_VCPUS_DEFAULT = 4 };
#define HOST_MEMORY_DEFAULT (UINT64_C(1) << 30)
#define HOST_MEMORY_STEP    (UINT64_C(2) << 20)

static const struct {
    const char *machine;
    const char *arch;
    const char *kernel;
    const char *boot;
    const char *qemu;
} host_archs[] = {
    {"x86_64", "amd64", "limpet-kernel.x86_64", "limpet-kernel.x86_64",
     "qemu-system-x86_64"},
    {"aarch64", "arm64", "limpet-kernel.arm64", "limpet-kernel.arm64.image",
     "qemu-system-aarch64"},
};

static void host_set_arch(struct host *h, size_t index)
{
    h->arch = host_archs[index].arch;
    h->kernel = host_archs[index].kernel;
    h->boot = host_archs[index].boot;
    h->qemu = host_archs[index].qemu;
}

/* Installed, limpet is in PREFIX/bin and the rest in PREFIX/libexec/limpet;
 * built, all are in one directory. */
static void host_prefer_installed(char dir[PATH_MAX])
{
    char other[PATH_MAX];
    const char *slash = strrchr(dir, '/');
    if (slash == NULL)
        return;
    int n = snprintf(other, sizeof(other), "%.*s/libexec/limpet",
                     (int)(slash - dir), dir);
    if (n > 0 && (size_t)n < sizeof(other) && access(other, X_OK) == 0)
        memcpy(dir, other, (size_t)n + 1);
}

static int host_find_libexec(char out[PATH_MAX], struct err *e)
{
    const char *env = getenv("LIMPET_LIBEXEC");
    if (env != NULL && env[0] != '\0') {
        if (strlen(env) >= PATH_MAX)
            return err_set(e, -ENAMETOOLONG, "LIMPET_LIBEXEC is too long");
        memcpy(out, env, strlen(env) + 1);
        return 0;
    }
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return err_set(e, -ENOENT,
                       "/proc is not mounted: set LIMPET_LIBEXEC to the "
                       "directory of limpet-vmm");
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
    host_prefer_installed(out);
    return 0;
}

int host_init(struct host *h, struct err *e)
{
    struct utsname u;
    if (uname(&u) < 0)
        return err_set(e, -errno, "uname: %s", strerror(errno));
    for (size_t i = 0; i < ARRAY_COUNT(host_archs); i++) {
        if (strcmp(u.machine, host_archs[i].machine) != 0)
            continue;
        host_set_arch(h, i);
        return host_find_libexec(h->libexec, e);
    }
    return err_set(e, -ENOTSUP, "limpet does not run on %s machines",
                   u.machine);
}

int host_set_platform(struct host *h, const char *platform, bool emulate,
                      struct err *e)
{
    char name[32];
    const char *own = h->arch;
    if (platform == NULL || strcmp(platform, "linux") == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_COUNT(host_archs); i++) {
        (void)snprintf(name, sizeof(name), "linux/%s", host_archs[i].arch);
        if (strcmp(platform, name) != 0)
            continue;
        host_set_arch(h, i);
        if (emulate || h->arch == own)
            return 0;
        return err_set(e, -ENOTSUP,
                       "--platform %s: this host runs linux/%s only; --accel "
                       "emulate runs it, slowly",
                       name, own);
    }
    return err_set(e, -ENOTSUP,
                   "--platform %.64s: must be linux/amd64 or linux/arm64",
                   platform);
}

int host_open(const struct host *h, const char *name, struct err *e)
{
    char path[PATH_MAX + 64];
    int n = snprintf(path, sizeof(path), "%s/%s", h->libexec, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(e, -ENAMETOOLONG, "%s: name too long", name);
    return path_open(AT_FDCWD, path, O_RDONLY, e);
}

uint64_t host_memory(void)
{
    struct sysinfo si;
    uint64_t half = HOST_MEMORY_DEFAULT;
    if (sysinfo(&si) == 0)
        half = (uint64_t)si.totalram * si.mem_unit / 2;
    uint64_t size = half < HOST_MEMORY_DEFAULT ? half : HOST_MEMORY_DEFAULT;
    return size / HOST_MEMORY_STEP * HOST_MEMORY_STEP;
}

unsigned host_emulated_vcpus(const struct host *h)
{
    return strcmp(h->arch, "arm64") == 0 ? HOST_VCPUS_DEFAULT : 1;
}

unsigned host_vcpus(void)
{
    int n = get_nprocs();
    if (n < 1)
        return 1;
    return n < HOST_VCPUS_DEFAULT ? (unsigned)n : HOST_VCPUS_DEFAULT;
}

int host_root(const char *option, char out[PATH_MAX], struct err *e)
{
    const char *env = getenv("LIMPET_ROOT");
    const char *home = getenv("HOME");
    const char *dir = option != NULL ? option : env;
    int n;
    if (dir != NULL && dir[0] != '\0')
        n = snprintf(out, PATH_MAX, "%s", dir);
    else if (geteuid() == 0)
        n = snprintf(out, PATH_MAX, "/var/lib/limpet");
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/.local/share/limpet", home);
    else
        return err_set(e, -ENOENT,
                       "HOME is not set: say where the store is with --root "
                       "or LIMPET_ROOT");
    if (n < 0 || n >= PATH_MAX)
        return err_set(e, -ENAMETOOLONG, "the store's path is too long");
    return 0;
}
