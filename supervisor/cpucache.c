// SPDX-License-Identifier: Apache-2.0
#include "supervisor/cpucache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/sha256.h"
#include "supervisor/host.h"
#include "supervisor/spawn.h"
#include "supervisor/state.h"

/* <linux/major.h>; every misc device has it, /dev/kvm is one. */
enum { CPUCACHE_MISC_MAJOR = 10, CPUCACHE_DIGITS = 32 };

static const char *cpucache_kind(void)
{
    static const char *const kinds[] = {
        "/sys/module/kvm_pvm",
        "/sys/module/kvm_amd",
        "/sys/module/kvm_intel",
    };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (access(kinds[i], F_OK) == 0)
            return kinds[i];
    return "?";
}

int cpucache_open(const struct state *s, int kvm, char name[CPUCACHE_NAME_SIZE])
{
    struct stat st;
    struct utsname u;
    char hex[SHA256_HEX_SIZE];
    char key[sizeof(u) + 128];
    name[0] = '\0';
    if (fstat(kvm, &st) < 0 || !S_ISCHR(st.st_mode) ||
        major(st.st_rdev) != CPUCACHE_MISC_MAJOR || uname(&u) < 0)
        return -1;
    int n = snprintf(
        key, sizeof(key), "1 %s %s %s %s %llu %lld", u.release, u.version,
        u.machine, cpucache_kind(), (unsigned long long)st.st_ino,
        (long long)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
    sha256_text(key, (size_t)n, hex);
    (void)snprintf(name, CPUCACHE_NAME_SIZE, "cache/cpuid-%.*s",
                   CPUCACHE_DIGITS, hex);
    int fd = openat(s->root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -1 : fd;
}

static int cpucache_write(const struct host *h, int kvm, int fd)
{
    char path[PATH_MAX + 16];
    char kvm_text[16];
    char fd_text[16];
    char *argv[] = {(char[]){"limpet-vmm"},
                    (char[]){"--kvm-fd"},
                    kvm_text,
                    (char[]){"--cache-fd"},
                    fd_text,
                    NULL};
    (void)snprintf(path, sizeof(path), "%s/limpet-vmm", h->libexec);
    (void)snprintf(kvm_text, sizeof(kvm_text), "%d", kvm);
    (void)snprintf(fd_text, sizeof(fd_text), "%d", fd);
    const int fds[] = {kvm, fd};
    const struct spawn spec = {.path = path,
                               .argv = argv,
                               .fds = fds,
                               .fd_count = ARRAY_COUNT(fds),
                               .spare_fd = -1};
    struct err e;
    const char *missing;
    int status = 0;
    pid_t pid = spawn_program(&spec, &missing, &e);
    if (pid < 0)
        return pid;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static void cpucache_sweep(int dir, const char *keep)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL)
        if (strncmp(entry->d_name, "cpuid-", 6) == 0 &&
            strcmp(entry->d_name, keep) != 0)
            (void)unlinkat(dir, entry->d_name, 0);
    (void)closedir(d);
}

void cpucache_fill(const struct host *h, const struct state *s, int kvm,
                   const char *name)
{
    char link[40];
    const char *base = strchr(name, '/') + 1;
    (void)mkdirat(s->root, "cache", 0700);
    AUTO_CLOSE int dir =
        openat(s->root, "cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int fd =
        dir < 0 ? -1 : openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
    if (fd < 0 || cpucache_write(h, kvm, fd) < 0)
        return;
    cpucache_sweep(dir, base);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    /* Somebody else was faster, or there is no cache: both are fine. */
    int rc = linkat(AT_FDCWD, link, dir, base, AT_SYMLINK_FOLLOW);
    (void)rc;
}
