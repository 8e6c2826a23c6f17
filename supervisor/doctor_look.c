// SPDX-License-Identifier: Apache-2.0
/* What doctor_judge() looks at, from this host. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "net/run.h"
#include "supervisor/board.h"
#include "supervisor/board_host.h"
#include "supervisor/doctor.h"
#include "supervisor/host.h"
#include "supervisor/network.h"

static void doctor_read(const char *sysroot, const char *path, char *out,
                        size_t size)
{
    AUTO_FREE char *text = board_read_text(sysroot, path);
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
}

static long doctor_number(const char *sysroot, const char *path)
{
    char text[32];
    uint64_t n;
    doctor_read(sysroot, path, text, sizeof(text));
    return parse_u64(text, 0, LONG_MAX, &n) == 0 ? (long)n : -1;
}

static bool doctor_is_there(const char *sysroot, const char *path)
{
    char full[PATH_MAX];
    int n = snprintf(full, sizeof(full), "%s%s", sysroot, path);
    return n > 0 && (size_t)n < sizeof(full) && access(full, F_OK) == 0;
}

/* A name of /etc/group or /etc/passwd, read by hand: the C library's way needs
 * shared libraries, and limpet is static. */
static void doctor_name(const char *file, unsigned id, char out[64])
{
    (void)snprintf(out, 64, "%u", id);
    AUTO_FREE char *text = board_read_text("", file);
    char *save = NULL;
    for (char *line = text != NULL ? strtok_r(text, "\n", &save) : NULL;
         line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        unsigned number;
        if (sscanf(line, "%63[^:]:%*[^:]:%u", name, &number) == 2 &&
            number == id) {
            memcpy(out, name, sizeof(name));
            return;
        }
    }
}

static void doctor_look_kvm(struct doctor_host *h, const char *sysroot,
                            const char *kvm)
{
    struct stat st;
    (void)snprintf(h->kvm_path, sizeof(h->kvm_path), "%s", kvm);
    kvmprobe_run(kvm, &h->kvm);
    if (stat(kvm, &st) == 0 && (st.st_mode & 0060) == 0060 && st.st_gid != 0)
        doctor_name("/etc/group", st.st_gid, h->kvm_group);
    h->kvm_module = doctor_is_there(sysroot, "/sys/module/kvm");
    AUTO_FREE char *cpus = board_read_text(sysroot, "/proc/cpuinfo");
    const char *flags = cpus != NULL ? strstr(cpus, "\nflags") : NULL;
    if (flags != NULL)
        (void)snprintf(h->cpu_flags, sizeof(h->cpu_flags), "%.*s",
                       (int)strcspn(flags + 1, "\n"), flags + 1);
}

static int doctor_look_tun(const char *sysroot)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/dev/net/tun", sysroot);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : 0;
}

/* A program of PATH or the system's directories. */
static int doctor_look_program(const char *sysroot, const char *name)
{
    char path[64];
    struct run_path found;
    if (sysroot[0] == '\0')
        return run_find(name, &found);
    (void)snprintf(path, sizeof(path), "/usr/bin/%s", name);
    return doctor_is_there(sysroot, path) ? 0 : -ENOENT;
}

/* Asking loads the module, where it is one. */
static int doctor_look_bridge(const char *sysroot)
{
    unsigned long version[4] = {BRCTL_GET_VERSION};
    if (sysroot[0] != '\0')
        return doctor_is_there(sysroot, "/sys/module/bridge") ? 0 : -ENOPKG;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int code = fd < 0 || ioctl(fd, SIOCGIFBR, version) < 0 ? -errno : 0;
    return code == -ENOPKG ? code : 0;
}

static void doctor_look_network(struct doctor_host *h, const char *sysroot)
{
    char path[PATH_MAX];
    char range[64];
    h->nft = doctor_look_program(sysroot, "nft");
    h->passt = doctor_look_program(sysroot, "passt");
    struct err why = {0};
    (void)snprintf(h->network, sizeof(h->network), "%s", network_default(&why));
    (void)snprintf(h->no_network, sizeof(h->no_network), "%.250s", why.msg);
    h->bridge = doctor_look_bridge(sysroot);
    if (sysroot[0] == '\0') {
        AUTO_CLOSE int fd =
            socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
        h->nf_tables = fd < 0 ? -errno : 0;
    }
    h->ip_forward = doctor_number(sysroot, "/proc/sys/net/ipv4/ip_forward");
    (void)snprintf(path, sizeof(path), "%s/proc/sys/net/ipv4/ip_forward",
                   sysroot);
    h->ip_forward_write = access(path, W_OK) < 0 ? -errno : 0;
    doctor_read(sysroot, "/proc/sys/net/ipv4/ping_group_range", range,
                sizeof(range));
    char *end = range;
    h->ping_first = strtol(range, &end, 10);
    h->ping_last = strtol(end, NULL, 10);
}

static int doctor_look_landlock(const char *sysroot)
{
    if (sysroot[0] == '\0') {
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
                               LANDLOCK_CREATE_RULESET_VERSION);
        return version < 0 ? -errno : (int)version;
    }
    AUTO_FREE char *list = board_read_text(sysroot, "/sys/kernel/security/lsm");
    if (list == NULL)
        return -ENOSYS;
    return strstr(list, "landlock") != NULL ? 1 : -EOPNOTSUPP;
}

static int64_t doctor_look_memory(const char *sysroot)
{
    AUTO_FREE char *text = board_read_text(sysroot, "/proc/meminfo");
    char value[256];
    uint64_t kib;
    if (text == NULL)
        return -1;
    board_line(text, "MemAvailable", value);
    value[strcspn(value, " ")] = '\0';
    return parse_u64(value, 0, UINT64_C(1) << 42, &kib) == 0
               ? (int64_t)(kib * 1024)
               : -1;
}

/* The store itself, or what of its path is there: limpet makes the rest. */
static void doctor_look_store(struct doctor_host *h, const char *store)
{
    char path[PATH_MAX];
    struct statfs fs;
    (void)snprintf(h->store, sizeof(h->store), "%s", store);
    (void)snprintf(path, sizeof(path), "%s", store);
    while (statfs(path, &fs) < 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT) {
            h->store_code = -errno;
            return;
        }
        if (slash == NULL)
            (void)snprintf(path, sizeof(path), ".");
        else
            slash[slash == path] = '\0';
    }
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        h->store_code = -ENOTDIR;
    else if (access(path, W_OK | X_OK) < 0)
        h->store_code = -errno;
    h->store_type = (long)fs.f_type;
    h->store_free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

static void doctor_look_programs(struct doctor_host *h)
{
    struct host host;
    struct err e;
    if (host_init(&host, &e) < 0) {
        (void)snprintf(h->missing, sizeof(h->missing), "%.200s", e.msg);
        h->missing_code = e.code;
        return;
    }
    (void)snprintf(h->libexec, sizeof(h->libexec), "%s", host.libexec);
    const char *const names[] = {host.kernel, "limpet-vmm", "limpet-image"};
    for (size_t i = 0; i < ARRAY_COUNT(names) && h->missing[0] == '\0'; i++) {
        AUTO_CLOSE int fd = host_open(&host, names[i], &e);
        if (fd >= 0)
            continue;
        (void)snprintf(h->missing, sizeof(h->missing), "%.150s/%s",
                       host.libexec, names[i]);
        h->missing_code = fd;
    }
}

static void doctor_look_board(struct doctor_host *h, const char *sysroot)
{
    char profiles[PATH_MAX];
    struct board b;
    struct err e;
    board_profiles_dir(profiles);
    const struct board_query q = {.sysroot = sysroot, .profiles = profiles};
    if (board_find(&b, &q, &e) < 0) {
        (void)snprintf(h->bad_board, sizeof(h->bad_board), "%.250s", e.msg);
        return;
    }
    if (b.profile != NULL)
        (void)snprintf(h->board, sizeof(h->board), "%.150s (profile %.80s)",
                       board_title(&b), board_name(&b));
    board_fini(&b);
}

void doctor_look(struct doctor_host *h, const char *sysroot, const char *kvm,
                 const char *store)
{
    *h = (struct doctor_host){.uid = geteuid(),
                              .page_size = sysconf(_SC_PAGESIZE)};
    struct host host;
    h->arm = host_init(&host, NULL) == 0 && strcmp(host.arch, "arm64") == 0;
    doctor_name("/etc/passwd", h->uid, h->user);
    doctor_look_kvm(h, sysroot, kvm);
    h->tun = doctor_look_tun(sysroot);
    doctor_look_network(h, sysroot);
    h->cgroup2 = doctor_is_there(sysroot, "/sys/fs/cgroup/cgroup.controllers");
    h->cgroup1 = doctor_is_there(sysroot, "/sys/fs/cgroup/cpu") ||
                 doctor_is_there(sysroot, "/sys/fs/cgroup/memory") ||
                 doctor_is_there(sysroot, "/sys/fs/cgroup/unified");
    doctor_read(sysroot, "/sys/fs/cgroup/cgroup.controllers", h->controllers,
                sizeof(h->controllers));
    h->userns_max =
        doctor_number(sysroot, "/proc/sys/user/max_user_namespaces");
    h->userns_clone =
        doctor_number(sysroot, "/proc/sys/kernel/unprivileged_userns_clone");
    h->userns_apparmor = doctor_number(
        sysroot, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    h->memory_free = doctor_look_memory(sysroot);
    doctor_read(sysroot, "/proc/sys/kernel/seccomp/actions_avail", h->seccomp,
                sizeof(h->seccomp));
    h->landlock = doctor_look_landlock(sysroot);
    doctor_look_store(h, store);
    doctor_look_programs(h);
    doctor_look_board(h, sysroot);
}
